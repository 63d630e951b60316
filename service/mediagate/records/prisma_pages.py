"""Media through Prisma, page by page: those of a source, and those whose time is over."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from mediagate.media import Media, MediaPage
from mediagate.records.client import Prisma
from mediagate.records.paging import cursor_after
from mediagate.records.queries import EXPIRY, expired, listed, read
from mediagate.records.rows import media_of


class PrismaPages:
    """The part of ``PrismaRecords`` that reads many media."""

    client: Prisma

    async def list_media(
        self,
        source_type: str,
        source_id: str | None,
        *,
        limit: int,
        cursor: str | None = None,
        now: datetime | None = None,
    ) -> MediaPage:
        """Return media newest first."""
        where = listed(source_type, source_id, cursor, now)
        found = await self._media_where(where, order=[{"createdAt": "desc"}, {"id": "desc"}], take=limit + 1)
        items = tuple(found.values())[:limit]
        return MediaPage(items, cursor_after(items[-1]) if len(found) > limit else None)

    async def expired_media(self, *, now: datetime, limit: int, after: Media | None = None) -> Sequence[Media]:
        """Return media whose time is over."""
        return list((await self._media_where(expired(now, after), order=EXPIRY, take=limit)).values())

    async def _media_where(self, where: Any, *, take: int | None = None, order: Any = None) -> dict[str, Media]:
        media = self.client.mediagatemedia
        rows = await read(lambda: media.find_many(where=where, take=take, order=order, include={"variants": True}))
        return {row.id: media_of(row) for row in rows}
