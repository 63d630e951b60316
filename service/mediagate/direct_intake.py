"""A direct upload from its declaration to its job: declare, receive the bytes if the storage cannot, complete."""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from mediagate.config import Source
from mediagate.direct_upload import DECLARABLE, DirectUpload, UploadTarget
from mediagate.errors import (
    BadUpload,
    InvalidParameter,
    MediagateError,
    ObjectNotFound,
    RequestError,
    UnknownSource,
    UnsupportedType,
    UploadExpired,
    UploadMismatch,
    UploadNotFound,
    UploadNotReceived,
    UploadReceived,
    UploadTooLarge,
)
from mediagate.intake import accept
from mediagate.media import Job, new_id
from mediagate.parts import Parts
from mediagate.ticket import Ticket, read_ticket
from mediagate.uploads import display_name, spool

log = logging.getLogger("mediagate.intake")

REQUIRED = ("sourceType", "sourceId", "contentType", "size")
TEXTS = ("sourceType", "sourceId", "contentType", "filename", "clientReferenceId", "callbackUrl")
NUMBERS = ("focalX", "focalY")

_ID = re.compile(r"upl_[a-z2-7]{26}")


@dataclass(frozen=True, slots=True)
class Declaration:
    """What a client says of a file that it is about to send; ``size`` in bytes. Checked by ``read_declaration``."""

    ticket: Ticket
    content_type: str
    size: int


def read_declaration(body: Mapping[str, Any], sources: Mapping[str, Source]) -> Declaration:
    """Check the JSON of ``POST /uploads``.

    Raises ``BadUpload`` naming what is missing, ``InvalidParameter``, ``UnknownSource``, ``InvalidSourceId``,
    ``UnsupportedType`` for a type that no source takes, ``UploadTooLarge``.
    """
    missing = [name for name in REQUIRED if body.get(name) is None]
    if missing:
        raise BadUpload(f"missing from the JSON object: {', '.join(missing)}")
    fields = {name: _text(name, body[name]) for name in TEXTS if body.get(name) is not None}
    fields |= {name: _number(name, body[name]) for name in NUMBERS if body.get(name) is not None}
    ticket = read_ticket(fields, display_name(fields.get("filename", "")), sources)
    content_type = fields["contentType"].lower()
    if content_type not in DECLARABLE:
        raise UnsupportedType(f"contentType {content_type!r:.80} is not accepted; use one of: {', '.join(DECLARABLE)}")
    size, limit = body["size"], sources[ticket.source_type].max_bytes
    if not isinstance(size, int) or isinstance(size, bool) or size < 1:
        raise InvalidParameter("size: use the number of bytes of the file, a whole number from 1")
    if size > limit:
        raise UploadTooLarge(f"the file is larger than {limit:,} bytes, the limit of {ticket.source_type}")
    return Declaration(ticket, content_type, size)


async def declare(
    declaration: Declaration, parts: Parts, *, owner: str | None, key_id: str | None = None, base_url: str
) -> UploadTarget:
    """Record a declaration and return where the bytes go: to a URL that the storage signed, else to the gate."""
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
    signed = await parts.storage.presign_put(
        upload.staging_key, content_type=upload.content_type, size=upload.bytes, expires_s=ttl_s
    )
    place = f"{base_url}/uploads/{upload.id}"
    if signed is not None:
        await parts.records.create_upload(upload)
        until = min(signed.expires_at, upload.expires_at)
        return UploadTarget(upload.id, signed.url, signed.headers, until, f"{place}/complete")
    token = secrets.token_urlsafe(32)
    await parts.records.create_upload(replace(upload, token_hash=_hashed(token)))
    headers = {"Content-Type": upload.content_type}
    return UploadTarget(upload.id, f"{place}/content?token={token}", headers, upload.expires_at, f"{place}/complete")


