"""Rows of media, read with their variants."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from mediagate.records.client_patches import Prisma
from mediagate.records.prisma.expiry import EXPIRY, expired
from mediagate.records.prisma.rows import media_of
from mediagate.records.queries import query
from mediagate.values import Media


async def get_media(client: Prisma, media_id: str) -> Media | None:
    """Return a media with its variants."""
    row = await query(lambda: client.mediagatemedia.find_unique(where={"id": media_id}, include={"variants": True}))
    return media_of(row) if row else None


async def media_where(
    client: Prisma, where: Any, *, take: int | None = None, skip: int | None = None, order: Any = None
) -> dict[str, Media]:
    """Return by id the media that match a condition."""
    media = client.mediagatemedia
    rows = await query(
        lambda: media.find_many(where=where, take=take, skip=skip, order=order, include={"variants": True})
    )
    return {row.id: media_of(row) for row in rows}


async def expired_media(client: Prisma, now: datetime, limit: int, after: Media | None) -> list[Media]:
    """Return expired media after ``after``, ordered by expiry and id."""
    return list((await media_where(client, expired(now, after), order=EXPIRY, take=limit)).values())
