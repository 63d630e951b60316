"""Conditional requests (RFC 9110, section 13)."""

from __future__ import annotations

import hashlib

from starlette.requests import Request


def etag_of(content: bytes) -> str:
    """Return a strong ``ETag`` of these bytes."""
    return f'"{hashlib.sha256(content).hexdigest()[:32]}"'


def is_current(request: Request, etag: str) -> bool:
    """Return whether ``If-None-Match`` names this ``ETag``, by weak comparison (RFC 9110, section 13.1.2)."""
    tags = [tag.strip().removeprefix("W/") for tag in request.headers.get("If-None-Match", "").split(",")]
    return etag in tags or tags == ["*"]
