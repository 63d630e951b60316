"""Who asks, and what for: the values that decide what a caller may do and see."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum

from starlette.requests import Request

from mediagate.plugins import Key


class Action(StrEnum):
    """What a request wants; also the scope that allows it."""

    UPLOAD = "upload"
    READ = "read"
    DELETE = "delete"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller who was let in: ``id`` is the owner of what it uploads; an admin sees what everybody owns."""

    id: str
    admin: bool = False


Authorize = Callable[[Request, Action], Awaitable[Principal | None]]
"""Returns who asks, or ``None`` to refuse; raising a ``MediagateError`` refuses with that error."""

AUTHORIZE: Key[Authorize] = Key("AUTHORIZE")
"""Unset: everybody may do everything, and nobody owns anything."""
