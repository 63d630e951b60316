"""A dialect at the root of a host of its own, where the paths of its links are those of the requests."""

from __future__ import annotations

from typing import Any

from starlette._utils import get_route_path
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from mediagate import MediaGate, Plugin
from mediagate.storage import is_served

OWN_HOST = "mediagate.dialect_host"
"""The member of the scope of requests that came to such a host."""


def app_of(gate: MediaGate, dialect: Plugin[Any, Any]) -> ASGIApp:
    """Register a dialect on a gate that is not open yet, and return the app to mount on a host of its own.

    The app also serves the files of the gate, to which the dialect's answers link. The gate itself needs a mount, or
    another way to open it.
    """
    path = f"/hosts/{dialect.name}"
    gate.register(dialect, path=path)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not is_served(get_route_path(scope).removeprefix("/")):
            root = scope.get("root_path", "").rstrip("/")
            below = {**scope, "path": root + path + get_route_path(scope), OWN_HOST: True}
            below.pop("raw_path", None)
            await gate(below, receive, send)
        else:
            await gate(scope, receive, send)

    return app


def is_own_host(request: Request) -> bool:
    """Return whether a request came to a host of the dialect's own."""
    return OWN_HOST in request.scope
