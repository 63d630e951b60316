"""The prefix of links."""

from __future__ import annotations

from starlette.requests import Request

from mediagate.config import Settings


def link_base(settings: Settings, request: Request) -> str:
    """Return the prefix of links: ``public_base_url``, by default the path under which the gate is mounted."""
    root: str = request.scope.get("root_path", "").strip("/")
    # A single slash: two would start another host's name, and daphne takes root_path from a header.
    return (settings.public_base_url or f"/{root}").rstrip("/")
