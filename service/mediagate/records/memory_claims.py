"""How jobs in memory are claimed, and held under a lease."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime

from mediagate.records.memory_turns import MemoryTurns
from mediagate.values import Job, JobStatus, Stage


class MemoryClaims(MemoryTurns):
    """The part of the records in memory that gives jobs to workers."""

    async def claimable(self, *, now: datetime, limit: int) -> Sequence[str]:
        """Return ids of jobs that may be claimed now, in their turns."""
        free = [job for job in self._jobs.values() if job.attempts < job.max_attempts and _free(job, now)]
        return [job.id for job in sorted(free, key=_place)][:limit]

    async def claim_oldest(
        self, *, owner: str, now: datetime, lease_until: datetime, limit: int, busy: Collection[str] = ()
    ) -> Sequence[Job]:
        """Claim the jobs whose turn it is."""
        ids = [job_id for job_id in await self.claimable(now=now, limit=limit + len(busy)) if job_id not in busy]
        claimed = [await self.claim(job_id, owner=owner, now=now, lease_until=lease_until) for job_id in ids[:limit]]
        return [job for job in claimed if job is not None]

    async def claim(self, job_id: str, *, owner: str, now: datetime, lease_until: datetime) -> Job | None:
        """Take a claimable job."""
        job = self._jobs.get(job_id)
        if job is None or job.attempts >= job.max_attempts or not _free(job, now):
            return None
        self._begin(job)
        return self._put(
            replace(
                job,
                status=JobStatus.PROCESSING,
                stage=Stage.MODERATE,
                attempts=job.attempts + 1,
                lease_owner=owner,
                lease_until=lease_until,
                started_at=job.started_at or now,
            )
        )

    async def advance(
        self,
        job_id: str,
        *,
        owner: str,
        lease_until: datetime,
        stage: Stage | None = None,
        model_runs: int | None = None,
    ) -> bool:
        """Extend the lease and enter a stage."""
        job = self._held(job_id, owner)
        if job is not None:
            runs = job.model_runs if model_runs is None else model_runs
            self._put(replace(job, lease_until=lease_until, stage=stage or job.stage, model_runs=runs))
        return job is not None

    async def release(
        self,
        job_id: str,
        *,
        owner: str,
        available_at: datetime,
        count_attempt: bool = True,
        error: str | None = None,
        code: str | None = None,
    ) -> bool:
        """Give a job back to PENDING for a later attempt."""
        job = self._held(job_id, owner)
        if job is None:
            return False
        self._put(
            replace(
                job,
                status=JobStatus.PENDING,
                stage=Stage.QUEUED,
                attempts=job.attempts if count_attempt else job.attempts - 1,
                lease_owner=None,
                lease_until=None,
                available_at=available_at,
                error=error,
                code=code,
            )
        )
        return True

    def _put(self, job: Job) -> Job:
        self._jobs[job.id] = job
        return job

    def _held(self, job_id: str, owner: str) -> Job | None:
        job = self._jobs.get(job_id)
        return job if job and job.status is JobStatus.PROCESSING and job.lease_owner == owner else None


def lapsed(job: Job, now: datetime) -> bool:
    return job.status is JobStatus.PROCESSING and job.lease_until is not None and job.lease_until <= now


def _free(job: Job, now: datetime) -> bool:
    waiting = job.status is JobStatus.PENDING and (job.available_at is None or job.available_at <= now)
    return waiting or lapsed(job, now)


def _place(job: Job) -> tuple[int, int, datetime]:
    return job.priority, job.turn, job.lease_until or job.available_at or job.created_at
