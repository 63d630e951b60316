"""Claiming jobs in the database, and holding them under a lease."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from mediagate.records.client_patches import Prisma, models
from mediagate.records.database import Database
from mediagate.records.prisma.job_changes import take_job
from mediagate.records.prisma.jobs import jobs_where
from mediagate.records.prisma.later import change_any, columns_of, passed, passed_times
from mediagate.records.prisma.pipeline_columns import stages_column
from mediagate.records.prisma.rows import job_of
from mediagate.records.prisma.turns import keep_time
from mediagate.records.queries import execute
from mediagate.values import Job, JobKind, JobStatus, Stage, StageState

CLAIM_OLDEST = """
WITH lapsed AS (
    SELECT id, priority, turn, "leaseUntil" AS since FROM {table}
    WHERE status = 'PROCESSING' AND "leaseUntil" <= $1 AND "attemptsLeft" > 0 AND id <> ALL ($5::text[])
    ORDER BY "leaseUntil" LIMIT $4 FOR UPDATE SKIP LOCKED
), lapsed_later AS (
    SELECT id, priority, turn, "leaseUntil" AS since FROM {table}
    WHERE status = 'PROCESSING' AND "leaseUntil" BETWEEN '2500-01-01' AND $1::timestamp + INTERVAL '365000 days'
    AND "attemptsLeft" > 0 AND id <> ALL ($5)
    ORDER BY "leaseUntil" LIMIT $4 FOR UPDATE SKIP LOCKED
), waiting AS (
    SELECT id, priority, turn, "availableAt" AS since FROM {table}
    WHERE (status || '') = 'PENDING' AND "availableAt" <= $1 AND "attemptsLeft" > 0 AND id <> ALL ($5)
    ORDER BY priority, turn, "availableAt" LIMIT $4 FOR UPDATE SKIP LOCKED
), waiting_later AS (
    SELECT id, priority, turn, "availableAt" AS since FROM {table}
    WHERE kind = 'pipeline' AND status = 'PENDING' AND "attemptsLeft" > 0 AND id <> ALL ($5)
    AND "availableAt" BETWEEN '2500-01-01' AND $1::timestamp + INTERVAL '365000 days'
    ORDER BY priority, turn, "availableAt" LIMIT $4 FOR UPDATE SKIP LOCKED
), next AS (
    SELECT id FROM (
        SELECT * FROM lapsed UNION ALL SELECT * FROM lapsed_later
        UNION ALL SELECT * FROM waiting UNION ALL SELECT * FROM waiting_later
    ) AS due ORDER BY priority, turn, since LIMIT $4
)
UPDATE {table} AS job SET
    status = 'PROCESSING', stage = 'moderate', attempts = attempts + 1, "attemptsLeft" = "attemptsLeft" - 1,
    "leaseOwner" = $2, "startedAt" = COALESCE("startedAt", $1),
    "leaseUntil" = CASE job.kind WHEN 'pipeline' THEN $3::timestamp + INTERVAL '365000 days' ELSE $3::timestamp END
FROM next WHERE job.id = next.id
RETURNING job.*
"""
"""For PostgreSQL: rows that another claimer has locked are skipped, so that claimers neither wait nor collide.

