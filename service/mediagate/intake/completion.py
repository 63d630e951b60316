"""The completion of a direct upload: its file is copied, checked and recorded as a job."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

from mediagate.errors import (
    ObjectChanged,
    ObjectNotFound,
    RequestError,
    UploadInFlight,
    UploadMismatch,
    UploadNotFound,
    UploadNotReceived,
    UploadReceived,
)
from mediagate.images import check_head
from mediagate.intake.acceptance import announce, log_unrecorded, make_job
from mediagate.intake.content import AGAIN_S, discard
from mediagate.intake.declaration import check_current, find_upload, unknown_upload
from mediagate.intake.idempotency import replay_until
from mediagate.intake.spool import receive_source
from mediagate.parts import Parts
from mediagate.records import get_job, hold
from mediagate.storage import streaming
from mediagate.values import DirectUpload, Job, new_id, staging_key


async def complete(
    upload_id: str,
    parts: Parts,
    spool_dir: Path,
    *,
    owner: str | None,
    room: Callable[[int], AbstractContextManager[None]],
    on_upload: Callable[[DirectUpload], Awaitable[None]] | None = None,
) -> tuple[Job, bool]:
    """Check the file of a direct upload and record its job; return the job and whether it is new.

    One request at a time does so, across all processes. ``on_upload`` is called first and may refuse by raising. The
    file is copied before the copy is checked, because the signed URL stays valid and could replace the original;
    ``room`` reserves disk space for reading it. A refused file is deleted at once and may be sent again. With
    ``owner``, other owners' uploads are treated as unknown.

    Raises ``UploadInFlight`` while another request completes the upload, ``UploadNotFound``, ``UploadExpired``,
    ``UploadNotReceived``, ``UploadMismatch``, and the errors of ``room`` and of ``POST /upload`` for the same file.
    """
    upload = await find_upload(upload_id, parts)
    if owner not in (None, upload.owner_id):
        raise unknown_upload(upload_id)
    if upload.job_id is not None:
        return await _job_of(upload, parts), False
    await check_current(upload, parts)
    # Differs from the lock of the sending request. An Idempotency-Key cannot begin with a line break.
    async with hold(f"\n{upload.id}\n", parts.records) as lock:
        # Another request may have completed it before the lock was free.
        upload = await find_upload(upload_id, parts)
        if lock.found is None:
            done = await _complete(upload, parts, spool_dir, room, on_upload)
            await lock.release()
            return done
    if upload.job_id is not None:
        return await _job_of(upload, parts), False
    raise UploadInFlight("another request is completing this upload; try again to get its job", retry_after_s=AGAIN_S)


async def _complete(
    upload: DirectUpload,
    parts: Parts,
    spool_dir: Path,
    room: Callable[[int], AbstractContextManager[None]],
    on_upload: Callable[[DirectUpload], Awaitable[None]] | None,
) -> tuple[Job, bool]:
    if upload.job_id is not None:
        return await _job_of(upload, parts), False
    if on_upload is not None:
        await on_upload(upload)
    try:
        with room(upload.bytes):
            job = await _accept(upload, parts, spool_dir)
    except (UploadReceived, UploadNotReceived):
        # If this process stalled beyond its lock, another may have completed the upload and removed the file.
        upload = await find_upload(upload.id, parts)
        if upload.job_id is None:
            raise
        return await _job_of(upload, parts), False
    except RequestError as refusal:
        if not refusal.retryable:
            await discard(upload.staging_key, parts)
        raise
    await discard(upload.staging_key, parts)
    return job, True


async def _accept(upload: DirectUpload, parts: Parts, spool_dir: Path) -> Job:
    found = await parts.storage.stat(upload.staging_key)
    if found is None:
        raise _not_received()
    if found.size != upload.bytes:
        raise UploadMismatch(f"{found.size:,} bytes arrived but {upload.bytes:,} were declared; send the declared file")
    job_id = new_id("job")
    try:
        await parts.storage.copy(found, staging_key(job_id))
    except ObjectNotFound:
        raise _not_received() from None
    except ObjectChanged:
        raise UploadMismatch("the file was replaced while it was checked; send it again") from None
    try:
        job = await _examine(upload, job_id, parts, spool_dir)
    except BaseException:
        await discard(staging_key(job_id), parts)
        raise
    with log_unrecorded(job):
        ours = await parts.records.complete_upload(upload.id, job, expires_at=replay_until(job, parts))
    if not ours:
        await discard(job.staging_key, parts)
        raise UploadReceived("the upload was completed or expired concurrently")
    await announce(job, parts)
    return job


async def _examine(upload: DirectUpload, job_id: str, parts: Parts, spool_dir: Path) -> Job:
    try:
        check = partial(check_head, formats=parts.sources[upload.ticket.source_type].formats)
        stored = parts.storage.stream(staging_key(job_id))
        async with (
            streaming(stored),
            receive_source(stored, spool_dir, max_bytes=upload.bytes, check_head=check) as file,
        ):
            if file.bytes != upload.bytes:
                raise UploadMismatch("the file was replaced by a smaller one while it was checked; send it again")
            return await make_job(
                file,
                upload.ticket,
                parts,
                owner=upload.owner_id,
                key_id=upload.key_id,
                job_id=job_id,
                declared=upload.declared_type,
            )
    except ObjectNotFound:
        raise _not_received() from None


async def _job_of(upload: DirectUpload, parts: Parts) -> Job:
    job = await get_job(parts.records, upload.job_id or "")
    if job is None:
        raise UploadNotFound(f"the job of upload {upload.id} was removed")
    return job


def _not_received() -> UploadNotReceived:
    return UploadNotReceived("the file has not arrived; send it to the url of the upload, then complete the upload")
