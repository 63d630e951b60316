"""Rows of direct uploads."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from mediagate.records.client_patches import Prisma, RecordNotFoundError
from mediagate.records.prisma.expiry import EXPIRY, expired
from mediagate.records.prisma.rows import job_row
from mediagate.records.prisma.upload_rows import upload_of, upload_row
from mediagate.records.queries import execute, query
from mediagate.values import DirectUpload, Job


async def create_upload(client: Prisma, upload: DirectUpload) -> None:
    """Insert a direct upload."""
    await execute(lambda: client.mediagateupload.create(data=upload_row(upload)))


async def get_uploads(client: Prisma, upload_ids: Collection[str]) -> Mapping[str, DirectUpload]:
    """Return the existing ones of these direct uploads by id."""
    where: Any = {"id": {"in": list(upload_ids)}}
    rows = await query(lambda: client.mediagateupload.find_many(where=where))
    return {row.id: upload_of(row) for row in rows}


async def complete_upload(client: Prisma, upload_id: str, job: Job, expires_at: datetime) -> bool:
    """Insert a job that has its turn and store it in its upload, unless that has a job, in one transaction."""
    where: Any = {"id": upload_id, "jobId": None}
    data: Any = {"jobId": job.id, "expiresAt": expires_at}
    row = job_row(job)

    async def both() -> None:
        # Never repeated: if only the answer was lost, a repetition would find the upload taken by this very job.
        async with client.batch_() as batch:
            # Fails, together with the insert, if the upload has a job by now.
            batch.mediagateupload.update(where=where, data=data)
            batch.mediagatejob.create(data=row)

    try:
        await execute(both)
    except RecordNotFoundError:
        return False
    return True


async def expired_uploads(client: Prisma, now: datetime, limit: int, after: DirectUpload | None) -> list[DirectUpload]:
    """Return expired direct uploads after ``after``, ordered by expiry and id."""
    uploads, where = client.mediagateupload, expired(now, after)
    rows = await query(lambda: uploads.find_many(where=where, order=EXPIRY, take=limit))
    return [upload_of(row) for row in rows]


async def uploads_of(client: Prisma, owner_id: str, limit: int, after: str) -> list[DirectUpload]:
    """Return an owner's direct uploads with an id after ``after``, ordered by id."""
    where: Any = {"ownerId": owner_id, "id": {"gt": after}}
    rows = await query(lambda: client.mediagateupload.find_many(where=where, order={"id": "asc"}, take=limit))
    return [upload_of(row) for row in rows]


async def forget_uploads(client: Prisma, upload_ids: Collection[str], now: datetime) -> int:
    """Delete the expired ones of these direct uploads, and return their number."""
    where: Any = {"id": {"in": list(upload_ids)}, "expiresAt": {"lte": now}}
    return await execute(lambda: client.mediagateupload.delete_many(where=where))
