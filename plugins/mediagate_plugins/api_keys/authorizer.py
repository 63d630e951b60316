"""Authentication of requests by API key."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.requests import Request

from mediagate import Action, Principal
from mediagate.errors import Forbidden, Unauthorized
from mediagate_plugins.api_keys.store import ApiKeys

REALM = 'Bearer realm="mediagate"'


class Authorizer:
    """Authenticates callers by a live key."""

    def __init__(self, keys: ApiKeys) -> None:
        self._keys = keys

    async def authorize(self, request: Request, action: Action) -> Principal:
        """Return the owner of a request's key; raises ``Unauthorized``, or ``Forbidden`` if it lacks the scope.

        Unknown, expired and revoked keys get the same response, which reveals nothing to an attacker.
        """
        text = presented_key(request.headers)
        if text is None:
            raise Unauthorized(
                "authentication required; send an API key: `Authorization: Bearer mg_live_…` or `X-API-Key: mg_live_…`"
            )
        key = await self._keys.check(text)
        if key is None:
            raise Unauthorized(
                "the API key is invalid, expired or revoked; use another one",
                challenge=f'{REALM}, error="invalid_token"',
            )
        if not key.allows(action):
            raise Forbidden(f"the API key lacks the scope {action}; use a key that has it")
        return Principal(key.owner, admin=Action.ADMIN in key.scopes, key=key.id)


def presented_key(headers: Headers) -> str | None:
    """Return the key of a request, ``None`` without one; raises ``Unauthorized`` for several different keys."""
    given = {value.strip() for value in headers.getlist("X-API-Key")}
    for value in headers.getlist("Authorization"):
        scheme, _, token = value.strip().partition(" ")
        if scheme.lower() == "bearer":
            given.add(token.strip())
    if len(given) > 1:
        raise Unauthorized("the request has several API keys; send one", challenge=f'{REALM}, error="invalid_request"')
    return given.pop() if given else None
