"""Direct uploads through Prisma."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from mediagate.records.client.errors import RecordNotFoundError
from mediagate.records.queries import EXPIRY, execute, expired, query
from mediagate.records.rows import job_row, upload_of, upload_row
from mediagate.records.turns import PrismaTurns
from mediagate.values import DirectUpload, Job


class PrismaUploads(PrismaTurns):
    """The part of ``PrismaRecords`` that keeps direct uploads."""

    async def create_upload(self, upload: DirectUpload) -> None:
        """Insert a direct upload."""
        await execute(lambda: self.client.mediagateupload.create(data=upload_row(upload)))

    async def get_uploads(self, upload_ids: Collection[str]) -> Mapping[str, DirectUpload]:
        """Return each of these direct uploads that is on record."""
        where: Any = {"id": {"in": list(upload_ids)}}
        rows = await query(lambda: self.client.mediagateupload.find_many(where=where))
        return {row.id: upload_of(row) for row in rows}

    async def complete_upload(self, upload_id: str, job: Job, *, expires_at: datetime) -> bool:
        """Insert a PENDING job and name it in its upload, unless that has one, in one transaction."""
        where: Any = {"id": upload_id, "jobId": None}
        data: Any = {"jobId": job.id, "expiresAt": expires_at}
        row = job_row(await self._with_turn(job))

        async def both() -> None:
            # Never repeated: if only the answer was lost, a second one would find the upload taken, by this very job.
            async with self.client.batch_() as batch:
                # Fails, and the job with it, unless the upload is still without one.
                batch.mediagateupload.update(where=where, data=data)
                batch.mediagatejob.create(data=row)

        try:
            await execute(both)
        except RecordNotFoundError:
            return False
        return True

    async def expired_uploads(
        self, *, now: datetime, limit: int, after: DirectUpload | None = None
    ) -> Sequence[DirectUpload]:
        """Return uploads whose time is over."""
        uploads, where = self.client.mediagateupload, expired(now, after)
        rows = await query(lambda: uploads.find_many(where=where, order=EXPIRY, take=limit))
        return [upload_of(row) for row in rows]

    async def forget_uploads(self, upload_ids: Collection[str], *, now: datetime) -> int:
        """Delete those of these uploads that have expired."""
        where: Any = {"id": {"in": list(upload_ids)}, "expiresAt": {"lte": now}}
        return await execute(lambda: self.client.mediagateupload.delete_many(where=where))
