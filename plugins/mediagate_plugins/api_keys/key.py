"""API keys: their text, hash and scopes."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from mediagate import Action

PREFIX = "mg_live_"
"""Prefix of every key, recognizable for people and for scanners of leaked secrets."""
_KEY = re.compile(rf"{PREFIX}([a-z2-7]{{12}})_([a-z2-7]{{32}})", re.ASCII)
NO_KEY = "0" * 64
"""Hash to compare with if there is no key, so that an unknown id takes as long as a wrong secret."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A stored key, with the hash of its secret instead of the secret."""

    id: str
    """The public part of the key, for listing and revoking."""
    owner: str
    scopes: frozenset[Action]
    created_at: datetime
    secret_hash: str = field(repr=False)
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None
    """Accurate to five minutes."""

    def state(self, now: datetime) -> Literal["live", "expired", "revoked"]:
        """Return the key's state at ``now``."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "live"

    def allows(self, action: Action) -> bool:
        """Return whether its scopes cover an action; ``admin`` covers all."""
        return action in self.scopes or Action.ADMIN in self.scopes


@dataclass(frozen=True, slots=True)
class NewKey:
    """A new key. ``text`` is the key to send; it cannot be retrieved later."""

    key: ApiKey
    text: str = field(repr=False)


def draw() -> tuple[str, str]:
    """Return a new id (60 random bits) and a new secret (160 random bits), both in lower-case base 32."""
    return _base32(8)[:12], _base32(20)


def text_of(key_id: str, secret: str) -> str:
    """Return the text of a key."""
    return f"{PREFIX}{key_id}_{secret}"


def read(text: str) -> tuple[str, str] | None:
    """Return the id and the secret in a key's text, ``None`` if the text is malformed."""
    found = _KEY.fullmatch(text)
    return (found[1], found[2]) if found else None


def hash_of(secret: str) -> str:
    """Return the stored form of a secret: its SHA-256 in hexadecimal.

    Slow, salted hashes protect secrets chosen by people, which are guessable. These secrets are uniformly random among
    2^160, which rules out guessing, and a slow hash would only burden each request.
    """
    return hashlib.sha256(secret.encode()).hexdigest()


def opens(secret: str, key: ApiKey | None, now: datetime) -> bool:
    """Return whether a secret belongs to a live key, by constant-time comparison."""
    same = hmac.compare_digest(hash_of(secret), key.secret_hash if key is not None else NO_KEY)
    return same and key is not None and key.state(now) == "live"


def _base32(count: int) -> str:
    return base64.b32encode(secrets.token_bytes(count)).decode().rstrip("=").lower()
