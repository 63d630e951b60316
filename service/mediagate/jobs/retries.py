"""The consequences of a failed attempt for its job: the recorded error, and the time of the next attempt."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime, timedelta

from mediagate.config import Settings
from mediagate.errors import ImageTimeout, Unavailable, known_error
from mediagate.records import Settlement
from mediagate.values import Job, JobStatus, Rejudgement, Stage

MAX_BACKOFF_S = 300.0
MAX_OUTAGE_PAUSE_S = 60.0
"""The longest pause between attempts during an outage, and so the delay before jobs continue after it."""
OUTAGE = timedelta(days=1)
"""How long after its upload a job waits for unavailable services; later attempts count, and the job fails. A
re-judgement waits as long after its first claim."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Another attempt, not before ``at``."""

    at: datetime
    counted: bool
    """Whether the attempt that failed is one of the job's ``max_attempts``."""


class Retries:
    """One worker's handling of failed attempts.

    An attempt that fails because the storage or the database is unavailable says nothing about its job. It does not
    count, and the pauses grow with each such attempt of this worker until one succeeds. A picture that timed out is
    retried once only, since each attempt occupies a process for the whole time limit.
    """

    def __init__(self, settings: Settings) -> None:
        self._first_s = settings.retry_backoff_s
        self._outages = 0

    def came_through(self) -> None:
        """Note that an attempt reached every service that it needed."""
        self._outages = 0

    def after(self, exc: Exception, job: Job | Rejudgement, now: datetime) -> Retry | None:
        """Return the next attempt at a job after one failed with ``exc``, ``None`` if that was the last."""
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
    """Return the settlement of a job after its last attempt failed; details of a bug stay in the log."""
    known = known_error(exc)
    doing = "publishing" if at is Stage.PUBLISH else "checking and resizing"
    if known is None:
        error = f"Internal error while {doing}; see the log"
        return Settlement(JobStatus.FAILED, error=error, code="internal_error", retryable=True)
    doing = doing if known.step is None else f"running step {known.step} ({known.op})"
    doing = doing if known.page is None else f"{doing} on page {known.page}"
    error = f"{known.title} while {doing}: {known.client_detail}"
    return Settlement(JobStatus.FAILED, error=error, code=known.code, retryable=known.retryable)
