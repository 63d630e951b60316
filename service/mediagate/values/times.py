"""Timestamps: the present, and the JSON notation."""

from __future__ import annotations

from datetime import UTC, datetime


def utcnow() -> datetime:
    """Return the present in UTC at millisecond precision, the precision of both databases."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


def iso(moment: datetime | None) -> str | None:
    """Return a timestamp for JSON: ISO 8601 in UTC with milliseconds, such as ``2026-01-31T12:00:00.000Z``."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z") if moment else None
