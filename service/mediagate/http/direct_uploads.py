"""The routes of direct uploads: declare, send the bytes if the storage takes none from clients, complete."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from mediagate.api import Calls
from mediagate.http.links import link_base
from mediagate.http.uploads import accepted, ask_uploader
from mediagate.kernel import Incoming, closes_unread
from mediagate.values import owner_seen_by


class DirectUploadRoutes:
    """The routes of direct uploads of one gate."""

    def __init__(self, gate: Calls) -> None:
        self._gate = gate

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/uploads", self._declare, methods=["POST"]),
            Route("/uploads/{upload_id}/content", self._receive_content, methods=["PUT"]),
            Route("/uploads/{upload_id}/complete", self._complete, methods=["POST"]),
        ]

    async def _declare(self, request: Request) -> Response:
        runtime, incoming = self._gate.runtime, Incoming(request)
        async with runtime.intake.open_body(incoming) as body:
            principal = await ask_uploader(self._gate, incoming)
            base_url = link_base(self._gate.settings, request)
            target, ignored = await runtime.intake.declare(incoming, body, principal, base_url=base_url)
        content = target.to_json() | ({"ignored": ignored} if ignored else {})
        return JSONResponse(content, status_code=201, headers={"Cache-Control": "no-store"})

    async def _receive_content(self, request: Request) -> Response:
        runtime, incoming = self._gate.runtime, Incoming(request)
        with closes_unread(incoming):
            runtime.refuse_when_closing()
            await runtime.intake.receive_content(incoming, request.path_params["upload_id"])
        return Response(status_code=204, headers={"Cache-Control": "no-store"})

    async def _complete(self, request: Request) -> Response:
        runtime, incoming = self._gate.runtime, Incoming(request)
        with runtime.parts.observer.during("upload", request=request):
            owner = owner_seen_by(await ask_uploader(self._gate, incoming))
            job = await runtime.intake.complete(request.path_params["upload_id"], owner=owner, request=incoming)
            return await accepted(self._gate, request, job)
