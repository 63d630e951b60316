"""From received bytes to an accepted job: checks, ``pre_upload``, the quarantine key, one transaction."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from mediagate.config import SOURCE_ID, Source
from mediagate.errors import (
    IdempotencyKeyReused,
    InvalidParameter,
    InvalidSourceId,
    MediagateError,
    UnknownSource,
    UploadInFlight,
)
from mediagate.hooks import IncomingUpload
from mediagate.media import Job, new_id, staging_key, utcnow
from mediagate.parts import Parts

log = logging.getLogger("mediagate.intake")

RECEIVING_S = 600
"""How long an ``Idempotency-Key`` stays reserved for an upload whose process died while it received the body."""
MAX_KEY = 255


@dataclass(frozen=True, slots=True)
class Ticket:
    """What an uploader says of the file besides its bytes; checked by ``read_ticket``."""

    source_type: str
    source_id: str
    client_reference_id: str | None = None
    callback_url: str | None = None
    focal_x: float = 0.5
    focal_y: float = 0.5


def read_ticket(fields: Mapping[str, str], sources: Mapping[str, Source]) -> Ticket:
    """Check the form fields of an upload; raises ``UnknownSource``, ``InvalidSourceId`` or ``InvalidParameter``."""
    source_type, source_id = fields["sourceType"], fields["sourceId"]
    if source_type not in sources:
        raise UnknownSource(f"sourceType {source_type!r} is not configured; use one of: {', '.join(sources)}")
    if not SOURCE_ID.fullmatch(source_id):
        raise InvalidSourceId("sourceId: use 1 to 128 letters, digits, - and _, starting with a letter or digit")
    reference = fields.get("clientReferenceId")
    if reference is not None and not (0 < len(reference) <= 255 and reference.isprintable()):
        raise InvalidParameter("clientReferenceId: use 1 to 255 printable characters")
    return Ticket(
        source_type,
        source_id,
        reference,
        _callback(fields.get("callbackUrl")),
        _focal("focalX", fields.get("focalX")),
        _focal("focalY", fields.get("focalY")),
    )


async def reserve(key: str | None, parts: Parts) -> str | None:
    """Reserve an ``Idempotency-Key`` before its body is received.

    Returns the fingerprint of the upload that used it before, ``None`` when the key is ours now; raises
    ``UploadInFlight`` while another request holds it.
    """
    if key is None:
        return None
    if not (0 < len(key) <= MAX_KEY and key.isascii() and key.isprintable()):
        raise InvalidParameter(f"Idempotency-Key: use 1 to {MAX_KEY} printable ASCII characters, such as a UUID")
    now = utcnow()
    held = await parts.records.reserve_key(key, now=now, expires_at=now + timedelta(seconds=RECEIVING_S))
    if held is None:
        return None
    if held.fingerprint is None:
        raise UploadInFlight(
            "an upload with this Idempotency-Key is being received; wait for its answer", retry_after_s=2
        )
    return held.fingerprint


async def accept(
    path: Path,
    size: int,
    sha256: str,
    filename: str,
    ticket: Ticket,
    parts: Parts,
    *,
    key: str | None,
    used: str | None,
) -> Job:
    """Quarantine a received file and record its job; when this returns, the job survives any crash.

    ``key`` is the reserved ``Idempotency-Key``, ``used`` the fingerprint on record for it; with the same content the
    job of the first upload is returned, with other content ``IdempotencyKeyReused`` is raised.
    """
    fingerprint = _fingerprint(sha256, ticket)
    if key is not None and used is not None:
        return await _replayed(key, used, fingerprint, parts)
    source = parts.sources[ticket.source_type]
    info = await parts.images.probe(path, source)
    await parts.hooks.run(
        "pre_upload",
        IncomingUpload(ticket.source_type, ticket.source_id, filename, size, sha256, info, ticket.client_reference_id),
    )
    job_id = new_id("job")
    now = utcnow()
    job = Job(
        id=job_id,
        source_type=ticket.source_type,
        source_id=ticket.source_id,
        media_id=new_id("med"),
        staging_key=staging_key(job_id),
        format=info.format,
        bytes=size,
        sha256=sha256,
        width=info.width,
        height=info.height,
        created_at=now,
        filename=filename,
        client_reference_id=ticket.client_reference_id,
        callback_url=ticket.callback_url,
        focal_x=ticket.focal_x,
        focal_y=ticket.focal_y,
        max_attempts=parts.settings.max_attempts,
    )
    await parts.storage.put(job.staging_key, path)
    try:
        await parts.records.create_job(
            job,
            key=key,
            fingerprint=fingerprint if key else None,
            key_expires_at=now + timedelta(seconds=parts.settings.idempotency_ttl_s) if key else None,
        )
    except MediagateError:
        # The row may have been written although the answer was lost, so the file stays: the janitor takes it if not.
        log.warning("job %s could not be recorded", job.id, extra={"job_id": job.id})
        raise
    await parts.hooks.run("on_uploaded", job)
    await parts.queue.dispatch(job.id)
    return job


async def _replayed(key: str, used: str, fingerprint: str, parts: Parts) -> Job:
    if used != fingerprint:
        raise IdempotencyKeyReused("this Idempotency-Key was used for another upload; use a new one")
    now = utcnow()
    held = await parts.records.reserve_key(key, now=now, expires_at=now)
    job = await parts.records.get_job(held.job_id) if held and held.job_id else None
    if job is None:
        raise UploadInFlight("the Idempotency-Key expired while the body was received; send it again", retry_after_s=1)
    return job


def _fingerprint(sha256: str, ticket: Ticket) -> str:
    told = [sha256, ticket.source_type, ticket.source_id, ticket.client_reference_id, ticket.callback_url]
    return hashlib.sha256(json.dumps([*told, ticket.focal_x, ticket.focal_y]).encode()).hexdigest()


def _focal(name: str, text: str | None) -> float:
    if text is None or text == "":
        return 0.5
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise InvalidParameter(f"{name}: use a number from 0 (left or top) to 1")
    return value


def _callback(url: str | None) -> str | None:
    if url is None or url == "":
        return None
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname or len(url) > 2048:
        raise InvalidParameter("callbackUrl: use an absolute https URL of at most 2,048 characters")
    return url
