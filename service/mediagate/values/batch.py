"""Batches: independent pipelines under one parent, whose state is counted from theirs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mediagate.values.events import Event
from mediagate.values.job import Job, JobStatus, Stage, progress_of
from mediagate.values.stages import StageState
from mediagate.values.times import iso

ENDS = (JobStatus.COMPLETE, JobStatus.FAILED, JobStatus.REJECTED, JobStatus.CANCELLED)
"""A batch that has ended has the first of these statuses that any of its jobs has."""


@dataclass(frozen=True, slots=True)
class Batch:
    """The parent of the jobs of one request; it has no status of its own."""

    id: str
    created_at: datetime
    client_reference_id: str | None = None
    callback_url: str | None = None
    owner_id: str | None = None
    """The owner of the batch and of all its jobs; ``None`` without access control."""
    reported_at: datetime | None = None
    """When the end of its last job was reported, which happens once."""


@dataclass(frozen=True, slots=True)
class BatchChild:
    """One job of a batch; its ``GET /status`` has the rest."""

    job_id: str
    status: JobStatus
    stage: Stage = Stage.QUEUED
    client_reference_id: str | None = None
    code: str | None = None
    finished_at: datetime | None = None
    stages: tuple[StageState, ...] = ()
    """As far as they are recorded."""

    @classmethod
    def of(cls, job: Job) -> BatchChild:
        """Return a job as a child of its batch."""
        return cls(job.id, job.status, job.stage, job.client_reference_id, job.code, job.finished_at, job.stages)

    @property
    def progress(self) -> int:
        """Percentage of the work done; 100 when the job has ended."""
        return progress_of(self.status, self.stage, self.stages)


@dataclass(frozen=True, slots=True)
class BatchState:
    """A batch and its jobs, in the order of the request."""

    batch: Batch
    children: tuple[BatchChild, ...]

    @property
    def counts(self) -> dict[JobStatus, int]:
        """The number of jobs in each status, 0 included."""
        statuses = [child.status for child in self.children]
        return {status: statuses.count(status) for status in JobStatus}

    @property
    def status(self) -> JobStatus:
        """PENDING until a job begins, PROCESSING until all have ended, then the first of ``ENDS`` that a job has."""
        found = {child.status for child in self.children}
        if found <= {JobStatus.PENDING}:
            return JobStatus.PENDING
        if not all(status.terminal for status in found):
            return JobStatus.PROCESSING
        return next(status for status in ENDS if status in found)

    @property
    def progress(self) -> int:
        """Mean of the jobs' progress in percent, rounded down; 100 when all have ended."""
        return sum(child.progress for child in self.children) // max(1, len(self.children))

    @property
    def finished_at(self) -> datetime | None:
        """When the last job ended; ``None`` while one is live."""
        if not self.status.terminal:
            return None
        return max((child.finished_at for child in self.children if child.finished_at), default=None)

    def to_json(self, *, url_of: Callable[[str], str] | None = None) -> dict[str, Any]:
        """Return the body of ``GET /batches/{batchId}``; ``url_of`` returns the status URL of a job by its id."""
        return {
            "batchId": self.batch.id,
            "status": str(self.status),
            "progress": self.progress,
            "total": len(self.children),
            "counts": {str(status): count for status, count in self.counts.items()},
            "jobs": [_child(child, url_of) for child in self.children],
            "clientReferenceId": self.batch.client_reference_id,
            "createdAt": iso(self.batch.created_at),
            "finishedAt": iso(self.finished_at),
        }


@dataclass(frozen=True, slots=True)
class IncomingBatch:
    """A checked batch, as passed to ``pre_batch``; ``bytes`` is the size of all inputs of all its jobs."""

    source_type: str
    jobs: int
    bytes: int
    client_reference_id: str | None = None
    callback_url: str | None = None
    owner_id: str | None = None


EventsOfBatch = Callable[[BatchState], tuple[Event, ...]]
"""Returns the events of a batch whose jobs have all ended."""


def no_batch_events(state: BatchState) -> tuple[Event, ...]:
    """Return no events."""
    return ()


def _child(child: BatchChild, url_of: Callable[[str], str] | None) -> Mapping[str, Any]:
    return {
        "jobId": child.job_id,
        "status": str(child.status),
        "progress": child.progress,
        "code": child.code,
        "clientReferenceId": child.client_reference_id,
        "finishedAt": iso(child.finished_at),
        **({} if url_of is None else {"statusUrl": url_of(child.job_id)}),
    }
