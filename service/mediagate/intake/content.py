"""The file of a direct upload that is sent to the gate, by one request at a time."""

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
"""Retry delay while another request sends or completes an upload, in seconds."""


async def find_open_upload(upload_id: str, token: str, content_type: str, parts: Parts) -> DirectUpload:
    """Return the upload whose file may be sent to the gate with this token.

    Raises ``UploadNotFound``, ``UploadExpired``, ``UnknownSource``, ``UploadReceived`` when the upload is complete, and
    ``UploadMismatch`` when the content type is not the declared one.
    """
    upload = await find_upload(upload_id, parts)
    if upload.token_hash is None or not hmac.compare_digest(upload.token_hash, hash_token(token)):
        raise unknown_upload(upload_id)
    await _check_open(upload, parts)
    if upload.declared_type not in (None, content_type.partition(";")[0].strip().lower()):
        raise UploadMismatch(f"the content type is not the declared one; send the file as {upload.content_type}")
    return upload


@asynccontextmanager
async def lock_content(upload: DirectUpload, parts: Parts) -> AsyncIterator[Lock]:
    """Hold the exclusive right to send the file of an upload within the block.

    Raises ``UploadInFlight`` while another request sends the file, ``UploadReceived`` when it has already arrived.
    """
    # Cannot clash with an Idempotency-Key, which cannot begin with a line break.
    async with hold(f"\n{upload.id}", parts.records) as lock:
        if await parts.storage.stat(upload.staging_key) is not None:
            raise UploadReceived("the file has already arrived; complete the upload")
        if lock.found is not None:
            raise _in_flight()
        yield lock
        await lock.release()


async def keep_file(file: SpooledFile, upload: DirectUpload, lock: Lock, parts: Parts) -> None:
    """Store a received file, unless another request has sent or completed the upload meanwhile.

    Raises ``UploadInFlight``, ``UploadReceived``, ``UploadExpired`` or ``UploadNotFound``, and then stores nothing.
    """
    if await lock.lapsed():
        raise _in_flight()
    await parts.storage.put(upload.staging_key, file.path)
    try:
        # Checked after the write: a request that completes the upload from now on removes the file.
        await _check_open(await find_upload(upload.id, parts), parts)
    except BaseException:
        await discard(upload.staging_key, parts)
        raise


async def discard(key: str, parts: Parts) -> None:
    """Delete an unused quarantined file, best-effort: after a failure the janitor does."""
    try:
        await parts.storage.delete([key])
    except MediagateError as exc:
        log.warning("could not delete %s, leaving it to the janitor: %s", key, exc)


async def _check_open(upload: DirectUpload, parts: Parts) -> None:
    if upload.job_id is not None:
        raise UploadReceived("the upload is already complete")
    await check_current(upload, parts)


def _in_flight() -> UploadInFlight:
    return UploadInFlight("another request is sending this file; wait until it has finished", retry_after_s=AGAIN_S)
