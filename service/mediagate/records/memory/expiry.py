"""Which rows of a dictionary have expired."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TypeVar

from mediagate.values import DirectUpload, Media

Expiring = TypeVar("Expiring", DirectUpload, Media)


def expired(rows: Iterable[Expiring], now: datetime, limit: int, after: Expiring | None) -> list[Expiring]:
    """Return the rows that have expired, by their expiry and id, from behind ``after`` on."""

    def place(row: Expiring) -> tuple[datetime, str]:
        return row.expires_at or now, row.id

    over = [row for row in rows if row.expires_at is not None and row.expires_at <= now]
    return sorted((row for row in over if after is None or place(row) > place(after)), key=place)[:limit]
