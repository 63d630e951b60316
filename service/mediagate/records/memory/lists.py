"""Pages of media and jobs in memory, and the usage of owners."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from typing import TypeVar

from mediagate.records.paging import cursor_after, read_cursor
from mediagate.values import Job, Media, Usage, UsageReport, added

Listed = TypeVar("Listed", Job, Media)


def page(found: Iterable[Listed], limit: int, cursor: str | None) -> tuple[list[Listed], str | None]:
    """Return one page after the cursor, newest first, and the cursor of the next page if there is one.

    Raises ``InvalidParameter`` for a malformed cursor.
    """
    rows = sorted(found, key=_place, reverse=True)
    if cursor is not None:
        after = read_cursor(cursor)
        rows = [row for row in rows if _place(row) < after]
    return rows[:limit], cursor_after(rows[limit - 1]) if len(rows) > limit else None


def _place(row: Job | Media) -> tuple[datetime, str]:
    return row.created_at, row.id


def usage_report(jobs: Iterable[Job], owner_id: str | None, first: date, last: date) -> UsageReport:
    """Return the usage by day and by key of the upload."""
    days: dict[date, list[Usage]] = {}
    keys: dict[str, list[Usage]] = {}
    for job in jobs:
        if owner_id in (None, job.owner_id) and first <= job.created_at.date() <= last:
            days.setdefault(job.created_at.date(), []).append(_usage_of(job))
            if job.key_id is not None:
                keys.setdefault(job.key_id, []).append(_usage_of(job))
    by_day = {day: added(days[day]) for day in sorted(days)}
    return UsageReport(owner_id, first, last, by_day, {key: added(keys[key]) for key in sorted(keys)})


def _usage_of(job: Job) -> Usage:
    return Usage(1, job.bytes, job.bytes_out, job.model_runs, {job.status: 1})
