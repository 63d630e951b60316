"""Selecting expired rows."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TypeVar

from mediagate.values import DirectUpload, Job, Media

Expiring = TypeVar("Expiring", DirectUpload, Job, Media)


def expired(rows: Iterable[Expiring], now: datetime, limit: int, after: Expiring | None) -> list[Expiring]:
    """Return the expired rows after ``after``, ordered by expiry and id."""

    def place(row: Expiring) -> tuple[datetime, str]:
        return row.expires_at or now, row.id

    over = [row for row in rows if row.expires_at is not None and row.expires_at <= now]
    return sorted((row for row in over if after is None or place(row) > place(after)), key=place)[:limit]
