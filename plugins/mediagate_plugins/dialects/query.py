"""Query parameters of dialects: a parameter that a dialect does not know is refused."""

from __future__ import annotations

from collections.abc import Collection

from starlette.requests import Request

from mediagate.errors import InvalidParameter

LONGEST_NUMBER = 10
"""Digits; longer numbers cost quadratic time to read."""


def check_query(request: Request, known: Collection[str] = ()) -> None:
    """Raise ``InvalidParameter`` for a parameter of another name."""
    for name in request.query_params:
        if name not in known:
            raise InvalidParameter(f"{name[:80]}: unknown parameter; use {', '.join(known) or 'none'}")


def number(request: Request, name: str, default: int) -> int:
    """Return a whole number from 0; raises ``InvalidParameter``."""
    text = request.query_params.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= LONGEST_NUMBER):
        raise InvalidParameter(f"{name}: use a whole number from 0")
    return int(text)
