"""Who asks, and what for: the values that decide what a caller may do and see."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum

from starlette.requests import Request

from mediagate.errors import Forbidden, InvalidParameter, Unauthorized
from mediagate.plugins import Key
from mediagate.registry import Registry

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


Authorize = Callable[[Request, Action], Awaitable[Principal | None]]
"""Returns who asks, or ``None`` to refuse; raising a ``MediagateError`` refuses with that error."""

AUTHORIZE: Key[Authorize] = Key("AUTHORIZE")
"""Unset: everybody may do everything, and nobody owns anything."""


async def ask_who(registry: Registry, request: Request, action: Action) -> Principal | None:
    """Return who asks, also as ``request.state.principal``; ``None`` where nobody is asked.

    Raises ``Unauthorized`` when ``AUTHORIZE`` knows no such caller, ``Forbidden`` when the action is ``ADMIN`` and the
    caller no admin, and what ``AUTHORIZE`` or a ``pre_authorize`` hook raises.
    """
    request.state.principal = None
    authorize: Authorize | None = registry.values.get(AUTHORIZE)
    if authorize is None:
        return None
    await registry.hooks.run("pre_authorize", request, action)
    try:
        principal = await authorize(request, action)
        if principal is None:
            raise Unauthorized("say who you are: this service serves only callers whom it knows")
    except Unauthorized:
        await registry.hooks.run("on_unauthorized", request, action)
        raise
    if not isinstance(principal, Principal):
        raise TypeError(f"authorize() must return a Principal or None, not {type(principal).__name__}")
    if action is Action.ADMIN and not principal.admin:
        # Said here, for many a host's function lets every user of its own in, whatever the action.
        raise Forbidden("only an admin may do this")
    request.state.principal = principal
    return principal


def owner_seen_by(principal: Principal | None) -> str | None:
    """Return whose things a caller is kept to; ``None`` is everybody's, for an admin and where nobody is asked."""
    return None if principal is None or principal.admin else principal.id


def owner_and_key(principal: Principal | None) -> tuple[str | None, str | None]:
    """Return whose a caller's uploads are, and the key that they count for."""
    return (principal.id, principal.key) if principal is not None else (None, None)
