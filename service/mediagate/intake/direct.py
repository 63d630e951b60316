"""A direct upload from its declaration to its job: declare, and complete when the bytes have arrived."""

from __future__ import annotations

import hashlib
import logging
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from mediagate.config import Source
from mediagate.errors import (
    BadUpload,
    InvalidParameter,
    MediagateError,
    ObjectChanged,
    ObjectNotFound,
    RequestError,
    UnknownSource,
    UnsupportedType,
    UploadExpired,
    UploadInFlight,
    UploadMismatch,
    UploadNotFound,
    UploadNotReceived,
    UploadReceived,
    UploadTooLarge,
)
from mediagate.images import check_head
from mediagate.intake.acceptance import announce, log_unrecorded, make_job, replay_until
from mediagate.intake.multipart import display_name
from mediagate.intake.spool import receive_source
from mediagate.intake.unknown_names import passed_over
from mediagate.parts import Parts
from mediagate.records import hold
from mediagate.storage import streaming
from mediagate.values import (
    ANY_TYPE,
    DECLARABLE,
    EXTENSIONS,
    DirectUpload,
    Job,
    UploadFields,
    UploadTarget,
    new_id,
    read_fields,
    staging_key,
)

log = logging.getLogger("mediagate.intake")

REQUIRED = ("sourceType", "sourceId", "size")
TEXTS = ("sourceType", "sourceId", "contentType", "filename", "clientReferenceId", "callbackUrl")
NUMBERS = ("focalX", "focalY")

AGAIN_S = 2.0
"""When to ask again whether another request has sent, or completed, an upload."""

_ID = re.compile(r"upl_[a-z2-7]{26}")


@dataclass(frozen=True, slots=True)
class Declaration:
    """What a client says of a file that it is about to send; ``size`` in bytes. Checked by ``read_declaration``."""

    ticket: UploadFields
    content_type: str
    size: int
    ignored: tuple[str, ...] = ()
    """Names that nobody reads."""


def read_declaration(body: Mapping[str, Any], sources: Mapping[str, Source], *, strict: bool = False) -> Declaration:
    """Check the JSON of ``POST /uploads``.

    Raises ``BadUpload`` naming what is missing, ``InvalidParameter``, ``UnknownSource``, ``InvalidSourceId``,
    ``UnsupportedType`` for a type that the source does not take, ``UploadTooLarge``.
    """
    ignored = passed_over(body, {*TEXTS, *NUMBERS, "size"}, strict=strict)
    missing = [name for name in REQUIRED if body.get(name) is None]
    if missing:
        raise BadUpload(f"missing from the JSON object: {', '.join(missing)}")
    fields = {name: _text(name, body[name]) for name in TEXTS if body.get(name) is not None}
    fields |= {name: _number(name, body[name]) for name in NUMBERS if body.get(name) is not None}
    ticket = read_fields(fields, display_name(fields.get("filename", "")), sources)
    source = sources[ticket.source_type]
    content_type = fields.get("contentType", "").lower() or ANY_TYPE
    if content_type != ANY_TYPE and DECLARABLE.get(content_type) not in source.formats:
        usual = ", ".join(f"image/{name}" for name in EXTENSIONS if name in source.formats)
        raise UnsupportedType(f"contentType {content_type!r:.80} is not accepted; use one of {usual}, or leave it out")
    size, limit = body["size"], source.max_bytes
    if not isinstance(size, int) or isinstance(size, bool) or size < 1:
        raise InvalidParameter("size: use the number of bytes of the file, a whole number from 1")
    if size > limit:
        raise UploadTooLarge(f"the file is larger than {limit:,} bytes, the limit of {ticket.source_type}", limit=limit)
    return Declaration(ticket, content_type, size, tuple(ignored))


async def declare(
    declaration: Declaration, parts: Parts, *, owner: str | None, key_id: str | None = None, base_url: str
) -> UploadTarget:
    """Record a declaration and return where the bytes go: to a URL that the storage signed, else to the gate.

    ``pre_declare`` hooks may refuse it by raising.
    """
    ttl_s = parts.settings.direct_upload_ttl_s
    now = await parts.records.now()
    upload = DirectUpload(
        id=new_id("upl"),
        ticket=declaration.ticket,
        content_type=declaration.content_type,
        bytes=declaration.size,
        created_at=now,
        expires_at=now + timedelta(seconds=ttl_s),
        owner_id=owner,
        key_id=key_id,
    )
    await parts.hooks.run("pre_declare", upload)
    signed = await parts.storage.presign_put(
        upload.staging_key, content_type=upload.content_type, size=upload.bytes, expires_s=ttl_s
    )
    place = f"{base_url}/uploads/{upload.id}"
    if signed is not None:
        await parts.records.create_upload(upload)
        until = min(signed.expires_at, upload.expires_at)
        return UploadTarget(upload.id, signed.url, signed.headers, until, f"{place}/complete")
    token = secrets.token_urlsafe(32)
    await parts.records.create_upload(replace(upload, token_hash=hashed(token)))
    headers = {"Content-Type": upload.content_type}
    return UploadTarget(upload.id, f"{place}/content?token={token}", headers, upload.expires_at, f"{place}/complete")


