"""Direct uploads in memory."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime

from mediagate.records.memory.expiry import expired
from mediagate.values import DirectUpload, Job


class DirectUploads:
    """Direct uploads by id."""

    def __init__(self) -> None:
        self._uploads: dict[str, DirectUpload] = {}

    def add(self, upload: DirectUpload) -> None:
        """Add an upload."""
        self._uploads[upload.id] = upload

    def get(self, upload_ids: Collection[str]) -> dict[str, DirectUpload]:
        """Return the existing ones of these uploads by id."""
        return {i: self._uploads[i] for i in upload_ids if i in self._uploads}

    def complete(self, upload_id: str, job: Job, expires_at: datetime) -> bool:
        """Store a job in its upload; ``False`` when the upload already has a job or does not exist."""
        upload = self._uploads.get(upload_id)
        if upload is None or upload.job_id is not None:
            return False
        self._uploads[upload_id] = replace(upload, job_id=job.id, expires_at=expires_at)
        return True

    def expired(self, now: datetime, limit: int, after: DirectUpload | None) -> list[DirectUpload]:
        """Return expired uploads after ``after``, ordered by expiry and id."""
        return expired(self._uploads.values(), now, limit, after)

    def of(self, owner_id: str, limit: int, after: str) -> list[DirectUpload]:
        """Return an owner's uploads with an id after ``after``, ordered by id."""
        found = [upload for upload in self._uploads.values() if upload.owner_id == owner_id and upload.id > after]
        return sorted(found, key=lambda upload: upload.id)[:limit]

    def forget(self, upload_ids: Collection[str], now: datetime) -> int:
        """Delete the expired ones of these uploads; returns their number."""
        gone = [i for i in set(upload_ids) if i in self._uploads and self._uploads[i].expires_at <= now]
        for upload_id in gone:
            del self._uploads[upload_id]
        return len(gone)
