"""The key of a request, and what it allows its caller."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.requests import Request

from mediagate import Action, Principal
from mediagate.errors import Forbidden, Unauthorized
from mediagate_plugins.api_keys.store import ApiKeys

REALM = 'Bearer realm="mediagate"'


class Authorizer:
    """Lets in callers with a live key."""

    def __init__(self, keys: ApiKeys) -> None:
        self._keys = keys

    async def authorize(self, request: Request, action: Action) -> Principal:
        """Return the owner of a request's key; raises ``Unauthorized``, or ``Forbidden`` if it lacks the scope.

        Unknown, expired and revoked keys are answered alike: a stranger learns nothing from the difference.
        """
        text = presented_key(request.headers)
        if text is None:
            raise Unauthorized("send an API key: `Authorization: Bearer mg_live_…` or `X-API-Key: mg_live_…`")
        key = await self._keys.check(text)
        if key is None:
            raise Unauthorized("the API key is wrong, expired or revoked", challenge=f'{REALM}, error="invalid_token"')
        if not key.allows(action):
            raise Forbidden(f"the API key lacks the scope {action}; ask whoever made it for one that has it")
        return Principal(key.owner, admin=Action.ADMIN in key.scopes, key=key.id)


def presented_key(headers: Headers) -> str | None:
    """Return the key that a request comes with, if any; raises ``Unauthorized`` when it comes with two."""
    given = {value.strip() for value in headers.getlist("X-API-Key")}
    for value in headers.getlist("Authorization"):
        scheme, _, token = value.strip().partition(" ")
        if scheme.lower() == "bearer":
            given.add(token.strip())
    if len(given) > 1:
        raise Unauthorized("send one API key, not several", challenge=f'{REALM}, error="invalid_request"')
    return given.pop() if given else None
