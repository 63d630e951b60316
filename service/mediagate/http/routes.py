"""The routes of the core, and the health routes."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from mediagate.api import Calls
from mediagate.errors import MediagateError, Unavailable
from mediagate.http.batches import BatchRoutes
from mediagate.http.direct_uploads import DirectUploadRoutes
from mediagate.http.downloads import Downloads
from mediagate.http.jobs import JobRoutes
from mediagate.http.media import MediaRoutes
from mediagate.http.problems import problem
from mediagate.http.results import ResultRoutes
from mediagate.http.uploads import UploadRoutes
from mediagate.http.usage import UsageRoutes


def core_routes(gate: Calls, downloads: Downloads) -> list[Route]:
    """Return the routes of uploads, jobs, batches, media, usage and health; ``FileRoutes`` serves published files."""
    return [
        *UploadRoutes(gate).routes(),
        *DirectUploadRoutes(gate).routes(),
        *JobRoutes(gate).routes(),
        *BatchRoutes(gate).routes(),
        *ResultRoutes(gate, downloads).routes(),
        *MediaRoutes(gate).routes(),
        *UsageRoutes(gate).routes(),
        *HealthRoutes(gate).routes(),
    ]


class HealthRoutes:
    """The health routes of one gate."""

    def __init__(self, gate: Calls) -> None:
        self._gate = gate

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/healthz", self._healthz, methods=["GET"]),
            Route("/readyz", self._readyz, methods=["GET"]),
        ]

    async def _healthz(self, request: Request) -> Response:
        return JSONResponse({"status": "ok"}, headers={"Cache-Control": "no-store"})

    async def _readyz(self, request: Request) -> Response:
        try:
            await self._gate.runtime.check()
        except MediagateError as exc:
            return problem(exc if isinstance(exc, Unavailable) else Unavailable(exc.detail))
        return JSONResponse({"status": "ready"}, headers={"Cache-Control": "no-store"})
