"""How long an Idempotency-Key stays reserved for an upload that is being received."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest

from mediagate import MediaGate, reservation
from mediagate.errors import UploadInFlight
from mediagate.intake import reserved

pytestmark = pytest.mark.anyio

MakeGate = Callable[..., MediaGate]


async def test_it_is_kept_as_long_as_the_upload_comes_in(make_gate: MakeGate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reservation, "RECEIVING_S", 0.3)
    async with make_gate() as gate, reserved("key", gate.parts):
        await asyncio.sleep(1)
        with pytest.raises(UploadInFlight):
            async with reserved("key", gate.parts):
                pass


async def test_a_process_that_died_holds_it_for_half_a_minute(make_gate: MakeGate) -> None:
    async with make_gate() as gate:
        records = gate.parts.records
        now = await records.now()
        died = now - timedelta(seconds=reservation.RECEIVING_S)
        await records.reserve_key("key", now=died, expires_at=died + timedelta(seconds=reservation.RECEIVING_S))
        async with reserved("key", gate.parts) as held:
            assert held is not None and held.fingerprint is None
