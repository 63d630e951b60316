"""The conformance check of the identity and generation of records."""

from __future__ import annotations

from datetime import datetime

from mediagate.records import Records
from mediagate.testing.record_samples import expect, same


async def check_identity(records: Records, now: datetime) -> None:
    """Check the promises about the identity; raises ``AssertionError`` with the broken one."""
    before = await records.identity()
    expect(0 < len(before.id) <= 200 and before.generation >= 0, "identity() must have an id, and a generation from 0")
    same(await records.identity(), before, "identity() must be stable")
    counted = await records.next_generation()
    same((counted.id, counted.generation > before.generation), (before.id, True), "next_generation() must count up")
    same(await records.identity(), counted, "identity() must be what next_generation() returned")
    above = counted.generation + 1000
    same((await records.next_generation(above=above)).generation > above, True, "next_generation() must exceed above")
    last = await records.next_generation(above=0)
    same(last.generation > above, True, "next_generation() must never count down")
