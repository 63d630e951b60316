"""Callers and actions: the values that decide what a request may do and see."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from mediagate.errors import InvalidParameter

MAX_OWNER = 255


class Action(StrEnum):
    """The kind of access that a request needs; also the name of the scope that grants it."""

    UPLOAD = "upload"
    READ = "read"
    DELETE = "delete"
    ADMIN = "admin"


def is_owner(text: str) -> bool:
    """Return whether a text is a valid owner: 1 to 255 printable characters."""
    return 0 < len(text) <= MAX_OWNER and text.isprintable()


def check_owner(owner: str | None) -> None:
    """Raise ``InvalidParameter`` unless this is ``None`` or a valid owner."""
    if owner is not None and not is_owner(owner):
        raise InvalidParameter(f"owner: use 1 to {MAX_OWNER} printable characters")


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller: ``id`` owns the caller's uploads; an admin sees those of all owners.

    If an owner can have several credentials, ``key`` is the id (never the secret) of the one in use: each credential
    has its own limits, and ``GET /usage`` lists them separately.
    """

    id: str
    admin: bool = False
    key: str | None = None

    def __post_init__(self) -> None:
        for name, text in (("id", self.id), ("key", self.key)):
            if text is not None and not is_owner(text):
                raise ValueError(f"Principal.{name}: use 1 to {MAX_OWNER} printable characters")


def owner_seen_by(principal: Principal | None) -> str | None:
    """Return the owner to filter by, or ``None`` for no filter: for an admin, and without access control."""
    return None if principal is None or principal.admin else principal.id


def owner_and_key(principal: Principal | None) -> tuple[str | None, str | None]:
    """Return the owner of a caller's uploads and the key to count them under."""
    return (principal.id, principal.key) if principal is not None else (None, None)
