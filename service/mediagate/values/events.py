"""Events of jobs, media and batches, written in the same transaction as the change itself.

They wait in the records' outbox until a plugin delivers them; only the requested types are written.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from mediagate.values.job import Job


class EventType(StrEnum):
    """The types of events."""

    JOB_COMPLETED = "job.completed"
    JOB_REJECTED = "job.rejected"
    JOB_FAILED = "job.failed"
    JOB_CANCELLED = "job.cancelled"
    MEDIA_DELETED = "media.deleted"
    BATCH_COMPLETED = "batch.completed"


@dataclass(frozen=True, slots=True)
class Event:
    """One event, with a unique ``id``."""

    id: str
    type: EventType
    job_id: str
    """The id of the job, or of the batch whose jobs have all ended."""
    created_at: datetime
    data: str
    """A JSON object: ``owner`` and the body of ``GET /status``, or that of ``GET /batches``.

    It has neither ``media`` nor links, which may expire.
    """


EventsOf = Callable[[Job], tuple[Event, ...]]
"""Returns the events of a finished job."""


def no_events(job: Job) -> tuple[Event, ...]:
    """Return no events."""
    return ()
