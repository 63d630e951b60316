"""Cursors: where a page of media or jobs ended. The order is creation, then id, newest first."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from mediagate.errors import InvalidParameter
from mediagate.values import Job, Media

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_CURSOR = re.compile(r"(\d{1,14})\.([\w-]{1,64})", re.ASCII)


def cursor_after(last: Job | Media) -> str:
    """Return the cursor of the page that begins after this one."""
    return f"{(last.created_at - _EPOCH) // _MILLISECOND}.{last.id}"


def read_cursor(cursor: str) -> tuple[datetime, str]:
    """Return the creation and the id that a page begins after; raises ``InvalidParameter``."""
    found = _CURSOR.fullmatch(cursor)
    if found is None:
        raise InvalidParameter("cursor: use the nextCursor of the page before, as it is")
    return _EPOCH + int(found[1]) * _MILLISECOND, found[2]
