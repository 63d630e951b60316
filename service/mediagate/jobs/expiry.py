"""Expiry: media of sources with ``ttl`` are deleted one by one, direct uploads in batches."""

from __future__ import annotations

import logging
from datetime import datetime

from mediagate.errors import MediagateError
from mediagate.jobs.publishing import delete_media, delete_outputs
from mediagate.observe import cause_of
from mediagate.parts import Parts
from mediagate.values import Media

log = logging.getLogger("mediagate.janitor")

BATCH = 200
"""Rows, or keys, per batch."""
GIVE_UP = 20
"""After this many consecutive failures the storage or the database is assumed to be down."""


async def expire_media(parts: Parts, *, now: datetime, dry_run: bool, most: int | None = None) -> list[str]:
    """Delete expired media with their files and run ``on_deleted``; returns the media's ids.

    Looks at about ``most`` of them. A media that cannot be deleted does not block the others and is retried by the
    next call. Raises the last error after ``GIVE_UP`` consecutive failures.
    """
    expired: list[str] = []
    looked_at = failures = 0
    batch = await parts.records.expired_media(now=now, limit=BATCH)
    while batch and (most is None or looked_at < most):
        for media in batch:
            try:
                if dry_run or await _delete(media, parts):
                    expired.append(media.id)
            except Exception as exc:
                unknown = None if isinstance(exc, MediagateError) else exc
                log.warning(
                    "media %s: expired, but could not be deleted: %s", media.id, cause_of(exc), exc_info=unknown
                )
                failures += 1
                if failures == GIVE_UP:
                    raise
            else:
                failures = 0
        looked_at += len(batch)
        batch = await parts.records.expired_media(now=now, limit=BATCH, after=batch[-1])
    return expired


async def _delete(media: Media, parts: Parts) -> bool:
    deleted = await delete_media(media, parts)
    if deleted:
        await parts.hooks.run("on_deleted", media)
    return deleted


async def expire_outputs(parts: Parts, *, now: datetime, dry_run: bool, most: int | None = None) -> list[str]:
    """Delete the expired outputs of pipelines and their data; returns the ids of their jobs. Else as ``expire_media``.

    Their jobs remain.
    """
    expired: list[str] = []
    looked_at = failures = 0
    batch = await parts.records.outputs.expired(now=now, limit=BATCH)
    while batch and (most is None or looked_at < most):
        for state in batch:
            try:
                if dry_run or await delete_outputs(state, parts, now):
                    expired.append(state.job.id)
            except Exception as exc:
                unknown = None if isinstance(exc, MediagateError) else exc
                log.warning(
                    "job %s: its outputs have expired, but could not be deleted: %s",
                    state.job.id,
                    cause_of(exc),
                    exc_info=unknown,
                )
                failures += 1
                if failures == GIVE_UP:
                    raise
            else:
                failures = 0
        looked_at += len(batch)
        batch = await parts.records.outputs.expired(now=now, limit=BATCH, after=batch[-1].job)
    return expired


async def expire_uploads(parts: Parts, *, now: datetime, dry_run: bool) -> list[str]:
    """Delete expired direct uploads and the files that were sent for them; returns the uploads' ids."""
    expired: list[str] = []
    batch = await parts.records.expired_uploads(now=now, limit=BATCH)
    while batch:
        expired += [upload.id for upload in batch]
        if not dry_run:
            # Files first: after a crash in between, the rows still name the files to remove.
            await parts.storage.delete([upload.staging_key for upload in batch])
            await parts.records.forget_uploads([upload.id for upload in batch], now=now)
        batch = await parts.records.expired_uploads(now=now, limit=BATCH, after=batch[-1])
    return expired
