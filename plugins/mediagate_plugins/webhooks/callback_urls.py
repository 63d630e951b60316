"""The ``callbackUrl`` of an event: that of its job, or of its batch."""

from __future__ import annotations

from mediagate import Event, EventType, Records
from mediagate.records import get_job


async def callback_url_of(records: Records, event: Event) -> str | None:
    """Return the URL that is called with an event, if there is one; raises ``Unavailable``."""
    if event.type is EventType.MEDIA_DELETED:
        return None
    if event.type is EventType.BATCH_COMPLETED:
        state = await records.batches.get(event.job_id)
        return None if state is None else state.batch.callback_url
    job = await get_job(records, event.job_id)
    return None if job is None else job.callback_url
