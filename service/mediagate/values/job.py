"""Jobs: an upload being processed, its status and stage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from mediagate.values.image import Verdict
from mediagate.values.media import Media


class JobStatus(StrEnum):
    """The status of a job; the last four are terminal."""

    PENDING = "PENDING"
    PROCESSING = "PROCESSING"
    COMPLETE = "COMPLETE"
    REJECTED = "REJECTED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"

    @property
    def terminal(self) -> bool:
        """Whether the job has ended and no longer changes by itself."""
        return self not in (JobStatus.PENDING, JobStatus.PROCESSING)


class Stage(StrEnum):
    """The steps of a job, in order."""

    QUEUED = "queued"
    MODERATE = "moderate"
    PUBLISH = "publish"
    RECORD = "record"
    DONE = "done"

    @property
    def progress(self) -> int:
        """Percentage of the work done when the job enters this stage."""
        return {"queued": 0, "moderate": 10, "publish": 70, "record": 90, "done": 100}[self.value]


@dataclass(frozen=True, slots=True)
class Job:
    """One upload being processed."""

    id: str
    source_type: str
    source_id: str
    media_id: str
    """The id of the future media, fixed at upload: storage keys are deterministic, so a retry overwrites."""
    staging_key: str
    format: str
    bytes: int
    sha256: str
    width: int
    height: int
    created_at: datetime
    filename: str = ""
    client_reference_id: str | None = None
    callback_url: str | None = None
    focal_x: float = 0.5
    focal_y: float = 0.5
    status: JobStatus = JobStatus.PENDING
    stage: Stage = Stage.QUEUED
    attempts: int = 0
    max_attempts: int = 3
    lease_owner: str | None = None
    lease_until: datetime | None = None
    available_at: datetime | None = None
    """Not claimable before this time (back-off); ``None``: at once."""
    started_at: datetime | None = None
    finished_at: datetime | None = None
    notified_at: datetime | None = None
    """When the ``on_*`` hooks of the terminal status finished; ``None`` on a terminal job: they must run again."""
    reason: str | None = None
    error: str | None = None
    code: str | None = None
    retryable: bool = False
    verdict: Verdict | None = None
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    owner_id: str | None = None
    """The owner of the upload; ``None`` without access control."""
    key_id: str | None = None
    """The credential of the upload, if an owner can have several."""
    bytes_out: int = 0
    """Total size of the published files."""
    model_runs: int = 0
    """How often the model ran on the picture or parts of it, over all attempts."""
    traceparent: str | None = None
    """The W3C trace context of the upload, which the worker continues."""
    priority: int = 0
    """The rank of the job's source: jobs of a lower rank are claimed first."""
    turn: int = field(default=0, compare=False)
    """The job's place among those of its priority, assigned by the records on creation and kept for retries."""

    @property
    def taken_down(self) -> bool:
        """Whether the picture was published before the job became REJECTED."""
        return self.status is JobStatus.REJECTED and self.bytes_out > 0


@dataclass(frozen=True, slots=True)
class JobState:
    """A job and its media; ``media`` is set if and only if it is published."""

    job: Job
    media: Media | None = None

    def at(self, now: datetime) -> JobState:
        """Return this state, without the media if that has expired at ``now``."""
        return JobState(self.job) if self.media is not None and self.media.expired(now) else self


@dataclass(frozen=True, slots=True)
class JobPage:
    """A page of jobs, newest first; ``next_cursor`` asks for the page after it, ``None`` at the end."""

    items: tuple[JobState, ...]
    next_cursor: str | None = None
