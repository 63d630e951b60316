"""Pages of lists: what a request asks for, and the members of the answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from mediagate.errors import InvalidParameter
from mediagate.http import parameters

PAGING = ("limit", "cursor", "offset")
"""The query parameters of pages."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Which page of a list a request asks for."""

    limit: int
    cursor: str | None
    offset: int | None

    @classmethod
    def by(cls, request: Request) -> Asked:
        """Read the query; raises ``InvalidParameter``."""
        limit = int(parameters.number(request, "limit", default=20, low=1, high=100))
        return cls(limit, request.query_params.get("cursor"), _offset(request))

    def answer(self, items: Sequence[Any], next_cursor: str | None, total: int | None) -> dict[str, Any]:
        """Return the members of the answer; a page by offset has four more."""
        page = {"items": list(items), "nextCursor": next_cursor}
        if self.offset is None:
            return page
        has_more = next_cursor is not None
        return {**page, "total": total, "limit": self.limit, "offset": self.offset, "hasMore": has_more}


def _offset(request: Request) -> int | None:
    text = request.query_params.get("offset")
    if text is None:
        return None
    # Longer numbers cost quadratic time to read.
    if not (text.isascii() and text.isdigit() and len(text) <= 10):
        raise InvalidParameter("offset: use a whole number of items to skip, from 0")
    return int(text)
