"""The ends of jobs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from mediagate.values import Job, JobState, JobStatus, Media, Output, PipelineResult, Stage, StageState, Verdict


@dataclass(frozen=True, slots=True)
class Settlement:
    """The end of a job: the terminal status and everything that is recorded with it."""

    status: JobStatus
    media: Media | None = None
    """Set exactly for a ``COMPLETE`` upload."""
    verdict: Verdict | None = None
    reason: str | None = None
    error: str | None = None
    code: str | None = None
    retryable: bool = False
    timings_ms: Mapping[str, float] | None = None
    warnings: tuple[str, ...] = ()
    bytes_out: int = 0
    """Bytes of all published files."""
    model_runs: int = 0
    """Runs of the moderator since the last ``advance``."""
    stages: tuple[StageState, ...] = ()
    outputs: tuple[Output, ...] = ()
    """What a ``COMPLETE`` pipeline made, like the next two."""
    result: PipelineResult | None = None
    expires_at: datetime | None = None

    def state_of(self, job: Job, now: datetime) -> JobState:
        """Return the state of a job after this settlement at ``now``."""
        ended = replace(
            job,
            status=self.status,
            stage=Stage.DONE,
            lease_owner=None,
            lease_until=None,
            finished_at=now,
            verdict=self.verdict,
            reason=self.reason,
            error=self.error,
            code=self.code,
            retryable=self.retryable,
            timings_ms=self.timings_ms or {},
            warnings=self.warnings,
            bytes_out=self.bytes_out,
            model_runs=job.model_runs + self.model_runs,
            stages=self.stages,
            result=self.result,
            expires_at=self.expires_at,
        )
        return JobState(ended, self.media, self.outputs)


def died_each_time(job: Job) -> Settlement:
    """Return the settlement of a job without an attempt left whose worker died before settling it."""
    return Settlement(
        JobStatus.FAILED,
        error=job.error or f"the worker died at stage {job.stage} on each of {job.attempts} attempts",
        code=job.code or "attempts_exhausted",
        retryable=True,
        stages=job.stages,
    )


def cancelled(job: Job, now: datetime) -> Job:
    """Return a live job after its cancellation."""
    return replace(job, status=JobStatus.CANCELLED, finished_at=now, lease_owner=None, lease_until=None)
