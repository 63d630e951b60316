"""Ends of jobs and media in the database: each end is one transaction with its events."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from mediagate.records.client_patches import Prisma
from mediagate.records.database import Database
from mediagate.records.prisma.claims import held
from mediagate.records.prisma.jobs import LIVE, jobs_where
from mediagate.records.prisma.later import passed
from mediagate.records.prisma.outbox import write_events
from mediagate.records.prisma.pipeline_columns import output_row
from mediagate.records.prisma.rows import job_of, media_row, settled_columns
from mediagate.records.prisma.turns import keep_time
from mediagate.records.queries import execute, query, update_one
from mediagate.records.settlement import Settlement, cancelled, died_each_time
from mediagate.values import Event, EventsOf, Job, JobStatus, Media


async def settle(
    client: Prisma, job: Job, owner: str, now: datetime, settlement: Settlement, events_of: EventsOf
) -> bool:
    """End a job in one transaction that checks the lease owner."""
    return await _settle(client, held(job.id, owner), job, settlement, now, events_of)


async def fail_exhausted(client: Prisma, now: datetime, limit: int, events_of: EventsOf) -> list[str]:
    """Fail live jobs whose worker died on each attempt, and return their ids."""
    failed = []
    for row in await _find_exhausted(client, now, limit):
        job = job_of(row)
        where = {"id": job.id, "OR": [_spent(), _died(now)]}
        if await _settle(client, where, job, died_each_time(job), now, events_of):
            failed.append(job.id)
    return failed


async def cancel(client: Prisma, database: Database, job_id: str, now: datetime, events_of: EventsOf) -> Job | None:
    """Move a live job to CANCELLED and clear its lease."""
    data = {"status": JobStatus.CANCELLED.value, "finishedAt": now, "leaseOwner": None, "leaseUntil": None}
    while True:
        row = await query(lambda: client.mediagatejob.find_unique(where={"id": job_id}))
        if row is None or row.status not in LIVE:
            return None
        if row.startedAt is not None:
            await keep_time(database, job_id)
        job = cancelled(job_of(row), now)
        # The update applies only to the state that was read and reported; a job that changes meanwhile is read again.
        where = {"id": job_id, "status": row.status, "stage": row.stage, "attempts": row.attempts}
        if await _end(client, where, data, events_of(job)):
            return job


async def delete_media(client: Prisma, media_id: str, events: tuple[Event, ...]) -> bool:
    """Delete a media row and its variants; ``False`` when there was none."""

    async def both() -> None:
        async with client.batch_() as batch:
            batch.mediagatemedia.delete(where={"id": media_id})
            write_events(batch, events)

    return await update_one(both, unheard=True)


async def _settle(
    client: Prisma, where: Any, job: Job, settlement: Settlement, now: datetime, events_of: EventsOf
) -> bool:
    data = {**settled_columns(settlement), "finishedAt": now}
    events = events_of(settlement.state_of(job, now).job)
    outputs = [output_row(job.id, output) for output in settlement.outputs]
    return await _end(client, where, data, events, settlement.media, outputs)


async def _end(
    client: Prisma,
    where: Any,
    data: Any,
    events: tuple[Event, ...],
    media: Media | None = None,
    outputs: Sequence[Any] = (),
) -> bool:
    """Change a job together with its events, media and outputs, unless its state differs from ``where``."""
    if media is None and not events and not outputs:
        return bool(await execute(lambda: client.mediagatejob.update_many(where=where, data=data)))

    async def all_of_it() -> None:
        # All in one request: an interactive transaction would hold SQLite's only write lock meanwhile.
        async with client.batch_() as batch:
            # Fails, together with the rest, unless the job matches.
            batch.mediagatejob.update(where=where, data=data)
            if media is not None:
                batch.mediagatemedia.create(data=media_row(media))
            for output in outputs:
                batch.mediagateoutput.create(data=output)
            write_events(batch, events)

    return await update_one(all_of_it)


async def _find_exhausted(client: Prisma, now: datetime, limit: int) -> list[Any]:
    """Return the rows of jobs with no attempt left and no worker, by two queries that each use an index."""
    died = await jobs_where(client, _died(now), order={"leaseUntil": "asc"}, take=limit)
    if len(died) == limit:
        return died
    return died + await jobs_where(client, _spent(), take=limit - len(died))


def _spent() -> Any:
    return {"attemptsLeft": {"lte": 0}, "status": JobStatus.PENDING.value}


def _died(now: datetime) -> Any:
    return {"attemptsLeft": {"lte": 0}, "status": JobStatus.PROCESSING.value, **passed("leaseUntil", now)}
