"""Outputs of pipelines in memory."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from mediagate.records.memory.expiry import expired
from mediagate.records.outputs import Outputs
from mediagate.values import Job, JobKind, JobState, JobStatus, Media, Output


class MemoryOutputs(Outputs):
    """The outputs beside the jobs that they belong to."""

    def __init__(self, jobs: dict[str, Job]) -> None:
        self._jobs = jobs
        self._outputs: dict[str, tuple[Output, ...]] = {}

    async def expired(self, *, now: datetime, limit: int, after: Job | None = None) -> Sequence[JobState]:
        return [self.state_of(job) for job in expired(self._jobs.values(), now, limit, after)]

    async def clear(self, job_id: str, *, now: datetime) -> bool:
        job = self._jobs.get(job_id)
        if job is None or job.kind is not JobKind.PIPELINE or not self.has(job):
            return False
        self._jobs[job_id] = replace(job, cleared_at=now, expires_at=None, result=None)
        self._outputs.pop(job_id, None)
        return True

    def add(self, job_id: str, outputs: tuple[Output, ...]) -> None:
        """Add the outputs of a job that has ended."""
        if outputs:
            self._outputs[job_id] = outputs

    def has(self, job: Job) -> bool:
        """Return whether a job is a complete pipeline whose outputs were not deleted."""
        return job.kind is JobKind.PIPELINE and job.status is JobStatus.COMPLETE and job.cleared_at is None

    def named(self) -> Collection[str]:
        """Return the ids of the jobs that have outputs."""
        return self._outputs.keys()

    def state_of(self, job: Job, media: Mapping[str, Media] | None = None) -> JobState:
        """Return the state of a job with its media and outputs."""
        return JobState(job, (media or {}).get(job.media_id), self._outputs.get(job.id, ()))
