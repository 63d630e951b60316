"""The call of a ``callbackUrl`` that an event causes: that of its job, or of its batch."""

from __future__ import annotations

import json
from dataclasses import dataclass

from mediagate import CallbackForm, Event, EventType, Job, JobStatus, Records
from mediagate.records import get_job


@dataclass(frozen=True, slots=True)
class Call:
    """The call of a URL, about a job or, if ``job`` is ``None``, about a batch."""

    url: str
    job: Job | None = None

    @property
    def dialect(self) -> str | None:
        """The dialect in which the job was asked for; ``None``: the native words."""
        return self.job.spec.dialect if self.job and self.job.spec else None


async def call_of(records: Records, event: Event) -> Call | None:
    """Return the call for an event, if there is one; raises ``Unavailable``."""
    if event.type is EventType.MEDIA_DELETED:
        return None
    if event.type is EventType.BATCH_COMPLETED:
        state = await records.batches.get(event.job_id)
        return Call(state.batch.callback_url) if state and state.batch.callback_url is not None else None
    job = await get_job(records, event.job_id)
    return Call(job.callback_url, job) if job and job.callback_url is not None else None


def has_words(form: CallbackForm, event: Event) -> bool:
    """Return whether a dialect tells an end of a job; by the event, since a FAILED job may have been retried."""
    return JobStatus(json.loads(event.data)["status"]) in form.ends
