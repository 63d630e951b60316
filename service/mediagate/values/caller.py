"""Who asks, and what for: the values that decide what a caller may do and see."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from mediagate.errors import InvalidParameter

MAX_OWNER = 255


class Action(StrEnum):
    """What a request wants; also the scope that allows it."""

    UPLOAD = "upload"
    READ = "read"
    DELETE = "delete"
    ADMIN = "admin"


def is_owner(text: str) -> bool:
    """Return whether a text can name an owner: 1 to 255 printable characters."""
    return 0 < len(text) <= MAX_OWNER and text.isprintable()


def check_owner(owner: str | None) -> None:
    """Raise ``InvalidParameter`` unless this can be whose an upload is."""
    if owner is not None and not is_owner(owner):
        raise InvalidParameter(f"owner: use 1 to {MAX_OWNER} printable characters")


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller who was let in: ``id`` is the owner of what it uploads; an admin sees what everybody owns.

    ``key`` is the id, never the secret, of the credential that it came with, where an owner may have several: each has
    limits of its own, and ``GET /usage`` tells them apart.
    """

    id: str
    admin: bool = False
    key: str | None = None

    def __post_init__(self) -> None:
        for name, text in (("id", self.id), ("key", self.key)):
            if text is not None and not is_owner(text):
                raise ValueError(f"Principal.{name}: use 1 to {MAX_OWNER} printable characters")


def owner_seen_by(principal: Principal | None) -> str | None:
    """Return whose things a caller is kept to; ``None`` is everybody's, for an admin and where nobody is asked."""
    return None if principal is None or principal.admin else principal.id


def owner_and_key(principal: Principal | None) -> tuple[str | None, str | None]:
    """Return whose a caller's uploads are, and the key that they count for."""
    return (principal.id, principal.key) if principal is not None else (None, None)
