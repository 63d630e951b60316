"""The HTTP app of an open gate: the checks of requests and the routes."""

from __future__ import annotations

from starlette.types import ASGIApp

from mediagate.api import Calls
from mediagate.http.downloads import Downloads
from mediagate.http.entrance import Entrance
from mediagate.http.files import FileRoutes
from mediagate.http.route_table import RouteTable
from mediagate.http.routes import core_routes
from mediagate.kernel import Registry


def routing(gate: Calls, registry: Registry, downloads: Downloads) -> ASGIApp:
    """Return the app: the core's routes, then those of the plugins, then the published files."""
    table = RouteTable([*core_routes(gate, downloads), *registry.routes], FileRoutes(gate, downloads).route())
    guards_hosts = registry.guards_hosts and gate.runtime.parts.authorize is None
    return Entrance(table, gate.settings, guards_hosts=guards_hosts)
