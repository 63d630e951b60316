"""``Idempotency-Key``: a repeated upload gets the job of the first one."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from mediagate.errors import (
    IdempotencyKeyReused,
    InvalidParameter,
    UploadInFlight,
)
from mediagate.parts import Parts
from mediagate.records import get_job, hold
from mediagate.values import Job, UploadFields

log = logging.getLogger("mediagate.intake")

MAX_KEY = 255
AGAIN_S = 2.0
"""Retry delay while another request with the same key is being received, in seconds."""


@dataclass(frozen=True, slots=True)
class ReservedKey:
    """An ``Idempotency-Key`` that is reserved for this upload, or, with a fingerprint, used by an earlier one."""

    key: str
    fingerprint: str | None


@asynccontextmanager
async def reserve(key: str | None, parts: Parts, *, owner: str | None = None) -> AsyncIterator[ReservedKey | None]:
    """Reserve an ``Idempotency-Key`` before the body is received; a failed upload releases it.

    Each owner has a separate key space. Raises ``UploadInFlight`` while another request holds the key.
    """
    if key is None:
        yield None
        return
    if not (0 < len(key) <= MAX_KEY and key.isascii() and key.isprintable()):
        raise InvalidParameter(f"Idempotency-Key: use 1 to {MAX_KEY} printable ASCII characters, such as a UUID")
    if owner is not None:
        key = f"{owner}\n{key}"  # neither contains a line break, so the combination is unique
    async with hold(key, parts.records) as lock:
        if lock.found is not None and lock.found.fingerprint is None:
            raise UploadInFlight(
                "an upload with this Idempotency-Key is being received; wait for its response", retry_after_s=AGAIN_S
            )
        yield ReservedKey(key, lock.found.fingerprint if lock.found else None)


def replay_until(job: Job, parts: Parts) -> datetime:
    """Return when the idempotency key of this job expires."""
    return job.created_at + timedelta(seconds=parts.settings.idempotency_ttl_s)


async def replay(key: str, fingerprint: str, parts: Parts) -> Job:
    """Return the job of the upload that used a key; raises ``IdempotencyKeyReused`` if its fingerprint differs."""
    now = await parts.records.now()
    held = await parts.records.reserve_key(key, now=now, expires_at=now)
    job = await get_job(parts.records, held.job_id) if held and held.job_id else None
    if held is None or job is None:
        raise UploadInFlight("the Idempotency-Key expired while the body was received; send it again", retry_after_s=1)
    if held.fingerprint != fingerprint:
        raise IdempotencyKeyReused("this Idempotency-Key was used for another upload; use a new one")
    return job


def fingerprint_of(sha256: str, fields: UploadFields) -> str:
    """Return a hash of an upload's bytes and fields."""
    values = [sha256, fields.source_type, fields.source_id, fields.client_reference_id, fields.callback_url]
    # Without a crop the hash is that of earlier releases.
    cropped = [] if fields.crop is None else [str(fields.crop)]
    return hashlib.sha256(json.dumps([*values, fields.focal_x, fields.focal_y, *cropped]).encode()).hexdigest()