The condition on ``status`` is written as in the index ``mediagate_job_turn_idx``, so that no other index fits it.
The times of pipelines are those of ``later``; ``mediagate_job_pipeline_idx`` has those that wait.
"""
TURNS: Any = [{"priority": "asc"}, {"turn": "asc"}, {"availableAt": "asc"}]
"""The order of ``_waiting`` jobs."""


async def claimable_ids(client: Prisma, now: datetime, limit: int) -> list[str]:
    """Return ids of claimable jobs in the order of their turns."""
    return [job.id for job in await _claimable(client, now, limit)]


async def _claimable(client: Prisma, now: datetime, limit: int) -> list[Job]:
    # Queries each of which can follow an index and stop; a single one would sort all claimable jobs.
    found = await asyncio.gather(
        jobs_where(client, _waiting(now), order=TURNS, take=limit),
        *(
            jobs_where(client, {**_processing(), "leaseUntil": times}, order={"leaseUntil": "asc"}, take=limit)
            for times in passed_times(now)
        ),
    )
    due = [job_of(row) for rows in found for row in rows]
    return sorted(due, key=lambda job: (job.priority, job.turn, job.lease_until or job.available_at or now))[:limit]


async def claim_oldest(
    client: Prisma,
    postgres_schema: str | None,
    *,
    owner: str,
    now: datetime,
    lease_until: datetime,
    limit: int,
    busy: Collection[str],
) -> list[Job]:
    """Claim the next jobs in turn: on PostgreSQL in one statement, on SQLite one by one."""
    if postgres_schema is not None:
        table = '"{}".mediagate_job'.format(postgres_schema.replace('"', '""'))
        statement: Any = CLAIM_OLDEST.format(table=table)
        rows = await execute(
            lambda: client.query_raw(statement, now, owner, lease_until, limit, list(busy), model=models.MediagateJob)
        )
        return sorted((job_of(row) for row in rows), key=lambda job: (job.priority, job.turn))
    jobs: list[Job] = []
    for due in await _claimable(client, now, limit + len(busy)):
        if len(jobs) < limit and due.id not in busy:
            job = await _claim(client, due.id, due.kind, owner=owner, now=now, lease_until=lease_until)
            jobs += [job] if job is not None else []
    return jobs


async def claim(client: Prisma, job_id: str, *, owner: str, now: datetime, lease_until: datetime) -> Job | None:
    """Claim a job by compare-and-set."""
    for kind in JobKind:
        job = await _claim(client, job_id, kind, owner=owner, now=now, lease_until=lease_until)
        if job is not None:
            return job
    return None


async def _claim(
    client: Prisma, job_id: str, kind: JobKind, *, owner: str, now: datetime, lease_until: datetime
) -> Job | None:
    data = {
        "status": JobStatus.PROCESSING.value,
        "stage": Stage.MODERATE.value,
        "attempts": {"increment": 1},
        "attemptsLeft": {"decrement": 1},
        "leaseOwner": owner,
        **columns_of(kind, {"leaseUntil": lease_until}),
    }
    where = {"id": job_id, "kind": kind.value, "OR": [_waiting(now), _lapsed(now)]}
    row = await take_job(client, {**where, "startedAt": None}, {**data, "startedAt": now})
    if row is None:
        row = await take_job(client, {**where, "NOT": [{"startedAt": None}]}, data)
    return job_of(row) if row else None


def advanced_columns(
    lease_until: datetime, stage: Stage | None, model_runs: int | None, stages: Sequence[StageState] | None
) -> Any:
    """Return the columns that extend a lease and, if given, set the stage, the model runs and the stages."""
    data: dict[str, Any] = {"leaseUntil": lease_until}
    if stage is not None:
        data["stage"] = stage.value
    if model_runs is not None:
        data["modelRuns"] = model_runs
    if stages is not None:
        data["stages"] = stages_column(stages)
    return data


async def advance(client: Prisma, job_id: str, owner: str, columns: Any) -> bool:
    """Change a held job."""
    return await change_any(client, held(job_id, owner), columns)


async def release(client: Prisma, database: Database, job_id: str, owner: str, columns: Any) -> bool:
    """Return a held job to PENDING."""
    await keep_time(database, job_id)
    return await change_any(client, held(job_id, owner), columns)


def released_columns(available_at: datetime, error: str | None, code: str | None, *, count_attempt: bool) -> Any:
    """Return the columns that return a job to PENDING for a later attempt."""
    data = given_back_columns(available_at, error, code, count_attempt=count_attempt) | {"stage": Stage.QUEUED.value}
    if not count_attempt:
        data |= {"attemptsLeft": {"increment": 1}}
    return data


def given_back_columns(available_at: datetime, error: str | None, code: str | None, *, count_attempt: bool) -> Any:
    """Return the columns that return a job or re-judgement to PENDING, without its lease."""
    return {
        "status": JobStatus.PENDING.value,
        "leaseOwner": None,
        "leaseUntil": None,
        "availableAt": available_at,
        "error": error,
        "code": code,
        **({} if count_attempt else {"attempts": {"decrement": 1}}),
    }


def held(row_id: str, owner: str) -> Any:
    """Return the condition of a job or re-judgement under this owner's lease."""
    return {"id": row_id, "status": JobStatus.PROCESSING.value, "leaseOwner": owner}


def _waiting(now: datetime) -> Any:
    """Return the condition of a claimable PENDING job."""
    return {"attemptsLeft": {"gt": 0}, "status": JobStatus.PENDING.value, **passed("availableAt", now)}


def _lapsed(now: datetime) -> Any:
    """Return the condition of a claimable job whose lease has expired."""
    return {**_processing(), **passed("leaseUntil", now)}


def _processing() -> Any:
    return {"attemptsLeft": {"gt": 0}, "status": JobStatus.PROCESSING.value}
