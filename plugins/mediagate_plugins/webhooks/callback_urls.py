"""The ``callbackUrl`` of an event: that of its job, or of its batch."""

from __future__ import annotations

from collections.abc import Mapping

from mediagate import CallbackForm, Event, EventType, Job, Records
from mediagate.records import get_job


async def callback_url_of(records: Records, event: Event, forms: Mapping[str, CallbackForm]) -> str | None:
    """Return the URL that is called with an event, if there is one; raises ``Unavailable``.

    The ends that the dialect of a job has no words for are not told; ``forms`` are those of the dialects.
    """
    if event.type is EventType.MEDIA_DELETED:
        return None
    if event.type is EventType.BATCH_COMPLETED:
        state = await records.batches.get(event.job_id)
        return None if state is None else state.batch.callback_url
    job = await get_job(records, event.job_id)
    if job is None or ((form := forms.get(dialect_of(job) or "")) and job.status not in form.ends):
        return None
    return job.callback_url


def dialect_of(job: Job) -> str | None:
    """Return the dialect in which a job was asked for; ``None``: the native words."""
    return None if job.spec is None else job.spec.dialect
