"""The conditions of a job's transitions, and their results."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from mediagate.values import Job, JobStatus, Rejudgement, Stage, StageState

Claimed = TypeVar("Claimed", Job, Rejudgement)


def claimable(job: Job, now: datetime) -> bool:
    """Return whether a job may be claimed."""
    return job.attempts < job.max_attempts and due(job, now)


def due(one: Job | Rejudgement, now: datetime) -> bool:
    """Return whether a job or re-judgement waits for a worker, whatever its number of attempts."""
    waiting = one.status == "PENDING" and (one.available_at is None or one.available_at <= now)
    return waiting or _lapsed(one, now)


def exhausted(job: Job, now: datetime) -> bool:
    """Return whether a live job has no attempt left and no worker."""
    return job.attempts >= job.max_attempts and (job.status is JobStatus.PENDING or _lapsed(job, now))


def _lapsed(one: Job | Rejudgement, now: datetime) -> bool:
    return one.status == "PROCESSING" and one.lease_until is not None and one.lease_until <= now


def next_jobs(jobs: Iterable[Job], now: datetime) -> list[str]:
    """Return ids of the claimable jobs in the order of their turns."""
    return [job.id for job in sorted((job for job in jobs if claimable(job, now)), key=_order)]


def _order(job: Job) -> tuple[int, int, datetime]:
    return job.priority, job.turn, job.lease_until or job.available_at or job.created_at


def claimed(job: Job, owner: str, now: datetime, lease_until: datetime) -> Job:
    """Return a claimable job after its claim by an owner."""
    return replace(
        job,
        status=JobStatus.PROCESSING,
        stage=Stage.MODERATE,
        attempts=job.attempts + 1,
        lease_owner=owner,
        lease_until=lease_until,
        started_at=job.started_at or now,
    )


def held(one: Claimed | None, owner: str) -> Claimed | None:
    """Return a job or re-judgement if it is under this owner's lease."""
    return one if one and one.status == "PROCESSING" and one.lease_owner == owner else None


def advanced(
    job: Job,
    lease_until: datetime,
    stage: Stage | None,
    model_runs: int | None,
    stages: Sequence[StageState] | None,
) -> Job:
    """Return a held job with an extended lease, and with its stage, model runs and stages if given."""
    runs = job.model_runs if model_runs is None else model_runs
    entered = job.stages if stages is None else tuple(stages)
    return replace(job, lease_until=lease_until, stage=stage or job.stage, model_runs=runs, stages=entered)


def released(job: Job, available_at: datetime, error: str | None, code: str | None, *, count_attempt: bool) -> Job:
    """Return a held job released for a later attempt."""
    return replace(given_back(job, available_at, error, code, count_attempt=count_attempt), stage=Stage.QUEUED)


def given_back(
    one: Claimed, available_at: datetime, error: str | None, code: str | None, *, count_attempt: bool
) -> Claimed:
    """Return a held job or re-judgement without its lease, PENDING."""
    return replace(
        one,
        status=type(one.status)("PENDING"),
        attempts=one.attempts if count_attempt else one.attempts - 1,
        lease_owner=None,
        lease_until=None,
        available_at=available_at,
        error=error,
        code=code,
    )


def requeued(job: Job, now: datetime) -> Job:
    """Return a FAILED job requeued with all its attempts."""
    return replace(
        job,
        status=JobStatus.PENDING,
        stage=Stage.QUEUED,
        attempts=0,
        available_at=now,
        finished_at=None,
        notified_at=None,
        error=None,
        code=None,
        retryable=False,
        stages=(),
    )
