"""What has a time to live: media of sources with ``ttl``, and direct uploads. Both go one by one, never all at once."""

from __future__ import annotations

import logging
from datetime import datetime

from mediagate.media import Media
from mediagate.parts import Parts
from mediagate.pipeline import remove

log = logging.getLogger("mediagate.janitor")

BATCH = 200
"""How many rows, or keys, are looked at together."""


async def expire_media(parts: Parts, *, now: datetime, dry_run: bool) -> list[str]:
    """Delete the media whose time is over, with their files, and run ``on_deleted``; returns their ids."""
    expired: list[str] = []
    batch = await parts.records.expired_media(now=now, limit=BATCH)
    while batch:
        expired += [media.id for media in batch if dry_run or await _gone(media, parts)]
        batch = await parts.records.expired_media(now=now, limit=BATCH, after=batch[-1])
    return expired


async def _gone(media: Media, parts: Parts) -> bool:
    """Delete one; one that cannot be deleted is tried again in the next round, and keeps no other from it."""
    try:
        deleted = await remove(media, parts)
    except Exception:
        log.exception("media %s has expired and could not be deleted; it is tried again", media.id)
        return False
    if deleted:
        await parts.hooks.run("on_deleted", media)
    return deleted


async def expire_uploads(parts: Parts, *, now: datetime, dry_run: bool) -> list[str]:
    """Forget the direct uploads whose time is over, and remove what arrived for them; returns their ids."""
    expired: list[str] = []
    batch = await parts.records.expired_uploads(now=now, limit=BATCH)
    while batch:
        expired += [upload.id for upload in batch]
        if not dry_run:
            # Files first: if this breaks off, the rows still say what is left to remove.
            await parts.storage.delete([upload.staging_key for upload in batch])
            await parts.records.forget_uploads([upload.id for upload in batch], now=now)
        batch = await parts.records.expired_uploads(now=now, limit=BATCH, after=batch[-1])
    return expired
