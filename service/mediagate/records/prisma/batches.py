"""Batches in the database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from mediagate.records.batches import Batches
from mediagate.records.client_patches import Prisma, RecordNotFoundError
from mediagate.records.database import Database
from mediagate.records.prisma.jobs import LIVE
from mediagate.records.prisma.outbox import write_events
from mediagate.records.prisma.pipeline_columns import stages_of
from mediagate.records.prisma.rows import job_row
from mediagate.records.prisma.turns import with_turns
from mediagate.records.queries import execute, query, update_one
from mediagate.values import Batch, BatchChild, BatchState, EventsOfBatch, Job, JobStatus, Stage, no_batch_events

_LIVE = ", ".join(f"'{status}'" for status in LIVE)
CHILDREN = """
SELECT id, status, stage, stages, code, "clientReferenceId", "finishedAt" FROM mediagate_job
WHERE "batchId" = ? ORDER BY "batchPosition"
"""
"""Not through a model, which would read all columns: the steps of a job alone may have 2 MB."""
A_LIVE_ONE = f"""
SELECT 1 AS live FROM mediagate_job WHERE "batchId" = ? AND status IN ({_LIVE}) LIMIT 1
"""
UNREPORTED = f"""
SELECT id FROM mediagate_batch AS batch WHERE "reportedAt" IS NULL AND NOT EXISTS (
    SELECT 1 FROM mediagate_job AS job WHERE job."batchId" = batch.id AND job.status IN ({_LIVE})
) ORDER BY "createdAt", id LIMIT {{limit}}
"""
FORGET = """
DELETE FROM mediagate_batch WHERE {theirs} AND NOT EXISTS (
    SELECT 1 FROM mediagate_job AS job WHERE job."batchId" = mediagate_batch.id
) RETURNING id
"""


class PrismaBatches(Batches):
    """The batches in a table, beside the jobs that name them."""

    def __init__(self, client: Prisma, database: Database) -> None:
        self._client = client
        self._database = database

    async def create(
        self,
        batch: Batch,
        jobs: Sequence[Job],
        *,
        key: str | None = None,
        fingerprint: str | None = None,
        key_expires_at: datetime | None = None,
    ) -> bool:
        row = _batch_row(batch)
        rows = [job_row(job) for job in await with_turns(self._database, jobs)]
        free: Any = {"key": key, "jobId": None}
        bound: Any = {"jobId": jobs[0].id, "fingerprint": fingerprint, "expiresAt": key_expires_at}

        async def all_of_it() -> None:
            async with self._client.batch_() as statements:
                statements.mediagatebatch.create(data=row)
                for one in rows:
                    statements.mediagatejob.create(data=one)
                if key is not None:
                    # Fails, together with the rest, when another job has been bound to the key meanwhile.
                    statements.mediagateidempotencykey.update(where=free, data=bound)

        try:
            await execute(all_of_it)
        except RecordNotFoundError:
            return False
        return True

    async def get(self, batch_id: str) -> BatchState | None:
        row = await query(lambda: self._client.mediagatebatch.find_unique(where={"id": batch_id}))
        if row is None:
            return None
        return BatchState(_batch_of(row), tuple(await self._children(batch_id)))

    async def _children(self, batch_id: str) -> list[BatchChild]:
        sql: Any = self._database.sql(CHILDREN)
        rows: list[dict[str, Any]] = await query(lambda: self._client.query_raw(sql, batch_id))
        return [_child_of(row) for row in rows]

    async def report(self, batch_id: str, *, now: datetime, events_of: EventsOfBatch = no_batch_events) -> bool:
        # First, since each job of a batch asks at its end, and all but the last find one.
        sql: Any = self._database.sql(A_LIVE_ONE)
        if await query(lambda: self._client.query_raw(sql, batch_id)):
            return False
        state = await self.get(batch_id)
        if state is None or state.batch.reported_at is not None or not state.status.terminal:
            return False
        where: Any = {"id": batch_id, "reportedAt": None}
        events = events_of(state)

        async def both() -> None:
            async with self._client.batch_() as statements:
                # Fails, together with the rest, when another process has reported the batch meanwhile.
                statements.mediagatebatch.update(where=where, data={"reportedAt": now})
                write_events(statements, events)

        return await update_one(both, unheard=True)

    async def unreported(self, *, limit: int) -> Sequence[str]:
        rows = await self._database.fetch_rows(UNREPORTED.format(limit=int(limit)))
        return [str(row["id"]) for row in rows]

    async def of_owner(self, owner_id: str, *, limit: int, after: str = "") -> Sequence[Batch]:
        where: Any = {"ownerId": owner_id, "id": {"gt": after}}
        rows = await query(lambda: self._client.mediagatebatch.find_many(where=where, order={"id": "asc"}, take=limit))
        return [_batch_of(row) for row in rows]

    async def forget(self, *, owner_id: str | None = None) -> int:
        theirs, values = ('"ownerId" = ?', [owner_id]) if owner_id is not None else ("true", [])
        rows = await self._database.fetch_rows(FORGET.format(theirs=theirs), *values)
        where: Any = {"jobId": {"in": [str(row["id"]) for row in rows]}}
        if rows:
            await query(lambda: self._client.mediagateevent.delete_many(where=where))
        return len(rows)


def _batch_row(batch: Batch) -> Any:
    return {
        "id": batch.id,
        "createdAt": batch.created_at,
        "clientReferenceId": batch.client_reference_id,
        "callbackUrl": batch.callback_url,
        "ownerId": batch.owner_id,
        "reportedAt": batch.reported_at,
    }


def _batch_of(row: Any) -> Batch:
    return Batch(row.id, row.createdAt, row.clientReferenceId, row.callbackUrl, row.ownerId, row.reportedAt)


def _child_of(row: dict[str, Any]) -> BatchChild:
    return BatchChild(
        row["id"],
        JobStatus(row["status"]),
        Stage(row["stage"]),
        row["clientReferenceId"],
        row["code"],
        datetime.fromisoformat(row["finishedAt"]) if row["finishedAt"] else None,
        stages_of(row["stages"]),
    )
