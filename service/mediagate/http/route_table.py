"""The routing of requests: an unknown path is 404, a known path with another method is 405."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from starlette._utils import get_route_path
from starlette.requests import Request
from starlette.routing import Match, Route
from starlette.types import Receive, Scope, Send

from mediagate.errors import MethodNotAllowed, RouteNotFound
from mediagate.http.mount import unnamed_mount
from mediagate.kernel import Incoming, closes_unread
from mediagate.storage import is_served

log = logging.getLogger("mediagate")


class RouteTable:
    """The routes of an open gate. The first match answers; ``files`` gets the paths that match no other route.

    A trailing slash is ignored unless a route has it itself. Raises ``RouteNotFound`` and ``MethodNotAllowed``.
    """

    def __init__(self, routes: Sequence[Route], files: Route) -> None:
        self._routes = tuple(routes)
        self._files = files
        self._placed = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with closes_unread(Incoming(Request(scope, receive))):
            route, found = self._find(scope)
        # In place, because callers read the state that a route sets on its request.
        scope.update(found)
        await route.handle(scope, receive, send)

    def _find(self, scope: Scope) -> tuple[Route, Scope]:
        allowed: set[str] = set()
        for place in _spellings(scope):
            for route in self._routes:
                match, child = route.matches(place)
                if match is Match.FULL:
                    self._placed = True
                    return route, {**place, **child}
                if match is Match.PARTIAL:
                    allowed |= route.methods or set()
        self._look_for_mount(scope)
        match, child = self._files.matches(scope)
        if match is Match.FULL and not allowed:
            return self._files, child
        if match is Match.PARTIAL and is_served(get_route_path(scope).removeprefix("/")):
            allowed |= self._files.methods or set()
        if allowed:
            raise MethodNotAllowed(f"method not allowed; use {' or '.join(sorted(allowed))}", allowed=allowed)
        raise RouteNotFound("route not found")

    def _look_for_mount(self, scope: Scope) -> None:
        """Log once a hint if the path looks like that of a mount that the host does not declare."""
        if self._placed or (mount := unnamed_mount(scope, self._routes)) is None:
            return
        self._placed = True
        log.warning(
            "route not found: %.200r; if the gate is mounted at %.200r, make the host add that to the scope's "
            'root_path, as Starlette\'s Mount does (the page "Mount" of the documentation)',
            get_route_path(scope),
            mount,
        )


def _spellings(scope: Scope) -> list[Scope]:
    if len(get_route_path(scope)) > 1 and scope["path"].endswith("/"):
        return [scope, {**scope, "path": scope["path"][:-1]}]
    return [scope]
