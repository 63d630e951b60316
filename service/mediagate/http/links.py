"""What links begin with."""

from __future__ import annotations

from starlette.requests import Request

from mediagate.config import Settings


def link_base(settings: Settings, request: Request) -> str:
    """Return what links begin with: ``public_base_url``, else the path under which the gate is mounted."""
    root: str = request.scope.get("root_path", "").strip("/")
    # One slash, for two would begin another host's name, and daphne takes root_path from a header.
    return (settings.public_base_url or f"/{root}").rstrip("/")
