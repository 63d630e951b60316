"""Pages of media or jobs, by cursor or by offset. The order is creation, then id, newest first."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from mediagate.errors import InvalidParameter
from mediagate.values import Job, JobStatus, Media

Listed = TypeVar("Listed", Job, Media)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_CURSOR = re.compile(r"(\d{1,14})\.([\w-]{1,64})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Paging:
    """Which page is asked for: of ``limit`` rows, after a cursor or after ``offset`` rows."""

    limit: int
    cursor: str | None
    offset: int | None


def statuses_of(status: JobStatus | Collection[JobStatus] | None) -> Collection[JobStatus] | None:
    """Return the statuses that a filter names, ``None`` without one."""
    return (status,) if isinstance(status, JobStatus) else status


def cursor_after(last: Job | Media) -> str:
    """Return the cursor of the page after this row."""
    return f"{(last.created_at - _EPOCH) // _MILLISECOND}.{last.id}"


def cut(rows: Sequence[Listed], limit: int) -> tuple[Sequence[Listed], str | None]:
    """Return the first ``limit`` rows, and if there are more, the cursor of the page after these."""
    return rows[:limit], cursor_after(rows[limit - 1]) if len(rows) > limit else None


def read_cursor(cursor: str) -> tuple[datetime, str]:
    """Return the creation time and the id after which a page begins; raises ``InvalidParameter``."""
    found = _CURSOR.fullmatch(cursor)
    if found is None:
        raise InvalidParameter("cursor: pass the nextCursor of the previous page unchanged")
    return _EPOCH + int(found[1]) * _MILLISECOND, found[2]
