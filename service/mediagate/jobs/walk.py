"""A walk through all files: it looks first, then removes files that no row needs, unless the database is in doubt."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from mediagate.jobs.expiry import BATCH
from mediagate.jobs.file_mark import FEW, is_set_back
from mediagate.parts import Parts
from mediagate.storage import ObjectInfo, is_served
from mediagate.values import SERVED, STAGING, JobStatus, media_id_of, staged_id

AT_ONCE = 20_000
"""How many files one walk removes at most, and so holds in memory: about 10 MB."""
SHARE = 0.03
"""Crashes do not leave more than this share of the published files, if that is more than ``FEW``."""
LEAST_GRACE_S = 60.0
"""By how much the clock of a storage may be ahead of the database's."""


@dataclass(slots=True)
class Useless:
    """Files that may be removed."""

    files: list[ObjectInfo] = field(default_factory=list)
    unknown: list[ObjectInfo] = field(default_factory=list)
    """The files among them that were made by a job whose end the records do not contain."""


@dataclass(slots=True)
class Look:
    """The result of a look through all files."""

    count: int = 0
    """How many files may be removed."""
    published: int = 0
    """How many published files, and outputs of pipelines, were seen."""
    unknown: int = 0
    """How many published files are unknown. Quarantine is not counted: each killed process may leave some hundred."""
    youngest: datetime | None = None
    """When the newest unknown file was written."""
    files: list[ObjectInfo] = field(default_factory=list)
    """The first ``AT_ONCE`` files that may be removed."""

    def add(self, batch: Sequence[ObjectInfo], useless: Useless) -> None:
        """Add the counts of a batch."""
        self.count += len(useless.files)
        self.published += sum(is_served(info.key) for info in batch)
        self.unknown += sum(is_served(info.key) for info in useless.unknown)
        written = [info.modified for info in useless.unknown]
        self.youngest = max([*written, *([self.youngest] if self.youngest else [])], default=None)
        self.files += useless.files[: AT_ONCE - len(self.files)]


class Walk:
    """A walk through all files; ages are measured by the records' clock."""

    def __init__(self, parts: Parts, now: datetime) -> None:
        self._parts = parts
        self._now = now
        grace = parts.settings.orphan_grace_s
        self._grace_s = math.inf if grace == "never" else grace

    async def look(self) -> Look:
        """Look at all files that may be removed, and change nothing."""
        look = Look()
        for prefix in (STAGING,) if math.isinf(self._grace_s) else (STAGING, *SERVED):
            async for batch in _batches(self._parts.storage.list(prefix)):
                look.add(batch, await self._useless(batch))
        return look

    async def doubt(self, look: Look) -> str | None:
        """Return a reason to suspect that the database is the wrong one or lacks rows, ``None`` if there is none."""
        if not look.count:
            return None
        if await is_set_back(self._parts):
            return "the database is older than the storage, as after a restore"
        if look.unknown > max(FEW, SHARE * look.published):
            return f"{look.unknown:,} of {look.published:,} published files have no record"
        last = (await self._parts.records.list_jobs(limit=1)).items
        newest = last[0].job.created_at if last else None
        if newest and look.youngest and look.youngest > newest + timedelta(seconds=max(self._grace_s, LEAST_GRACE_S)):
            return f"files without a record are newer than the last upload on record ({newest:%Y-%m-%d %H:%M} UTC)"
        return None

    async def remove(self, files: Sequence[ObjectInfo]) -> list[str]:
        """Remove the files that may still be removed, and return their keys."""
        removed: list[str] = []
        for first in range(0, len(files), BATCH):
            # Checked again: since the look, a job may have been retried under the same keys.
            useless = await self._useless(files[first : first + BATCH])
            keys = [info.key for info in useless.files]
            if keys:
                await self._parts.storage.delete(keys)
            removed += keys
        return removed

    async def _useless(self, batch: Sequence[ObjectInfo]) -> Useless:
        useless = Useless()
        await self._stale(useless, [info for info in batch if info.key.startswith(STAGING)])
        await self._orphans(useless, [info for info in batch if not info.key.startswith(STAGING)])
        return useless

    async def _stale(self, useless: Useless, staged: Sequence[ObjectInfo]) -> None:
        """Find quarantined files that nothing needs.

        A failed job retains its file for a retry, for ``staging_ttl_s``; a file without a job is an orphan. The file of
        a direct upload is retained while the upload may be completed; ``sweep_expired`` removes it later.
        """
        if not staged:
            return
        ids, ttl_s = {staged_id(info.key) for info in staged}, self._parts.settings.staging_ttl_s
        jobs, uploads = await self._parts.records.get_jobs(ids), await self._parts.records.get_uploads(ids)
        awaited = {upload.id for upload in uploads.values() if upload.job_id is None}
        for info in staged:
            job = jobs.get(staged_id(info.key))
            if (job is not None and not job.status.terminal) or staged_id(info.key) in awaited:
                continue
            since, keep_s = info.modified, self._grace_s
            if job is not None and job.status is JobStatus.FAILED:
                since, keep_s = max(since, job.finished_at or since), ttl_s
            elif job is not None:
                keep_s = min(keep_s, ttl_s)
            if self._over(since, keep_s):
                useless.files.append(info)
                # A file sent for a deleted direct upload casts no doubt: it was never promised to be retained.
                useless.unknown += [info] if job is None and staged_id(info.key).startswith("job_") else []

    async def _orphans(self, useless: Useless, published: Sequence[ObjectInfo]) -> None:
        if not published:
            return
        ids = {media_id_of(info.key) for info in published}
        jobs = await self._parts.records.jobs_of_media(ids)
        for info in published:
            job, named = jobs.get(media_id_of(info.key), (None, False))
            if named or (job is not None and not job.terminal):
                continue
            if self._over(info.modified, self._grace_s):
                useless.files.append(info)
                # A job on record as failed may have completed before the database was restored.
                useless.unknown += [info] if job in (None, JobStatus.FAILED) else []

    def _over(self, since: datetime, keep_s: float) -> bool:
        return (self._now - since).total_seconds() > keep_s


async def _batches(objects: AsyncIterator[ObjectInfo]) -> AsyncIterator[list[ObjectInfo]]:
    batch: list[ObjectInfo] = []
    async for info in objects:
        batch.append(info)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
