"""The routes by which a job is stopped, tried again, and deleted with all that it made."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from mediagate.api import Calls
from mediagate.http.access import ask_who
from mediagate.http.job_json import job_json
from mediagate.http.uploads import accepted
from mediagate.intake import Incoming, closes_unread
from mediagate.values import Action, owner_seen_by


class JobRoutes:
    """The routes of one job of a gate."""

    def __init__(self, gate: Calls) -> None:
        self._gate = gate

    def routes(self) -> list[Route]:
        """Return them."""
        return [
            Route("/jobs/{job_id}", self._delete, methods=["DELETE"]),
            Route("/jobs/{job_id}/cancel", self._cancel, methods=["POST"]),
            Route("/jobs/{job_id}/retry", self._retry, methods=["POST"]),
        ]

    async def _delete(self, request: Request) -> Response:
        owner = await self._owner(request, Action.DELETE)
        status = await self._gate.delete_job(request.path_params["job_id"], owner=owner)
        return Response(status_code=204, headers=_headers(status))

    async def _cancel(self, request: Request) -> Response:
        owner = await self._owner(request, Action.DELETE)
        status = await self._gate.cancel(request.path_params["job_id"], owner=owner)
        return JSONResponse(await job_json(self._gate, request, status), headers=_headers(status.status))

    async def _retry(self, request: Request) -> Response:
        owner = await self._owner(request, Action.UPLOAD)
        status = await self._gate.retry(request.path_params["job_id"], owner=owner)
        return await accepted(self._gate, request, status.job)

    async def _owner(self, request: Request, action: Action) -> str | None:
        with closes_unread(Incoming(request)):
            return owner_seen_by(await ask_who(self._gate.runtime.parts, request, action))


def _headers(status: str) -> dict[str, str]:
    return {"Cache-Control": "no-store", "Mediagate-Job-Status": status}
