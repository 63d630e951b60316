"""``Idempotency-Key``: what is sent again gets the job of the first time."""

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
"""When to ask again for the job of an upload that is being received."""


@dataclass(frozen=True, slots=True)
class ReservedKey:
    """An ``Idempotency-Key`` that is reserved for us, or, with a fingerprint, one that an upload has used before."""

    key: str
    fingerprint: str | None


@asynccontextmanager
async def reserve(key: str | None, parts: Parts, *, owner: str | None = None) -> AsyncIterator[ReservedKey | None]:
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
    async with hold(key, parts.records) as lock:
        if lock.found is not None and lock.found.fingerprint is None:
            raise UploadInFlight(
                "this Idempotency-Key's upload is being received; wait for its answer", retry_after_s=AGAIN_S
            )
        yield ReservedKey(key, lock.found.fingerprint if lock.found else None)


def replay_until(job: Job, parts: Parts) -> datetime:
    """Return the moment up to which an upload that is sent again gets this job."""
    return job.created_at + timedelta(seconds=parts.settings.idempotency_ttl_s)


async def replay(key: str, fingerprint: str, parts: Parts) -> Job:
    """Return the job of the upload that used a key before; raises ``IdempotencyKeyReused`` if that was another."""
    now = await parts.records.now()
    held = await parts.records.reserve_key(key, now=now, expires_at=now)
    job = await get_job(parts.records, held.job_id) if held and held.job_id else None
    if held is None or job is None:
        raise UploadInFlight("the Idempotency-Key expired while the body was received; send it again", retry_after_s=1)
    if held.fingerprint != fingerprint:
        raise IdempotencyKeyReused("this Idempotency-Key was used for another upload; use a new one")
    return job


def fingerprint_of(sha256: str, fields: UploadFields) -> str:
    """Return what tells an upload from another: its bytes, and what was said of them."""
    told = [sha256, fields.source_type, fields.source_id, fields.client_reference_id, fields.callback_url]
    return hashlib.sha256(json.dumps([*told, fields.focal_x, fields.focal_y]).encode()).hexdigest()
