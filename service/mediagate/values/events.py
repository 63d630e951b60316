"""Events: what happened to a job or a media, written down in the same transaction as the change itself.

They wait in the records' outbox until a plugin passes them on; only the types that one asks for are written.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from mediagate.values.job import Job


class EventType(StrEnum):
    """What can happen."""

    JOB_COMPLETED = "job.completed"
    JOB_REJECTED = "job.rejected"
    JOB_FAILED = "job.failed"
    JOB_CANCELLED = "job.cancelled"
    MEDIA_DELETED = "media.deleted"


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened, once; ``id`` is what tells it from all others."""

    id: str
    type: EventType
    job_id: str
    created_at: datetime
    data: str
    """A JSON object: of a job the body of ``GET /status``, without ``media``, whose URLs may not last."""


EventsOf = Callable[[Job], tuple[Event, ...]]
"""Makes the events of a job that ends, given how it ended."""


def no_events(job: Job) -> tuple[Event, ...]:
    """Return none."""
    return ()
