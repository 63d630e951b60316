"""The routes by which owners find what is theirs: their jobs, and what they used."""

from __future__ import annotations

from datetime import timedelta

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from mediagate.api import Calls
from mediagate.errors import Forbidden
from mediagate.http import parameters
from mediagate.http.access import ask_who
from mediagate.http.job_json import job_json
from mediagate.http.links import link_base
from mediagate.values import Action, owner_seen_by, utcnow

DAYS = 30
"""How many days of usage are told unless others are asked for; today is the last."""


class OwnerRoutes:
    """The routes of jobs and usage of one gate."""

    def __init__(self, gate: Calls) -> None:
        self._gate = gate

    def routes(self) -> list[Route]:
        """Return them."""
        return [
            Route("/jobs", self._list_jobs, methods=["GET"]),
            Route("/usage", self._usage, methods=["GET"]),
        ]

    async def _list_jobs(self, request: Request) -> Response:
        owner = owner_seen_by(await ask_who(self._gate.runtime.parts, request, Action.READ))
        known = ("status", "sourceType", "sourceId", "limit", "cursor")
        ignored = parameters.ignored(request, *known, strict=self._gate.settings.strict)
        page = await self._gate.list_jobs(
            owner=owner,
            status=parameters.job_status(request, "status"),
            source_type=request.query_params.get("sourceType"),
            source_id=request.query_params.get("sourceId"),
            limit=int(parameters.number(request, "limit", default=20, low=1, high=100)),
            cursor=request.query_params.get("cursor"),
            base_url=link_base(self._gate.settings, request),
        )
        items = [await job_json(self._gate, request, status) for status in page.items]
        body = {"items": items, "nextCursor": page.next_cursor, **ignored}
        return JSONResponse(body, headers={"Cache-Control": "no-store"})

    async def _usage(self, request: Request) -> Response:
        seen = owner_seen_by(await ask_who(self._gate.runtime.parts, request, Action.READ))
        ignored = parameters.ignored(request, "owner", "from", "to", strict=self._gate.settings.strict)
        owner = request.query_params.get("owner", seen)
        if seen is not None and owner != seen:
            raise Forbidden("owner: only an admin sees what others used; leave it out")
        last = parameters.day(request, "to", default=utcnow().date())
        first = parameters.day(request, "from", default=last - timedelta(days=DAYS - 1))
        report = await self._gate.usage(owner=owner, first=first, last=last)
        return JSONResponse(report.to_json() | ignored, headers={"Cache-Control": "no-store"})
