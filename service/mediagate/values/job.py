"""Jobs: an upload or a pipeline being processed, its status and stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from mediagate.values.crop_box import CropBox
from mediagate.values.image import Verdict
from mediagate.values.media import Media
from mediagate.values.pipeline import Output, PipelineInput, PipelineResult, PipelineSpec
from mediagate.values.stages import StageState, completed, ended_early, planned, share_done


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


class JobKind(StrEnum):
    """What a job makes of its files: the media of an upload, or the outputs of a pipeline."""

    MEDIA = "media"
    PIPELINE = "pipeline"


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


def progress_of(status: JobStatus, stage: Stage, stages: Sequence[StageState]) -> int:
    """Return the percentage of the work done of a job with these stages, of which those that did not begin may lack."""
    if status.terminal:
        return 100
    if stage is Stage.MODERATE:
        return stage.progress + int((Stage.PUBLISH.progress - stage.progress) * share_done(stages))
    return stage.progress


@dataclass(frozen=True, slots=True)
class Job:
    """One upload or pipeline being processed."""

    id: str
    source_type: str
    source_id: str
    media_id: str
    """The id of the future media, fixed at upload: storage keys are deterministic, so a retry overwrites."""
    staging_key: str
    """The quarantine key of the file; of a pipeline the folder of its inputs."""
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
    crop: CropBox | None = None
    """The part of the picture that is published; ``None``: all of it."""
    credits: int = 0
    """The price of the job, charged when it is COMPLETE."""
    turn: int = field(default=0, compare=False)
    """The job's place among those of its priority, assigned by the records on creation and kept for retries."""

    kind: JobKind = JobKind.MEDIA
    spec: PipelineSpec | None = None
    """Set for a pipeline, like ``inputs``, of which the first gives the job its format and size."""
    inputs: tuple[PipelineInput, ...] = ()
    result: PipelineResult | None = None
    """Set when a pipeline is COMPLETE, until its outputs are deleted."""
    stages: tuple[StageState, ...] = ()
    """As far as they are recorded; empty before the first attempt."""
    expires_at: datetime | None = None
    """When the outputs of a pipeline count as deleted; ``None`` once they are."""
    cleared_at: datetime | None = None
    """When the outputs and the data of a pipeline were deleted."""
    batch_id: str | None = None
    """The batch of a pipeline, if it is one of several."""
    batch_position: int | None = None
    """From 0: its place among the jobs of its batch."""

    @property
    def staged_keys(self) -> tuple[str, ...]:
        """The quarantine keys of all its files."""
        return tuple(one.key for one in self.inputs) if self.kind is JobKind.PIPELINE else (self.staging_key,)

    @property
    def plan(self) -> tuple[StageState, ...]:
        """All stages of the job, in their states: none runs before a first or a further attempt, or after the end."""
        steps = planned(self.spec.ops if self.spec else None)
        if self.status is JobStatus.PENDING:
            return steps
        if self.status is JobStatus.COMPLETE:
            return self.stages or completed(steps)
        if self.status.terminal:
            return ended_early(self.stages or steps, failed=self.status is JobStatus.FAILED)
        return self.stages or steps

    @property
    def progress(self) -> int:
        """Percentage of the work done, true between the stages too; 100 when the job has ended."""
        return progress_of(self.status, self.stage, self.plan)

    def expired(self, now: datetime) -> bool:
        """Return whether the outputs of a pipeline have been deleted, or count as deleted at ``now``."""
        return self.cleared_at is not None or (self.expires_at is not None and self.expires_at <= now)

    @property
    def taken_down(self) -> bool:
        """Whether the picture was published before the job became REJECTED."""
        return self.status is JobStatus.REJECTED and self.bytes_out > 0


@dataclass(frozen=True, slots=True)
class JobState:
    """A job, its media and its outputs; ``media`` is set if and only if it is published.

    Only a pipeline has ``outputs``, until they are deleted.
    """

    job: Job
    media: Media | None = None
    outputs: tuple[Output, ...] = ()

    @property
    def keys(self) -> tuple[str, ...]:
        """The storage keys of all files of the media and the outputs."""
        return (*(self.media.keys if self.media else ()), *(output.key for output in self.outputs))

    def at(self, now: datetime) -> JobState:
        """Return this state, without the media and the outputs that have expired at ``now``."""
        if self.job.kind is JobKind.PIPELINE:
            return JobState(replace(self.job, result=None)) if self.job.expired(now) else self
        return JobState(self.job) if self.media is not None and self.media.expired(now) else self


@dataclass(frozen=True, slots=True)
class JobPage:
    """A page of jobs, newest first; ``next_cursor`` asks for the page after it, ``None`` at the end.

    ``total`` is the number of jobs on all pages, for a page that was asked for by an offset.
    """

    items: tuple[JobState, ...]
    next_cursor: str | None = None
    total: int | None = None
