"""Jobs: one upload being worked on, where it stands, and what callers are shown of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from mediagate.values.image import Verdict
from mediagate.values.media import Media


class JobStatus(StrEnum):
    """Where a job stands; the last four are terminal."""

    PENDING = "PENDING"
    PROCESSING = "PROCESSING"
    COMPLETE = "COMPLETE"
    REJECTED = "REJECTED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"

    @property
    def terminal(self) -> bool:
        """Whether the job will not change any more by itself."""
        return self not in (JobStatus.PENDING, JobStatus.PROCESSING)


class Stage(StrEnum):
    """The step that a job is at, in order."""

    QUEUED = "queued"
    MODERATE = "moderate"
    PUBLISH = "publish"
    RECORD = "record"
    DONE = "done"

    @property
    def progress(self) -> int:
        """Percent of the path behind the job when it enters this stage."""
        return {"queued": 0, "moderate": 10, "publish": 70, "record": 90, "done": 100}[self.value]


@dataclass(frozen=True, slots=True)
class Job:
    """One upload being worked on."""

    id: str
    source_type: str
    source_id: str
    media_id: str
    """The id that the media will have, fixed at upload: keys are deterministic, so a retry overwrites."""
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
    """Not claimable before this moment (back-off); ``None``: at once."""
    started_at: datetime | None = None
    finished_at: datetime | None = None
    notified_at: datetime | None = None
    """When the ``on_*`` hooks of the terminal status had run; ``None`` on a terminal job: they must run again."""
    reason: str | None = None
    error: str | None = None
    code: str | None = None
    retryable: bool = False
    verdict: Verdict | None = None
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    owner_id: str | None = None
    """Who uploaded it; ``None`` where nobody was asked."""
    key_id: str | None = None
    """The credential with which it was uploaded, if the owner has several and they are told apart."""
    bytes_out: int = 0
    """Bytes of all files that were published."""
    model_runs: int = 0
    """How often the model has run on parts of the picture, over all attempts."""
    traceparent: str | None = None
    """The W3C trace context of the upload, under which whoever works on the job goes on with its trace."""
    priority: int = 0
    """Its source's rank: jobs of a lower one are claimed first."""
    turn: int = field(default=0, compare=False)
    """Its place among the jobs of its priority, given by the records when it is created, and kept for retries."""


@dataclass(frozen=True, slots=True)
class JobState:
    """A job together with its media, as ``get_status`` answers it; ``media`` is there exactly when it is published."""

    job: Job
    media: Media | None = None

    def at(self, now: datetime) -> JobState:
        """Return it without a media whose time is over."""
        return JobState(self.job) if self.media is not None and self.media.expired(now) else self


@dataclass(frozen=True, slots=True)
class JobPage:
    """A page of jobs, newest first; ``next_cursor`` asks for the page after it, ``None`` at the end."""

    items: tuple[JobState, ...]
    next_cursor: str | None = None
