"""What an attempt that failed means for its job: what it says of it, and when it is tried again."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime, timedelta

from mediagate.config import Settings
from mediagate.errors import ImageTimeout, Unavailable, known_error
from mediagate.records import Settlement
from mediagate.values import Job, JobStatus, Stage

MAX_BACKOFF_S = 300.0
MAX_OUTAGE_PAUSE_S = 60.0
"""What is away is asked for again at least so often: its jobs go on that soon after it is back."""
OUTAGE = timedelta(days=1)
"""So long after its upload a job waits for what is away; from then on such attempts count too, and it ends."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Another attempt, not before ``at``."""

    at: datetime
    counted: bool
    """Whether the attempt that failed is one of the job's ``max_attempts``."""


class Retries:
    """What one worker does about attempts that failed.

    An attempt that found the storage or the database away says nothing about its job. It does not count, and the pauses
    grow with each such attempt of this worker until one comes through. A picture that ran out of time is tried once
    more: each attempt takes a process for all of its time.
    """

    def __init__(self, settings: Settings) -> None:
        self._first_s = settings.retry_backoff_s
        self._outages = 0

    def came_through(self) -> None:
        """Note that an attempt found all that it needed."""
        self._outages = 0

    def after(self, exc: Exception, job: Job, now: datetime) -> Retry | None:
        """Return the next attempt at a job after one that ended so, ``None`` if that was the last."""
        error = known_error(exc)
        if isinstance(error, Unavailable) and now < job.created_at + OUTAGE:
            pause_s = min(MAX_OUTAGE_PAUSE_S, self._first_s * 2.0 ** min(self._outages, 10))
            self._outages += 1
            return Retry(now + timedelta(seconds=pause_s * random.uniform(0.5, 1)), counted=False)
        last = job.attempts >= job.max_attempts or job.code == ImageTimeout.code
        if last or (error is not None and not error.retryable):
            return None
        pause_s = min(MAX_BACKOFF_S, self._first_s * 2.0 ** (job.attempts - 1))
        return Retry(now + timedelta(seconds=pause_s), counted=True)


def failure(exc: Exception, at: Stage) -> Settlement:
    """Return how a job ends whose last attempt ended so in this stage; a bug's own words stay in the log."""
    known = known_error(exc)
    doing = "publishing" if at is Stage.PUBLISH else "checking and resizing"
    if known is None:
        error = f"Internal error while {doing}; see the log"
        return Settlement(JobStatus.FAILED, error=error, code="internal_error", retryable=True)
    error = f"{known.title} while {doing}: {known.client_detail}"
    return Settlement(JobStatus.FAILED, error=error, code=known.code, retryable=known.retryable)
