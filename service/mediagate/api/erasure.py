"""Erasing the data of an owner, in batches; a repeated call continues after a crash."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from contextlib import suppress

from mediagate.api.jobs import cancel
from mediagate.api.owner import BATCH, check_named, usage_ever
from mediagate.api.runtime import Runtime
from mediagate.errors import JobConflict, JobNotFound, MediaDeleted
from mediagate.jobs import delete_media, delete_outputs, made_files, resume_finish
from mediagate.records import get_state
from mediagate.values import Erased, Erasure, Job, JobKind, JobState, JobStatus

log = logging.getLogger("mediagate.owners")

AT_ONCE = 8
"""How many jobs are ended concurrently; each takes several requests of the storage."""


async def erase(owner: str, runtime: Runtime) -> Erased:
    """Remove everything that records, storage and plugins hold of an owner; return the counts.

    Raises ``InvalidParameter``, ``Unavailable``, and the errors of ``pre_erase`` hooks.
    """
    check_named(owner)
    parts, records = runtime.parts, runtime.parts.records
    erasure = Erasure(owner, frozenset((await usage_ever(owner, parts)).keys))
    # First, so that the owner's credentials admit no further uploads.
    await parts.hooks.run("pre_erase", erasure)
    eraser = _Eraser(owner, runtime)
    # Before the jobs: without its row, a direct upload can no longer become a job.
    await eraser.erase_uploads()
    await eraser.erase_jobs()
    batches = await records.batches.forget(owner_id=owner)
    left = (await records.list_jobs(owner_id=owner, limit=1)).items or await records.uploads_of(owner, limit=1)
    others = {noun: number for noun, number in erasure.removed.items() if number}
    erased = Erased(eraser.jobs, eraser.media, eraser.uploads, eraser.files, others, not left, batches)
    log.info(
        "erased an owner (SHA-256 %s): %d jobs, %d media, %d direct uploads, %d files; complete: %s",
        hashlib.sha256(owner.encode()).hexdigest(),
        erased.jobs,
        erased.media,
        erased.uploads,
        erased.files,
        "yes" if erased.complete else "no",
    )
    return erased


class _Eraser:
    """Erases what the records and the storage hold of an owner, and counts it."""

    def __init__(self, owner: str, runtime: Runtime) -> None:
        self.jobs = self.media = self.uploads = self.files = 0
        self._owner = owner
        self._runtime = runtime
        self._parts = runtime.parts
        self._free = asyncio.Semaphore(AT_ONCE)

    async def erase_uploads(self) -> None:
        """Delete the owner's direct uploads, completed ones too, and the files that were sent for them."""
        records, after = self._parts.records, ""
        while batch := await records.uploads_of(self._owner, limit=BATCH, after=after):
            keys = [upload.staging_key for upload in batch]
            for key in keys:
                self.files += await self._parts.storage.stat(key) is not None
            await self._parts.storage.delete(keys)
            expired_by = max(upload.expires_at for upload in batch)
            self.uploads += await records.forget_uploads([upload.id for upload in batch], now=expired_by)
            after = batch[-1].id

    async def erase_jobs(self) -> None:
        """Delete the jobs that are on record now, the newest first."""
        records = self._parts.records
        cursor: str | None = None
        while True:
            page = await records.list_jobs(owner_id=self._owner, limit=BATCH, cursor=cursor)
            try:
                async with asyncio.TaskGroup() as group:
                    ending = [group.create_task(self._end(state)) for state in page.items]
            except BaseExceptionGroup as failed:
                raise failed.exceptions[0] from None
            left = [key for task in ending for key in task.result()]
            # Files first: after a crash in between, the rows still name the files to remove.
            await self._parts.storage.delete(left)
            self.jobs += await records.erase_jobs(self._owner, [state.job.id for state in page.items])
            for state in page.items:
                self._runtime.watch.forget(state.job.id)
            cursor = page.next_cursor
            if cursor is None:
                return

    async def _end(self, listed: JobState) -> list[str]:
        """End a job and delete its media; return the keys of all its files, which are to be deleted."""
        storage, job = self._parts.storage, listed.job
        async with self._free:
            staged = [key for key in job.staged_keys if await storage.stat(key) is not None]
            state = listed if _is_over(job) else await self._end_live(job.id)
            if state is None:
                return []  # another call was faster
            # Includes files that no media names, which attempts that died may have left.
            made = await made_files(job, self._parts)
            if state.media is not None and await delete_media(state.media, self._parts):
                self.media += 1
                await self._parts.hooks.run("on_deleted", state.media)
            if state.job.kind is JobKind.PIPELINE and state.job.status is JobStatus.COMPLETE:
                await delete_outputs(state, self._parts, await self._parts.records.now())
            self.files += len(staged) + len(made)
            return [*job.staged_keys, *made]

    async def _end_live(self, job_id: str) -> JobState | None:
        """Cancel a live job, run the hooks of its end, and return its state; ``None`` when it is gone."""
        while (state := await get_state(self._parts.records, job_id)) is not None and not _is_over(state.job):
            if state.job.status.terminal:
                await resume_finish(job_id, self._parts)
            else:
                with suppress(JobConflict, JobNotFound, MediaDeleted):
                    await cancel(job_id, self._runtime)
        return state


def _is_over(job: Job) -> bool:
    return job.status.terminal and job.notified_at is not None
