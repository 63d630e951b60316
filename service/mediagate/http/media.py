"""The routes of media: list, get and delete."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from mediagate.api import Calls
from mediagate.errors import InvalidParameter
from mediagate.http import parameters
from mediagate.http.access import ask_owner
from mediagate.http.links import link_base
from mediagate.http.pages import PAGING, Asked
from mediagate.values import Action


class MediaRoutes:
    """The routes of media of one gate."""

    def __init__(self, gate: Calls) -> None:
        self._gate = gate

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/media", self._list, methods=["GET"]),
            Route("/media/{media_id}", self._get, methods=["GET"]),
            Route("/media/{media_id}", self._delete, methods=["DELETE"]),
        ]

    async def _list(self, request: Request) -> Response:
        owner = await ask_owner(self._gate.runtime.parts, request, Action.READ)
        known = ("sourceType", "sourceId", *PAGING)
        ignored = parameters.ignored(request, *known, strict=self._gate.settings.strict)
        source_type = request.query_params.get("sourceType")
        if source_type is None:
            raise InvalidParameter("sourceType is missing; name the source to list, such as ?sourceType=avatar")
        asked = Asked.by(request)
        page = await self._gate.list_media(
            source_type,
            request.query_params.get("sourceId"),
            limit=asked.limit,
            cursor=asked.cursor,
            offset=asked.offset,
            owner=owner,
            base_url=link_base(self._gate.settings, request),
        )
        return JSONResponse(
            {**asked.answer([m.to_json() for m in page.items], page.next_cursor, page.total), **ignored},
            headers={"Cache-Control": "no-store"},
        )

    async def _get(self, request: Request) -> Response:
        owner = await ask_owner(self._gate.runtime.parts, request, Action.READ)
        ignored = parameters.ignored(request, strict=self._gate.settings.strict)
        base = link_base(self._gate.settings, request)
        media = await self._gate.get_media(request.path_params["media_id"], owner=owner, base_url=base)
        return JSONResponse(media.to_json() | ignored, headers={"Cache-Control": "no-store"})

    async def _delete(self, request: Request) -> Response:
        owner = await ask_owner(self._gate.runtime.parts, request, Action.DELETE)
        await self._gate.delete_media(request.path_params["media_id"], owner=owner)
        return Response(status_code=204)
