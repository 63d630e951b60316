"""The checks of every request before it is routed: the sending site and the ``Host`` header."""

from __future__ import annotations

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from mediagate.config import Settings
from mediagate.http.csrf import check_site
from mediagate.http.hosts import check_host
from mediagate.kernel import Incoming, closes_unread


class Entrance:
    """Checks requests, then passes them to the routes of an open gate."""

    def __init__(self, routes: ASGIApp, settings: Settings, *, guards_hosts: bool) -> None:
        self._routes = routes
        self._settings = settings
        self._guards_hosts = guards_hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        with closes_unread(Incoming(request)):
            if self._guards_hosts:
                check_host(request, self._settings)
            check_site(request, self._settings)
        await self._routes(scope, receive, send)
