"""Deleting the jobs of an owner, with all rows that refer to them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from mediagate.records.client_patches import Prisma
from mediagate.records.database import Database
from mediagate.records.prisma.turns import keep_time, leave_turns
from mediagate.records.queries import query
from mediagate.values import EventType, JobStatus

TERMINAL = [status.value for status in JobStatus if status.terminal]


async def erase_jobs(client: Prisma, database: Database, owner_id: str, job_ids: Collection[str]) -> int:
    """Delete the terminal ones of these jobs that have no media; returns how many are gone."""
    ids = list(job_ids)
    # A media's row names its files, so the job of a media that a concurrent retry published stays for the next call.
    jobs: Any = {"id": {"in": ids}, "ownerId": owner_id, "status": {"in": TERMINAL}, "media": {"is": None}}
    events: Any = {"jobId": {"in": ids}, "NOT": [{"type": EventType.MEDIA_DELETED.value}]}

    async def all_of_it() -> None:
        async with client.batch_() as batch:
            # Jobs first: one that is gone gets no more events.
            batch.mediagatejob.delete_many(where=jobs)
            batch.mediagateevent.delete_many(where=events)
            batch.mediagateidempotencykey.delete_many(where={"jobId": {"in": ids}})

    await keep_time(database, ids)
    await query(all_of_it)
    await leave_turns(database, owner_id)
    left: Any = {"id": {"in": ids}}
    return len(ids) - await query(lambda: client.mediagatejob.count(where=left))
