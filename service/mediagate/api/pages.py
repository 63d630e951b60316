"""Which pages of a list can be asked for."""

from __future__ import annotations

from mediagate.errors import ConflictingParameters, InvalidParameter

MOST_ITEMS = 100
MOST_OFFSET = 10_000
"""The database reads and discards the rows before an offset."""


def check_page(limit: int, cursor: str | None = None, offset: int | None = None) -> None:
    """Raise ``InvalidParameter`` for an invalid size or offset, ``ConflictingParameters`` for both ways to page."""
    if not 1 <= limit <= MOST_ITEMS:
        raise InvalidParameter(f"limit: use a number from 1 to {MOST_ITEMS}")
    if offset is None:
        return
    if cursor is not None:
        raise ConflictingParameters("cursor and offset: use one of the two")
    if not 0 <= offset <= MOST_OFFSET:
        raise InvalidParameter(f"offset: use a number from 0 to {MOST_OFFSET:,}; for later pages, follow nextCursor")
