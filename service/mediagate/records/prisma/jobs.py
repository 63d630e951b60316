"""Rows of jobs: inserted with their keys, read by condition, changed by compare-and-set."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from mediagate.records.client_patches import Prisma, RecordNotFoundError
from mediagate.records.database import Database
from mediagate.records.prisma.job_changes import change_job, take_job
from mediagate.records.prisma.later import BOUND, time_of
from mediagate.records.prisma.media import media_where
from mediagate.records.prisma.outputs import read_outputs
from mediagate.records.prisma.rows import job_of, job_row, requeued_columns
from mediagate.records.prisma.turns import keep_time
from mediagate.records.queries import execute, query
from mediagate.values import Job, JobKind, JobState, JobStatus, Stage

LIVE = [JobStatus.PENDING.value, JobStatus.PROCESSING.value]


async def create_job(
    client: Prisma, job: Job, *, key: str | None, fingerprint: str | None, key_expires_at: datetime | None
) -> bool:
    """Insert a job that has its turn and bind the reserved key to it, in one transaction."""
    row = job_row(job)
    free: Any = {"key": key, "jobId": None}
    bound: Any = {"jobId": job.id, "fingerprint": fingerprint, "expiresAt": key_expires_at}

    async def both() -> None:
        async with client.batch_() as batch:
            batch.mediagatejob.create(data=row)
            # Fails, together with the insert, when another job has been bound to the key meanwhile.
            batch.mediagateidempotencykey.update(where=free, data=bound)

    try:
        await execute(lambda: client.mediagatejob.create(data=row) if key is None else both())
    except RecordNotFoundError:
        return False
    return True


async def jobs_where(client: Prisma, where: Any, *, take: int | None = None, order: Any = None) -> list[Any]:
    """Return the rows of the jobs that match a condition."""
    return await query(lambda: client.mediagatejob.find_many(where=where, take=take, order=order))


async def get_jobs(client: Prisma, job_ids: Collection[str]) -> Mapping[str, Job]:
    """Return the existing ones of these jobs by id."""
    return {row.id: job_of(row) for row in await jobs_where(client, {"id": {"in": list(job_ids)}})}


async def changed_jobs(client: Prisma, known: Mapping[str, tuple[JobStatus, Stage] | None]) -> Mapping[str, JobState]:
    """Return by id the states of those of these jobs whose status or stage differs from the known one."""
    jobs = [job_of(row) for row in await jobs_where(client, _moved_since(known))] if known else []
    complete = [job.media_id for job in jobs if job.status is JobStatus.COMPLETE and job.kind is JobKind.MEDIA]
    media = await media_where(client, {"id": {"in": complete}}) if complete else {}
    outputs = await read_outputs(client, jobs)
    return {job.id: JobState(job, media.get(job.media_id), outputs.get(job.id, ())) for job in jobs}


def _moved_since(known: Mapping[str, tuple[JobStatus, Stage] | None]) -> Any:
    """Return the condition of a job whose status or stage differs from the known one."""
    ids: defaultdict[tuple[JobStatus, Stage] | None, list[str]] = defaultdict(list)
    for job_id, place in known.items():
        ids[place].append(job_id)
    return {
        "OR": [
            {"id": {"in": there}}
            | ({"NOT": [{"status": place[0].value, "stage": place[1].value}]} if place is not None else {})
            for place, there in ids.items()
        ]
    }


async def oldest_waiting(client: Prisma) -> datetime | None:
    """Return when the job that has waited longest for its first attempt became claimable."""
    waiting = {"status": JobStatus.PENDING.value, "attempts": 0}
    found = await asyncio.gather(
        *(
            jobs_where(client, {**waiting, "availableAt": times}, order={"availableAt": "asc"}, take=1)
            for times in ({"lt": BOUND}, {"gte": BOUND})
        )
    )
    return min((since for rows in found for row in rows if (since := time_of(row.availableAt))), default=None)


async def jobs_of_media(
    client: Prisma, media_ids: Collection[str], owner_id: str | None
) -> Mapping[str, tuple[JobStatus, bool]]:
    """Return by media id the status of the job that makes the media, and whether the media is on record."""
    where: Any = {"mediaId": {"in": list(media_ids)}}
    if owner_id is not None:
        where["ownerId"] = owner_id
    # The engine reads the media after the jobs, as the protocol requires.
    rows = await query(lambda: client.mediagatejob.find_many(where=where, include={"media": True}))
    return {row.mediaId: (JobStatus(row.status), row.media is not None or _has_outputs(row)) for row in rows}


def _has_outputs(row: Any) -> bool:
    complete = (JobKind.PIPELINE.value, JobStatus.COMPLETE.value)
    return (row.kind, row.status) == complete and row.clearedAt is None


async def count_live(client: Prisma) -> int:
    """Return the number of live jobs."""
    where: Any = {"status": {"in": LIVE}}
    return await query(lambda: client.mediagatejob.count(where=where))


async def unnotified(client: Prisma, before: datetime, limit: int) -> list[str]:
    """Return ids of terminal jobs that finished before ``before`` and whose hooks have not all run."""
    where = {"notifiedAt": None, "finishedAt": {"lt": before}}
    return [row.id for row in await jobs_where(client, where, order={"finishedAt": "asc"}, take=limit)]


async def mark_notified(client: Prisma, job_id: str, ended_at: datetime | None, now: datetime) -> None:
    """Record that the hooks of a job's end have run."""
    await change_job(client, {"id": job_id, "finishedAt": ended_at}, {"notifiedAt": now})


async def requeue(client: Prisma, database: Database, job_id: str, now: datetime) -> Job | None:
    """Move a FAILED job back to PENDING with all its attempts."""
    job = (await get_jobs(client, [job_id])).get(job_id)
    if job is None or job.status is not JobStatus.FAILED:
        return None
    await keep_time(database, job_id)
    row = await take_job(client, {"id": job_id, "status": JobStatus.FAILED.value}, requeued_columns(job, now))
    return job_of(row) if row else None
