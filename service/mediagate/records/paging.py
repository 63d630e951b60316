"""Cursors: where a page of media ended. The order is creation, then id, newest first."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from mediagate.errors import InvalidParameter
from mediagate.media import Media

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def cursor_after(media: Media) -> str:
    """Return the cursor of the page that begins after this media."""
    return f"{(media.created_at - _EPOCH) // _MILLISECOND}.{media.id}"


def read_cursor(cursor: str) -> tuple[datetime, str]:
    """Return the creation and the id that a page begins after; raises ``InvalidParameter``."""
    milliseconds, _, media_id = cursor.partition(".")
    if not (milliseconds.isascii() and milliseconds.isdigit() and len(milliseconds) <= 14 and media_id):
        raise InvalidParameter("cursor: use the nextCursor of the page before, as it is")
    return _EPOCH + int(milliseconds) * _MILLISECOND, media_id
