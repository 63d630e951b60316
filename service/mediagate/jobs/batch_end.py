"""The end of a batch: reported once, after the last of its jobs has ended."""

from __future__ import annotations

import logging

from mediagate.jobs.events import batch_events
from mediagate.parts import Parts

log = logging.getLogger("mediagate.worker")

BATCH = 100
"""Batches per sweep."""


async def report_batch(batch_id: str, parts: Parts) -> bool:
    """Record the event of a batch if its jobs have all ended; whether this call did.

    Of the processes that end its last jobs concurrently, each that finds no live job calls this, and one reports it.
    """
    now = await parts.records.now()
    reported = await parts.records.batches.report(batch_id, now=now, events_of=lambda state: batch_events(state, parts))
    if reported:
        log.info("batch %s: ended", batch_id, extra={"batch_id": batch_id})
    return reported


async def report_batches(parts: Parts) -> list[str]:
    """Report batches whose last job was ended by a process that died then, or that knows no batches."""
    ids = await parts.records.batches.unreported(limit=BATCH)
    return [batch_id for batch_id in ids if await report_batch(batch_id, parts)]