async def complete(
    upload_id: str,
    parts: Parts,
    spool_dir: Path,
    *,
    owner: str | None,
    room: Callable[[int], AbstractContextManager[None]],
    on_upload: Callable[[DirectUpload], Awaitable[None]] | None = None,
) -> tuple[Job, bool]:
    """Check the bytes that arrived for a direct upload and make it a job; return that, and whether this call made it.

    One request at a time does so, of all processes. It keeps ``room`` on the disk for the bytes that it reads;
    ``on_upload`` is told of the upload before that, and may refuse by raising. What arrived is copied first, and the
    copy is checked: a signed URL stays good for a while, and does not reach it. Bytes that are refused are removed at
    once, and may be sent again. Raises ``UploadInFlight`` while another request completes it, ``UploadNotFound``,
    ``UploadExpired``, ``UploadNotReceived``, ``UploadMismatch``, what ``room`` raises, and what ``POST /upload``
    answers for the same file. With ``owner``, another's is as unknown as one that never was.
    """
    upload = await find_upload(upload_id, parts)
    if owner not in (None, upload.owner_id):
        raise unknown(upload_id)
    if upload.job_id is not None:
        return await _job_of(upload, parts), False
    await check_current(upload, parts)
    # Another name than that of whoever sends the file; and no Idempotency-Key begins with a line break.
    async with hold(f"\n{upload.id}\n", parts.records) as lock:
        # Another may have completed it before the name was free.
        upload = await find_upload(upload_id, parts)
        if lock.found is None:
            done = await _completed(upload, parts, spool_dir, room, on_upload)
            await lock.release()
            return done
    if upload.job_id is not None:
        return await _job_of(upload, parts), False
    raise UploadInFlight("another request completes this upload; ask again for its job", retry_after_s=AGAIN_S)


async def _completed(
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
            job = await _accepted(upload, parts, spool_dir)
    except (UploadReceived, UploadNotReceived):
        # A process that stood still for longer than its hold may find it completed, and the file removed.
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


async def _accepted(upload: DirectUpload, parts: Parts, spool_dir: Path) -> Job:
    found = await parts.storage.stat(upload.staging_key)
    if found is None:
        raise _not_received()
    if found.size != upload.bytes:
        raise UploadMismatch(f"{found.size:,} bytes have arrived, and {upload.bytes:,} were declared; send that file")
    job_id = new_id("job")
    try:
        await parts.storage.copy(found, staging_key(job_id))
    except ObjectNotFound:
        raise _not_received() from None
    except ObjectChanged:
        raise UploadMismatch("the file was replaced by another one while it was looked at; send it again") from None
    try:
        job = await _examined(upload, job_id, parts, spool_dir)
    except BaseException:
        await discard(staging_key(job_id), parts)
        raise
    with log_unrecorded(job):
        ours = await parts.records.complete_upload(upload.id, job, expires_at=replay_until(job, parts))
    if not ours:
        await discard(job.staging_key, parts)
        raise UploadReceived("the upload was completed, or expired, meanwhile")
    await announce(job, parts)
    return job


async def _examined(upload: DirectUpload, job_id: str, parts: Parts, spool_dir: Path) -> Job:
    try:
        check = partial(check_head, formats=parts.sources[upload.ticket.source_type].formats)
        stored = parts.storage.stream(staging_key(job_id))
        async with (
            streaming(stored),
            receive_source(stored, spool_dir, max_bytes=upload.bytes, check_head=check) as file,
        ):
            if file.bytes != upload.bytes:
                raise UploadMismatch("the file was replaced by a smaller one while it was looked at; send it again")
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


async def discard(key: str, parts: Parts) -> None:
    """Delete a quarantined file that nobody needs, or leave it to the janitor."""
    try:
        await parts.storage.delete([key])
    except MediagateError as exc:
        log.warning("%s stays for the janitor: %s", key, exc)


async def find_upload(upload_id: str, parts: Parts) -> DirectUpload:
    """Return an upload; raises ``UploadNotFound``."""
    upload = await parts.records.get_upload(upload_id) if _ID.fullmatch(upload_id) else None
    if upload is None:
        raise unknown(upload_id)
    return upload


def unknown(upload_id: str) -> UploadNotFound:
    """Return the error for an upload that is not there, or not there for who asks: the same words for both."""
    return UploadNotFound(f"no upload is called {upload_id!r:.80}")


async def _job_of(upload: DirectUpload, parts: Parts) -> Job:
    job = await parts.records.get_job(upload.job_id or "")
    if job is None:
        raise UploadNotFound(f"the job of upload {upload.id} is gone")
    return job


async def check_current(upload: DirectUpload, parts: Parts) -> None:
    """Raise ``UploadExpired`` when it is too late to send or complete an upload, ``UnknownSource`` when its is gone."""
    if upload.expires_at <= await parts.records.now():
        raise UploadExpired("the upload was not completed in time; declare it again")
    source_type = upload.ticket.source_type
    if source_type not in parts.sources:
        raise UnknownSource(f"sourceType {source_type!r} is not configured any more")


def _not_received() -> UploadNotReceived:
    return UploadNotReceived("the file has not arrived; send it to the upload's url, then complete the upload")


def hashed(token: str) -> str:
    """Return what is recorded of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def _text(name: str, value: object) -> str:
    if not isinstance(value, str) or not _is_unicode(value):
        raise InvalidParameter(f"{name}: use a string of Unicode characters")
    return value


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _number(name: str, value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise InvalidParameter(f"{name}: use a number from 0 to 1")
    return str(value)