async def awaited(upload_id: str, token: str, content_type: str, parts: Parts) -> DirectUpload:
    """Return the upload that may be sent to the gate under this token.

    Raises ``UploadNotFound``, ``UploadExpired``, ``UploadReceived`` when its bytes are here already, and
    ``UploadMismatch`` for another content type than was declared.
    """
    upload = await _known(upload_id, parts)
    if upload.token_hash is None or not hmac.compare_digest(upload.token_hash, _hashed(token)):
        raise UploadNotFound("no upload has this id and token")
    if upload.job_id is not None:
        raise UploadReceived("the upload is complete")
    await _check_time(upload, parts)
    if content_type.partition(";")[0].strip().lower() != upload.content_type:
        raise UploadMismatch(f"the content type is not {upload.content_type}, which was declared")
    if await parts.storage.stat(upload.staging_key) is not None:
        raise UploadReceived("the file has arrived already; complete the upload")
    return upload


async def complete(
    upload_id: str,
    parts: Parts,
    spool_dir: Path,
    *,
    owner: str | None,
    on_upload: Callable[[DirectUpload], Awaitable[None]] | None = None,
) -> tuple[Job, bool]:
    """Check the bytes that arrived for a direct upload and make it a job; return that, and whether this call made it.

    ``on_upload`` is told of one that has no job yet, before its bytes are looked at, and may refuse by raising.
    What arrived is copied first: a signed URL stays good for a while, and must not change what has been checked.
    Bytes that are refused are removed at once, and may be sent again. Raises ``UploadNotFound``, ``UploadExpired``,
    ``UploadNotReceived``, ``UploadMismatch``, and what ``POST /upload`` answers for the same file. With ``owner``,
    another's is as unknown as one that never was.
    """
    upload = await _known(upload_id, parts)
    if owner not in (None, upload.owner_id):
        raise _unknown(upload_id)
    if upload.job_id is not None:
        return await _job_of(upload, parts), False
    await _check_time(upload, parts)
    source_type = upload.ticket.source_type
    if source_type not in parts.sources:
        raise UnknownSource(f"sourceType {source_type!r} is not configured any more")
    if on_upload is not None:
        await on_upload(upload)
    try:
        job = await _accepted(upload, parts, spool_dir)
    except (UploadReceived, UploadNotReceived):
        # Another request may have completed it since it was read, and removed the file.
        upload = await _known(upload_id, parts)
        if upload.job_id is None:
            raise
        return await _job_of(upload, parts), False
    except RequestError as refusal:
        if not refusal.retryable:
            await _discard(upload, parts)
        raise
    await _discard(upload, parts)
    return job, True


async def _accepted(upload: DirectUpload, parts: Parts, spool_dir: Path) -> Job:
    found = await parts.storage.stat(upload.staging_key)
    if found is None:
        raise _not_received()
    if found.size != upload.bytes:
        raise UploadMismatch(f"{found.size:,} bytes have arrived, and {upload.bytes:,} were declared; send that file")
    try:
        async with spool(parts.storage.stream(upload.staging_key), spool_dir, max_bytes=upload.bytes) as file:
            if file.bytes != upload.bytes:
                raise UploadMismatch("the file was replaced by a smaller one while it was read; send it again")
            return await accept(file, upload.ticket, parts, direct=upload, owner=upload.owner_id, key_id=upload.key_id)
    except ObjectNotFound:
        raise _not_received() from None


async def _discard(upload: DirectUpload, parts: Parts) -> None:
    try:
        await parts.storage.delete([upload.staging_key])
    except MediagateError as exc:
        log.warning("the file of upload %s stays for the janitor: %s", upload.id, exc)


async def _known(upload_id: str, parts: Parts) -> DirectUpload:
    upload = await parts.records.get_upload(upload_id) if _ID.fullmatch(upload_id) else None
    if upload is None:
        raise _unknown(upload_id)
    return upload


def _unknown(upload_id: str) -> UploadNotFound:
    return UploadNotFound(f"no upload is called {upload_id!r:.80}")


async def _job_of(upload: DirectUpload, parts: Parts) -> Job:
    job = await parts.records.get_job(upload.job_id or "")
    if job is None:
        raise UploadNotFound(f"the job of upload {upload.id} is gone")
    return job


async def _check_time(upload: DirectUpload, parts: Parts) -> None:
    if upload.expires_at <= await parts.records.now():
        raise UploadExpired("the upload was not completed in time; declare it again")


def _not_received() -> UploadNotReceived:
    return UploadNotReceived("the file has not arrived; send it to the upload's url, then complete the upload")


def _hashed(token: str) -> str:
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
