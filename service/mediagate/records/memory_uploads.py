"""Direct uploads in memory, and which rows of a dictionary have expired."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from mediagate.records.memory_turns import MemoryTurns
from mediagate.values import DirectUpload, Job, Media

Expiring = TypeVar("Expiring", DirectUpload, Media)


class MemoryUploads(MemoryTurns):
    """The part of ``MemoryRecords`` that keeps direct uploads beside the jobs which take them."""

    def __init__(self) -> None:
        super().__init__()
        self._uploads: dict[str, DirectUpload] = {}

    async def create_upload(self, upload: DirectUpload) -> None:
        """Insert a direct upload."""
        self._uploads[upload.id] = upload

    async def get_uploads(self, upload_ids: Collection[str]) -> Mapping[str, DirectUpload]:
        """Return each of these direct uploads that is on record."""
        return {i: self._uploads[i] for i in upload_ids if i in self._uploads}

    async def complete_upload(self, upload_id: str, job: Job, *, expires_at: datetime) -> bool:
        """Insert a PENDING job and name it in its upload, unless that has one."""
        upload = self._uploads.get(upload_id)
        if upload is None or upload.job_id is not None:
            return False
        self._uploads[upload_id] = replace(upload, job_id=job.id, expires_at=expires_at)
        self._insert(job)
        return True

    async def expired_uploads(
        self, *, now: datetime, limit: int, after: DirectUpload | None = None
    ) -> Sequence[DirectUpload]:
        """Return uploads whose time is over."""
        return expired(self._uploads.values(), now, limit, after)

    async def forget_uploads(self, upload_ids: Collection[str], *, now: datetime) -> int:
        """Delete those of these uploads that have expired."""
        gone = [i for i in set(upload_ids) if i in self._uploads and self._uploads[i].expires_at <= now]
        for upload_id in gone:
            del self._uploads[upload_id]
        return len(gone)


def expired(rows: Iterable[Expiring], now: datetime, limit: int, after: Expiring | None) -> list[Expiring]:
    """Return the rows whose time is over, by their expiry and id, from behind ``after`` on."""

    def place(row: Expiring) -> tuple[datetime, str]:
        return row.expires_at or now, row.id

    over = [row for row in rows if row.expires_at is not None and row.expires_at <= now]
    return sorted((row for row in over if after is None or place(row) > place(after)), key=place)[:limit]
