"""What a key is: its text, its hash, and what it allows."""

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
"""What every key begins with, so that a person, or a scanner for leaked secrets, knows one on sight."""
_KEY = re.compile(rf"{PREFIX}([a-z2-7]{{12}})_([a-z2-7]{{32}})", re.ASCII)
NOBODY = "0" * 64
"""Compared with where there is no key, so that an unknown id takes as long as a wrong secret."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key on record, without its secret: only the hash of that is kept."""

    id: str
    """The visible part, by which it is listed and revoked."""
    owner: str
    scopes: frozenset[Action]
    created_at: datetime
    secret_hash: str = field(repr=False)
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None
    """To within five minutes."""

    def state(self, now: datetime) -> Literal["live", "expired", "revoked"]:
        """Return whether it opens anything."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "live"

    def allows(self, action: Action) -> bool:
        """Return whether its scopes cover an action; ``admin`` covers all."""
        return action in self.scopes or Action.ADMIN in self.scopes


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was just made. ``text`` is what its holder sends; it is told here, and never again."""

    key: ApiKey
    text: str = field(repr=False)


def draw() -> tuple[str, str]:
    """Return a new id (60 random bits) and a new secret (160 random bits), both in lower-case base 32."""
    return _base32(8)[:12], _base32(20)


def text_of(key_id: str, secret: str) -> str:
    """Return the key as its holder sends it."""
    return f"{PREFIX}{key_id}_{secret}"


def read(text: str) -> tuple[str, str] | None:
    """Return the id and the secret of a key, ``None`` if the text is none."""
    found = _KEY.fullmatch(text)
    return (found[1], found[2]) if found else None


def hash_of(secret: str) -> str:
    """Return what is kept of a secret: its SHA-256 in hexadecimal.

    Slow, salted hashes guard secrets that people choose, of which few are likely. Of these there are 2^160, all equally
    likely, so nobody finds one by trying, and a slow hash would only burden each request.
    """
    return hashlib.sha256(secret.encode()).hexdigest()


def opens(secret: str, key: ApiKey | None, now: datetime) -> bool:
    """Return whether a secret is that of a live key; takes the same time wherever the hashes differ."""
    same = hmac.compare_digest(hash_of(secret), key.secret_hash if key is not None else NOBODY)
    return same and key is not None and key.state(now) == "live"


def _base32(count: int) -> str:
    return base64.b32encode(secrets.token_bytes(count)).decode().rstrip("=").lower()
