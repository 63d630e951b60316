"""From received bytes to an accepted job: checks, ``pre_upload``, the quarantine key, one transaction."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from mediagate.direct_upload import DECLARABLE, DirectUpload
from mediagate.errors import (
    IdempotencyKeyReused,
    InvalidParameter,
    MediagateError,
    RecordsUnavailable,
    UploadInFlight,
    UploadMismatch,
    UploadReceived,
)
from mediagate.hooks import IncomingUpload
from mediagate.logs import about
from mediagate.media import Job, new_id, staging_key
from mediagate.parts import Parts
from mediagate.ticket import Ticket
from mediagate.uploads import Spooled, Upload

log = logging.getLogger("mediagate.intake")

RECEIVING_S = 30.0
"""How long an ``Idempotency-Key`` stays reserved for an upload whose process died while it received the body."""
MAX_KEY = 255


@dataclass(frozen=True, slots=True)
class KeyHeld:
    """An ``Idempotency-Key`` that is reserved for us, or, with a fingerprint, one that an upload has used before."""

    key: str
    fingerprint: str | None


@asynccontextmanager
async def reserved(key: str | None, parts: Parts, *, owner: str | None = None) -> AsyncIterator[KeyHeld | None]:
    """Reserve an ``Idempotency-Key`` before its body is received; an upload that fails does not use it up.

    Each owner has its own keys. Raises ``UploadInFlight`` while another request holds it.
    """
    if key is None:
        yield None
        return
    if not (0 < len(key) <= MAX_KEY and key.isascii() and key.isprintable()):
        raise InvalidParameter(f"Idempotency-Key: use 1 to {MAX_KEY} printable ASCII characters, such as a UUID")
    if owner is not None:
        key = f"{owner}\n{key}"  # neither has a line break, so that no two of them make the same
    now = await parts.records.now()
    held = await parts.records.reserve_key(key, now=now, expires_at=now + timedelta(seconds=RECEIVING_S))
    if held is not None and held.fingerprint is None:
        raise UploadInFlight("this Idempotency-Key's upload is being received; wait for its answer", retry_after_s=2)
    if held is not None:
        yield KeyHeld(key, held.fingerprint)
        return
    keeping = asyncio.create_task(_kept(key, parts))
    try:
        yield KeyHeld(key, None)
    except BaseException:
        await _ended(keeping)
        await parts.records.release_key(key)
        raise
    finally:
        await _ended(keeping)


async def _kept(key: str, parts: Parts) -> None:
    """Keep a key reserved for as long as its upload is being received, however slowly that comes."""
    while True:
        await asyncio.sleep(RECEIVING_S / 3)
        try:
            expires_at = await parts.records.now() + timedelta(seconds=RECEIVING_S)
            await parts.records.keep_key(key, expires_at=expires_at)
        except RecordsUnavailable as exc:
            log.warning("an Idempotency-Key could not be kept: %s", exc)


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def accept(
    file: Upload | Spooled,
    ticket: Ticket,
    parts: Parts,
    *,
    held: KeyHeld | None = None,
    direct: DirectUpload | None = None,
    owner: str | None = None,
    key_id: str | None = None,
) -> Job:
    """Quarantine a received file and record its job; when this returns, the job survives any crash.

    Under a key that was used before, the same upload gets the job of the first; another raises
    ``IdempotencyKeyReused``. A direct upload gets at most one job: raises ``UploadReceived`` when it has one, or is
    gone, and ``UploadMismatch`` when the bytes are of another type than was declared.
    """
    fingerprint = _fingerprint(file.sha256, ticket)
    if held is not None and held.fingerprint is not None:
        return await _replayed(held.key, held.fingerprint, fingerprint, parts)
    source = parts.sources[ticket.source_type]
    info = await parts.images.probe(file.path, source)
    if direct is not None and info.format != DECLARABLE[direct.content_type]:
        raise UploadMismatch(f"the file is {info.format}, and {direct.content_type} was declared; declare what it is")
    await parts.hooks.run(
        "pre_upload",
        IncomingUpload(
            source_type=ticket.source_type,
            source_id=ticket.source_id,
            filename=ticket.filename,
            bytes=file.bytes,
            sha256=file.sha256,
            info=info,
            client_reference_id=ticket.client_reference_id,
            owner_id=owner,
            callback_url=ticket.callback_url,
        ),
    )
    job_id = new_id("job")
    now = await parts.records.now()
    job = Job(
        id=job_id,
        source_type=ticket.source_type,
        source_id=ticket.source_id,
        media_id=new_id("med"),
        staging_key=staging_key(job_id),
        format=info.format,
        bytes=file.bytes,
        sha256=file.sha256,
        width=info.width,
        height=info.height,
        created_at=now,
        filename=ticket.filename,
        client_reference_id=ticket.client_reference_id,
        callback_url=ticket.callback_url,
        focal_x=ticket.focal_x,
        focal_y=ticket.focal_y,
        max_attempts=parts.settings.max_attempts,
        owner_id=owner,
        key_id=key_id,
        traceparent=parts.observer.traceparent(),
    )
    await parts.storage.put(job.staging_key, file.path)
    remembered_until = now + timedelta(seconds=parts.settings.idempotency_ttl_s)
    ours = True
    try:
        if direct is not None:
            ours = await parts.records.complete_upload(direct.id, job, expires_at=remembered_until)
        else:
            await parts.records.create_job(
                job,
                key=held.key if held else None,
                fingerprint=fingerprint if held else None,
                key_expires_at=remembered_until if held else None,
            )
    except MediagateError:
        # The row may have been written although the answer was lost, so the file stays: the janitor takes it if not.
        log.warning("job %s could not be recorded", job.id, extra=about(job))
        raise
    if not ours:
        await parts.storage.delete([job.staging_key])
        raise UploadReceived("the upload was completed, or expired, meanwhile")
    await parts.hooks.run("on_uploaded", job)
    await parts.queue.dispatch(job.id)
    return job


async def _replayed(key: str, used: str, fingerprint: str, parts: Parts) -> Job:
    if used != fingerprint:
        raise IdempotencyKeyReused("this Idempotency-Key was used for another upload; use a new one")
    now = await parts.records.now()
    held = await parts.records.reserve_key(key, now=now, expires_at=now)
    job = await parts.records.get_job(held.job_id) if held and held.job_id else None
    if job is None:
        raise UploadInFlight("the Idempotency-Key expired while the body was received; send it again", retry_after_s=1)
    return job


def _fingerprint(sha256: str, ticket: Ticket) -> str:
    told = [sha256, ticket.source_type, ticket.source_id, ticket.client_reference_id, ticket.callback_url]
    return hashlib.sha256(json.dumps([*told, ticket.focal_x, ticket.focal_y]).encode()).hexdigest()
