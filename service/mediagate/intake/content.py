"""The bytes of a direct upload that are sent to the gate: one file, from one request at a time."""

from __future__ import annotations

import hmac
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mediagate.errors import MediagateError, UploadInFlight, UploadMismatch, UploadReceived
from mediagate.intake.declaration import check_current, find_upload, hash_token, unknown_upload
from mediagate.intake.spool import SpooledFile
from mediagate.parts import Parts
from mediagate.records import Lock, hold
from mediagate.values import DirectUpload

log = logging.getLogger("mediagate.intake")

AGAIN_S = 2.0
"""When to ask again whether another request has sent, or completed, an upload."""


async def find_open_upload(upload_id: str, token: str, content_type: str, parts: Parts) -> DirectUpload:
    """Return the upload that may be sent to the gate under this token.

    Raises ``UploadNotFound``, ``UploadExpired``, ``UnknownSource``, ``UploadReceived`` when it is complete, and
    ``UploadMismatch`` for another content type than was declared.
    """
    upload = await find_upload(upload_id, parts)
    if upload.token_hash is None or not hmac.compare_digest(upload.token_hash, hash_token(token)):
        raise unknown_upload(upload_id)
    await _check_open(upload, parts)
    if upload.declared_type not in (None, content_type.partition(";")[0].strip().lower()):
        raise UploadMismatch(f"the content type is not {upload.content_type}, which was declared")
    return upload


@asynccontextmanager
async def lock_content(upload: DirectUpload, parts: Parts) -> AsyncIterator[Lock]:
    """Let nobody else send the file of an upload for the length of the block, which receives and keeps it.

    Raises ``UploadInFlight`` while another request sends it, ``UploadReceived`` when it is here already.
    """
    # No client's Idempotency-Key can be this: those do not begin with a line break.
    async with hold(f"\n{upload.id}", parts.records) as lock:
        if await parts.storage.stat(upload.staging_key) is not None:
            raise UploadReceived("the file has arrived already; complete the upload")
        if lock.found is not None:
            raise _in_flight()
        yield lock
        await lock.release()


async def keep_file(file: SpooledFile, upload: DirectUpload, lock: Lock, parts: Parts) -> None:
    """Store what was received, unless somebody else has sent or completed the upload meanwhile.

    Raises ``UploadInFlight``, ``UploadReceived``, ``UploadExpired``, ``UploadNotFound``; then nothing stays.
    """
    if await lock.lapsed():
        raise _in_flight()
    await parts.storage.put(upload.staging_key, file.path)
    try:
        # Asked after the write: whoever completes the upload from now on removes the file.
        await _check_open(await find_upload(upload.id, parts), parts)
    except BaseException:
        await discard(upload.staging_key, parts)
        raise


async def discard(key: str, parts: Parts) -> None:
    """Delete a quarantined file that nobody needs, or leave it to the janitor."""
    try:
        await parts.storage.delete([key])
    except MediagateError as exc:
        log.warning("%s stays for the janitor: %s", key, exc)


async def _check_open(upload: DirectUpload, parts: Parts) -> None:
    if upload.job_id is not None:
        raise UploadReceived("the upload is complete")
    await check_current(upload, parts)


def _in_flight() -> UploadInFlight:
    return UploadInFlight("another request sends this upload's file; wait until it is in", retry_after_s=AGAIN_S)
