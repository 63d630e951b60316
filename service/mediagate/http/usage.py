"""The route of usage."""

from __future__ import annotations

from datetime import timedelta

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from mediagate.api import Calls
from mediagate.errors import Forbidden
from mediagate.http import parameters
from mediagate.http.access import ask_owner
from mediagate.values import Action, utcnow

DAYS = 30
"""Default number of days in a report; today is the last."""


class UsageRoutes:
    """The route of usage of one gate."""

    def __init__(self, gate: Calls) -> None:
        self._gate = gate

    def routes(self) -> list[Route]:
        """Return the route."""
        return [Route("/usage", self._usage, methods=["GET"])]

    async def _usage(self, request: Request) -> Response:
        seen = await ask_owner(self._gate.runtime.parts, request, Action.READ)
        ignored = parameters.ignored(request, "owner", "from", "to", strict=self._gate.settings.strict)
        owner = request.query_params.get("owner", seen)
        if seen is not None and owner != seen:
            raise Forbidden("owner: only an admin may see the usage of other owners; leave it out")
        last = parameters.day(request, "to", default=utcnow().date())
        first = parameters.day(request, "from", default=last - timedelta(days=DAYS - 1))
        report = await self._gate.usage(owner=owner, first=first, last=last)
        return JSONResponse(report.to_json() | ignored, headers={"Cache-Control": "no-store"})
