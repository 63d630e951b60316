"""The acceptance of a received file: checks, ``pre_upload``, the quarantine key, one transaction."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from mediagate.errors import MediagateError, UnsupportedType
from mediagate.intake.callbacks import check_callback
from mediagate.intake.examination import Examination
from mediagate.intake.idempotency import ReservedKey, fingerprint_of, replay, replay_until
from mediagate.intake.multipart import FormUpload
from mediagate.intake.prices import upload_price
from mediagate.intake.spool import SpooledFile
from mediagate.observe import about
from mediagate.parts import Parts
from mediagate.values import Job, UploadFields, new_id, staging_key

log = logging.getLogger("mediagate.intake")


async def accept(
    file: FormUpload | SpooledFile,
    fields: UploadFields,
    parts: Parts,
    *,
    held: ReservedKey | None = None,
    owner: str | None = None,
    key_id: str | None = None,
) -> tuple[Job, bool]:
    """Quarantine a received file and record its job; return the job and whether it is new.

    When this returns, the job survives any crash. Under a reused key, the same upload gets the existing job and a
    different upload raises ``IdempotencyKeyReused``. Raises ``CallbacksUnavailable`` as well.
    """
    check_callback(fields.callback_url, parts)
    fingerprint = fingerprint_of(file.sha256, fields)
    if held is not None and held.fingerprint is not None:
        return await replay(held.key, fingerprint, parts), False
    job = await make_job(file, fields, parts, owner=owner, key_id=key_id)
    await parts.storage.put(job.staging_key, file.path)
    with log_unrecorded(job):
        ours = await parts.records.create_job(
            job,
            key=held.key if held else None,
            fingerprint=fingerprint if held else None,
            key_expires_at=replay_until(job, parts) if held else None,
        )
    if not ours and held is not None:
        await parts.storage.delete([job.staging_key])
        return await replay(held.key, fingerprint, parts), False
    await announce(job, parts)
    return job, True


async def make_job(
    file: FormUpload | SpooledFile,
    fields: UploadFields,
    parts: Parts,
    *,
    owner: str | None,
    key_id: str | None = None,
    job_id: str | None = None,
    declared: str | None = None,
) -> Job:
    """Examine a file and return the job to record.

    Raises like ``Examination.examine``, and ``UnsupportedType`` for a document.
    """
    source = parts.sources[fields.source_type]
    info = await Examination(source, parts).examine(file, fields, owner=owner, declared=declared)
    if info.format == "pdf":
        raise UnsupportedType(
            "a document is not an upload, which is one picture with variants; send it to POST /pipelines with the step "
            "render"
        )
    job_id = job_id or new_id("job")
    return Job(
        id=job_id,
        source_type=fields.source_type,
        source_id=fields.source_id,
        media_id=new_id("med"),
        staging_key=staging_key(job_id),
        format=info.format,
        bytes=file.bytes,
        sha256=file.sha256,
        width=info.width,
        height=info.height,
        created_at=await parts.records.now(),
        filename=fields.filename,
        client_reference_id=fields.client_reference_id,
        callback_url=fields.callback_url,
        focal_x=fields.focal_x,
        focal_y=fields.focal_y,
        crop=fields.crop,
        max_attempts=parts.settings.max_attempts,
        owner_id=owner,
        key_id=key_id,
        traceparent=parts.observer.traceparent(),
        priority=source.rank,
        credits=upload_price(parts),
    )


@contextmanager
def log_unrecorded(job: Job) -> Iterator[None]:
    """Log a warning when a job could not be recorded."""
    try:
        yield
    except MediagateError:
        # The row may have been written although the response was lost, so the file stays; the janitor removes orphans.
        log.warning("job %s: could not be recorded", job.id, extra=about(job))
        raise


async def announce(job: Job, parts: Parts) -> None:
    """Run ``on_uploaded`` for a recorded job and dispatch it to a worker."""
    await parts.hooks.run("on_uploaded", job)
    await parts.queue.dispatch(job.id)
