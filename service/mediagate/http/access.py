"""Access control of the routes: authenticates the caller of a request."""

from __future__ import annotations

from starlette.requests import Request

from mediagate.errors import Forbidden, Unauthorized
from mediagate.parts import Parts
from mediagate.values import Action, Principal, owner_seen_by


async def ask_who(parts: Parts, request: Request, action: Action) -> Principal | None:
    """Return the caller and set ``request.state.principal``; ``None`` without access control.

    Raises ``Unauthorized`` when ``AUTHORIZE`` returns ``None``, ``Forbidden`` when the caller is not an admin but
    the action is ``ADMIN``, and any error that ``AUTHORIZE`` or a ``pre_authorize`` hook raises.
    """
    request.state.principal = None
    authorize = parts.authorize
    if authorize is None:
        return None
    await parts.hooks.run("pre_authorize", request, action)
    try:
        principal = await authorize(request, action)
        if principal is None:
            raise Unauthorized("authentication required")
    except Unauthorized:
        await parts.hooks.run("on_unauthorized", request, action)
        raise
    if not isinstance(principal, Principal):
        raise TypeError(f"authorize() must return a Principal or None, not {type(principal).__name__}")
    if action is Action.ADMIN and not principal.admin:
        # Checked here because many hosts' functions accept every user whatever the action.
        raise Forbidden("only an admin may do this")
    request.state.principal = principal
    return principal


async def ask_owner(parts: Parts, request: Request, action: Action) -> str | None:
    """Return the owner to filter by, ``None`` for no filter; raises the errors of ``ask_who``."""
    return owner_seen_by(await ask_who(parts, request, action))
