"""Identifiers."""

from __future__ import annotations

import base64
import secrets
from typing import Literal


def new_id(prefix: Literal["job", "med", "upl", "evt", "db", "rej", "bat"]) -> str:
    """Return an unguessable identifier such as ``job_3k5…`` (128 random bits, lower-case base 32)."""
    return f"{prefix}_{base64.b32encode(secrets.token_bytes(16)).decode().rstrip('=').lower()}"
