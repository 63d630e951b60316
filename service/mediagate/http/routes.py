"""The HTTP face: each route reads its parameters, calls the gate, and writes the answer."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from mediagate.api import Calls
from mediagate.errors import InvalidParameter, MediagateError, Unavailable
from mediagate.http import parameters
from mediagate.http.access import ask_who
from mediagate.http.direct_uploads import DirectUploadRoutes
from mediagate.http.downloads import Downloads
from mediagate.http.event_stream import event_stream
from mediagate.http.files import serve_file
from mediagate.http.job_json import job_json, seconds
from mediagate.http.job_routes import JobRoutes
from mediagate.http.links import link_base
from mediagate.http.owner_routes import OwnerRoutes
from mediagate.http.problems import problem
from mediagate.http.uploads import UploadRoutes
from mediagate.storage import segment
from mediagate.values import Action, Status, owner_seen_by, utcnow

MAX_WAIT_S = 60.0
"""The longest that ``?wait=`` holds a request; load balancers commonly cut at 60 s."""


class Routes:
    """The core's routes of one gate."""

    def __init__(self, gate: Calls) -> None:
        self._gate = gate
        self._downloads = Downloads(gate.settings)

    def core(self) -> list[Route]:
        """Return the routes of uploads, jobs, media, usage and health."""
        return [
            *UploadRoutes(self._gate).routes(),
            *DirectUploadRoutes(self._gate).routes(),
            Route("/status/{job_id}", self._status, methods=["GET"]),
            Route("/media", self._list_media, methods=["GET"]),
            Route("/media/{media_id}", self._get_media, methods=["GET"]),
            Route("/media/{media_id}", self._delete_media, methods=["DELETE"]),
            *OwnerRoutes(self._gate).routes(),
            *JobRoutes(self._gate).routes(),
            Route("/healthz", self._healthz, methods=["GET"]),
            Route("/readyz", self._readyz, methods=["GET"]),
        ]

    def files(self) -> Route:
        """Return the route that serves published files: the last one, since it takes every path that is left."""
        return Route("/{key:path}", self._file, methods=["GET", "HEAD"])

    async def _status(self, request: Request) -> Response:
        owner = await self._owner(request, Action.READ)
        job_id, as_200 = request.path_params["job_id"], _as_200(request)
        ignored = parameters.ignored(request, "http", "wait", strict=self._gate.settings.strict)
        base = link_base(self._gate.settings, request)
        if "text/event-stream" in request.headers.get("Accept", ""):
            return await event_stream(self._gate, request, owner=owner, base_url=base)
        wait_s = parameters.number(request, "wait", default=0, low=0, high=MAX_WAIT_S)
        status = await self._gate.long_poll(job_id, timeout_s=wait_s, owner=owner, base_url=base)
        told = await job_json(self._gate, request, status) | ignored
        return _status_response(request, status, as_200, told)

    async def _list_media(self, request: Request) -> Response:
        owner = await self._owner(request, Action.READ)
        known = ("sourceType", "sourceId", "limit", "cursor")
        ignored = parameters.ignored(request, *known, strict=self._gate.settings.strict)
        source_type = request.query_params.get("sourceType")
        if source_type is None:
            raise InvalidParameter("sourceType: name the source whose media to list, as ?sourceType=avatar")
        page = await self._gate.list_media(
            source_type,
            request.query_params.get("sourceId"),
            limit=int(parameters.number(request, "limit", default=20, low=1, high=100)),
            cursor=request.query_params.get("cursor"),
            owner=owner,
            base_url=link_base(self._gate.settings, request),
        )
        return JSONResponse(
            {"items": [m.to_json() for m in page.items], "nextCursor": page.next_cursor, **ignored},
            headers={"Cache-Control": "no-store"},
        )

    async def _get_media(self, request: Request) -> Response:
        owner = await self._owner(request, Action.READ)
        ignored = parameters.ignored(request, strict=self._gate.settings.strict)
        base = link_base(self._gate.settings, request)
        media = await self._gate.get_media(request.path_params["media_id"], owner=owner, base_url=base)
        return JSONResponse(media.to_json() | ignored, headers={"Cache-Control": "no-store"})

    async def _delete_media(self, request: Request) -> Response:
        owner = await self._owner(request, Action.DELETE)
        await self._gate.delete_media(request.path_params["media_id"], owner=owner)
        return Response(status_code=204)

    async def _healthz(self, request: Request) -> Response:
        return JSONResponse({"status": "ok"}, headers={"Cache-Control": "no-store"})

    async def _readyz(self, request: Request) -> Response:
        try:
            await self._gate.runtime.check()
        except MediagateError as exc:
            return problem(exc if isinstance(exc, Unavailable) else Unavailable(exc.detail))
        return JSONResponse({"status": "ready"}, headers={"Cache-Control": "no-store"})

    async def _file(self, request: Request) -> Response:
        key, gate = request.path_params["key"], self._gate
        left_s = gate.runtime.urls.admit(key, request.query_params, now=utcnow())
        source = gate.runtime.parts.sources.get(segment(key, 1))
        return await serve_file(
            request,
            gate.runtime.parts.storage,
            key,
            self._downloads,
            ttl=source.ttl if source else None,
            private_for_s=left_s,
        )

    async def _owner(self, request: Request, action: Action) -> str | None:
        """Return whose things the caller is kept to."""
        return owner_seen_by(await ask_who(self._gate.runtime.parts, request, action))


def _as_200(request: Request) -> bool:
    if (asked := request.query_params.get("http", "status")) not in ("status", "200"):
        raise InvalidParameter("http: leave it out, or use ?http=200 for 200 in every job state")
    return asked == "200"


def _status_response(request: Request, status: Status, as_200: bool, told: dict[str, Any]) -> Response:
    body = json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()
    headers = {
        "ETag": f'"{hashlib.sha256(body).hexdigest()[:32]}"',
        "Cache-Control": "no-store",
        "Mediagate-Job-Status": str(status.status),
    }
    if not status.status.terminal:
        headers["Retry-After"] = seconds(told["pollAfterMs"])
    if _etag_matches(request.headers, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    code = 200 if as_200 else status.http_status
    return Response(body, status_code=code, headers=headers, media_type="application/json")


def _etag_matches(headers: Mapping[str, str], etag: str) -> bool:
    asked = headers.get("if-none-match", "")
    return asked == "*" or etag in (tag.strip().removeprefix("W/") for tag in asked.split(","))
