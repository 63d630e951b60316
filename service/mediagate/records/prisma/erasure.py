"""Deleting the jobs of an owner, with all rows that refer to them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from mediagate.records.client_patches import Prisma
from mediagate.records.database import Database
from mediagate.records.prisma.turns import KEEP_TIME, LEAVE
from mediagate.records.queries import query
from mediagate.values import EventType, JobStatus

TERMINAL = ", ".join(f"'{status}'" for status in JobStatus if status.terminal)
JOBS = f"""
DELETE FROM mediagate_job WHERE id IN ({{ids}}) AND "ownerId" = ? AND status IN ({TERMINAL})
AND NOT EXISTS (SELECT 1 FROM mediagate_media AS media WHERE media."jobId" = mediagate_job.id)
AND NOT EXISTS (SELECT 1 FROM mediagate_output AS output WHERE output."jobId" = mediagate_job.id)
"""
"""A media's row names its files, as outputs do: if a retry published one meanwhile, its job stays for the next call.

Prisma's condition on a relation would read all media.
"""
_GONE = 'NOT EXISTS (SELECT 1 FROM mediagate_job AS job WHERE job.id = {table}."jobId")'
EVENTS = f"""
DELETE FROM mediagate_event WHERE "jobId" IN ({{ids}}) AND type <> '{EventType.MEDIA_DELETED}'
AND {_GONE.format(table="mediagate_event")}
"""
KEYS = f"""
DELETE FROM mediagate_idempotency_key WHERE "jobId" IN ({{ids}}) AND {_GONE.format(table="mediagate_idempotency_key")}
"""


async def erase_jobs(client: Prisma, database: Database, owner_id: str, job_ids: Collection[str]) -> int:
    """Delete the terminal ones of these jobs that have no media and no outputs; returns how many are gone."""
    ids = list(job_ids)
    if not ids:
        return 0
    places = ", ".join("?" * len(ids))
    statements: list[tuple[str, list[str]]] = [
        (KEEP_TIME.format(ids=places), ids),
        (JOBS.format(ids=places), [*ids, owner_id]),
        (EVENTS.format(ids=places), ids),
        (KEYS.format(ids=places), ids),
        (LEAVE, [owner_id]),
    ]

    async def all_of_it() -> None:
        async with client.batch_() as batch:
            for statement, values in statements:
                sql: Any = database.sql(statement)
                batch.execute_raw(sql, *values)

    await query(all_of_it)
    left: Any = {"id": {"in": ids}}
    return len(ids) - await query(lambda: client.mediagatejob.count(where=left))
