"""How jobs are claimed in the database, and held under a lease."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from mediagate.records.client import Prisma, models
from mediagate.records.queries import TURNS, claimable, execute, held, jobs_where, lapsed, query, waiting
from mediagate.records.rows import job_of
from mediagate.values import Job, JobStatus, Stage

CLAIM_OLDEST = """
WITH lapsed AS (
    SELECT id, priority, turn, "leaseUntil" AS since FROM {table}
    WHERE status = 'PROCESSING' AND "leaseUntil" <= $1 AND "attemptsLeft" > 0 AND id <> ALL ($5::text[])
    ORDER BY "leaseUntil" LIMIT $4 FOR UPDATE SKIP LOCKED
), waiting AS (
    SELECT id, priority, turn, "availableAt" AS since FROM {table}
    WHERE (status || '') = 'PENDING' AND "availableAt" <= $1 AND "attemptsLeft" > 0 AND id <> ALL ($5)
    ORDER BY priority, turn, "availableAt" LIMIT $4 FOR UPDATE SKIP LOCKED
), next AS (
    SELECT id FROM (SELECT * FROM lapsed UNION ALL SELECT * FROM waiting) AS due ORDER BY priority, turn, since LIMIT $4
)
UPDATE {table} AS job SET
    status = 'PROCESSING', stage = 'moderate', attempts = attempts + 1, "attemptsLeft" = "attemptsLeft" - 1,
    "leaseOwner" = $2, "leaseUntil" = $3, "startedAt" = COALESCE("startedAt", $1)
FROM next WHERE job.id = next.id
RETURNING job.*
"""
"""For PostgreSQL: what another claims at this moment is passed over, so that claimers neither wait nor collide.

The condition on ``status`` is that of the index ``mediagate_job_turn_idx``, and no other index fits it.
"""


class PrismaClaims:
    """The part of the records that gives jobs to workers."""

    client: Prisma
    postgres_schema: str | None
    """The schema of the tables on PostgreSQL, ``None`` on SQLite."""

    async def claimable(self, *, now: datetime, limit: int) -> Sequence[str]:
        """Return ids of jobs that may be claimed now, in their turns."""
        # Two questions, for each can follow an index and stop; with one, all that may be claimed would be sorted.
        over, queued = await asyncio.gather(
            jobs_where(self.client, lapsed(now), order={"leaseUntil": "asc"}, take=limit),
            jobs_where(self.client, waiting(now), order=TURNS, take=limit),
        )
        due = [(row.priority, row.turn, row.leaseUntil, row.id) for row in over]
        due += [(row.priority, row.turn, row.availableAt, row.id) for row in queued]
        return [job_id for *_, job_id in sorted(due)[:limit]]

    async def claim_oldest(
        self, *, owner: str, now: datetime, lease_until: datetime, limit: int, busy: Collection[str] = ()
    ) -> Sequence[Job]:
        """Claim the jobs whose turn it is."""
        if self.postgres_schema is not None:
            return await self._claim_at_once(owner, now, lease_until, limit, busy)
        jobs: list[Job] = []
        for job_id in await self.claimable(now=now, limit=limit + len(busy)):
            if len(jobs) < limit and job_id not in busy:
                job = await self.claim(job_id, owner=owner, now=now, lease_until=lease_until)
                jobs += [job] if job is not None else []
        return jobs

    async def _claim_at_once(
        self, owner: str, now: datetime, lease_until: datetime, limit: int, busy: Collection[str]
    ) -> Sequence[Job]:
        schema = (self.postgres_schema or "").replace('"', '""')
        statement: Any = CLAIM_OLDEST.format(table=f'"{schema}".mediagate_job')
        rows = await execute(
            lambda: self.client.query_raw(
                statement, now, owner, lease_until, limit, list(busy), model=models.MediagateJob
            )
        )
        return sorted((job_of(row) for row in rows), key=lambda job: (job.priority, job.turn))

    async def claim(self, job_id: str, *, owner: str, now: datetime, lease_until: datetime) -> Job | None:
        """Take a claimable job by compare-and-set."""
        data = {
            "status": JobStatus.PROCESSING.value,
            "stage": Stage.MODERATE.value,
            "attempts": {"increment": 1},
            "attemptsLeft": {"decrement": 1},
            "leaseOwner": owner,
            "leaseUntil": lease_until,
        }
        where = {"id": job_id, **claimable(now)}
        row = await self._take({**where, "startedAt": None}, {**data, "startedAt": now})
        if row is None:
            row = await self._take({**where, "NOT": [{"startedAt": None}]}, data)
        return job_of(row) if row else None

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
        data: dict[str, Any] = {"leaseUntil": lease_until}
        if stage is not None:
            data["stage"] = stage.value
        if model_runs is not None:
            data["modelRuns"] = model_runs
        return await self._change(held(job_id, owner), data)

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
        data: dict[str, Any] = {
            "status": JobStatus.PENDING.value,
            "stage": Stage.QUEUED.value,
            "leaseOwner": None,
            "leaseUntil": None,
            "availableAt": available_at,
            "error": error,
            "code": code,
        }
        if not count_attempt:
            data |= {"attempts": {"decrement": 1}, "attemptsLeft": {"increment": 1}}
        return await self._change(held(job_id, owner), data)

    async def _change(self, where: Any, data: Any) -> bool:
        """Change what can be changed twice with no harm: under a lease, or to the same values."""
        return bool(await query(lambda: self.client.mediagatejob.update_many(where=where, data=data)))

    async def _take(self, where: Any, data: Any) -> Any:
        """Change a job by compare-and-set and return its row, or ``None``: one UPDATE with all these conditions."""
        return await execute(lambda: self.client.mediagatejob.update(where=where, data=data))
