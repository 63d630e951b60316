"""Who asks: every route that needs to know finds out here."""

from __future__ import annotations

from starlette.requests import Request

from mediagate.errors import Forbidden, Unauthorized
from mediagate.parts import Parts
from mediagate.values import Action, Principal, owner_seen_by


async def ask_who(parts: Parts, request: Request, action: Action) -> Principal | None:
    """Return who asks, also as ``request.state.principal``; ``None`` where nobody is asked.

    Raises ``Unauthorized`` when ``AUTHORIZE`` knows no such caller, ``Forbidden`` when the action is ``ADMIN`` and the
    caller no admin, and what ``AUTHORIZE`` or a ``pre_authorize`` hook raises.
    """
    request.state.principal = None
    authorize = parts.authorize
    if authorize is None:
        return None
    await parts.hooks.run("pre_authorize", request, action)
    try:
        principal = await authorize(request, action)
        if principal is None:
            raise Unauthorized("say who you are: this service serves only callers whom it knows")
    except Unauthorized:
        await parts.hooks.run("on_unauthorized", request, action)
        raise
    if not isinstance(principal, Principal):
        raise TypeError(f"authorize() must return a Principal or None, not {type(principal).__name__}")
    if action is Action.ADMIN and not principal.admin:
        # Said here, for many a host's function lets every user of its own in, whatever the action.
        raise Forbidden("only an admin may do this")
    request.state.principal = principal
    return principal


async def ask_owner(parts: Parts, request: Request, action: Action) -> str | None:
    """Return whose things the caller is kept to, ``None`` for everybody's; raises what ``ask_who`` raises."""
    return owner_seen_by(await ask_who(parts, request, action))
