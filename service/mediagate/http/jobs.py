"""The routes of jobs: status, event stream, list, cancel, retry and delete."""

from __future__ import annotations

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from mediagate.api import Calls
from mediagate.http import parameters
from mediagate.http.access import ask_owner
from mediagate.http.conditional import etag_of, is_current
from mediagate.http.event_stream import event_stream
from mediagate.http.job_json import job_json, seconds
from mediagate.http.links import link_base
from mediagate.http.pages import PAGING, Asked
from mediagate.http.status_codes import as_200
from mediagate.http.uploads import accepted
from mediagate.kernel import Incoming, closes_unread
from mediagate.values import Action, Status

MAX_WAIT_S = 60.0
"""Maximum of ``?wait=``, in seconds; load balancers commonly time out at 60 s."""


class JobRoutes:
    """The routes of jobs of one gate."""

    def __init__(self, gate: Calls) -> None:
        self._gate = gate

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/status/{job_id}", self._status, methods=["GET"]),
            Route("/jobs", self._list, methods=["GET"]),
            Route("/jobs/{job_id}", self._delete, methods=["DELETE"]),
            Route("/jobs/{job_id}/cancel", self._cancel, methods=["POST"]),
            Route("/jobs/{job_id}/retry", self._retry, methods=["POST"]),
        ]

    async def _status(self, request: Request) -> Response:
        owner = await ask_owner(self._gate.runtime.parts, request, Action.READ)
        job_id = request.path_params["job_id"]
        always_200 = as_200(request, self._gate.settings.status_http)
        ignored = parameters.ignored(request, "http", "wait", strict=self._gate.settings.strict)
        base = link_base(self._gate.settings, request)
        if "text/event-stream" in request.headers.get("Accept", ""):
            return await event_stream(self._gate, request, owner=owner, base_url=base)
        wait_s = parameters.number(request, "wait", default=0, low=0, high=MAX_WAIT_S)
        status = await self._gate.long_poll(job_id, timeout_s=wait_s, owner=owner, base_url=base)
        content = await job_json(self._gate, request, status) | ignored
        return _status_response(request, status, always_200, content)

    async def _list(self, request: Request) -> Response:
        owner = await ask_owner(self._gate.runtime.parts, request, Action.READ)
        known = ("status", "sourceType", "sourceId", *PAGING)
        ignored = parameters.ignored(request, *known, strict=self._gate.settings.strict)
        asked = Asked.by(request)
        page = await self._gate.list_jobs(
            owner=owner,
            status=parameters.job_status(request, "status"),
            source_type=request.query_params.get("sourceType"),
            source_id=request.query_params.get("sourceId"),
            limit=asked.limit,
            cursor=asked.cursor,
            offset=asked.offset,
            base_url=link_base(self._gate.settings, request),
        )
        items = [await job_json(self._gate, request, status) for status in page.items]
        body = {**asked.answer(items, page.next_cursor, page.total), **ignored}
        return JSONResponse(body, headers={"Cache-Control": "no-store"})

    async def _delete(self, request: Request) -> Response:
        owner = await self._ask_owner(request, Action.DELETE)
        status = await self._gate.delete_job(request.path_params["job_id"], owner=owner)
        return Response(status_code=204, headers=_headers(status))

    async def _cancel(self, request: Request) -> Response:
        owner = await self._ask_owner(request, Action.DELETE)
        status = await self._gate.cancel(request.path_params["job_id"], owner=owner)
        return JSONResponse(await job_json(self._gate, request, status), headers=_headers(status.status))

    async def _retry(self, request: Request) -> Response:
        owner = await self._ask_owner(request, Action.UPLOAD)
        status = await self._gate.retry(request.path_params["job_id"], owner=owner)
        return await accepted(self._gate, request, status.job)

    async def _ask_owner(self, request: Request, action: Action) -> str | None:
        with closes_unread(Incoming(request)):
            return await ask_owner(self._gate.runtime.parts, request, action)


def _status_response(request: Request, status: Status, always_200: bool, content: dict[str, Any]) -> Response:
    body = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
    headers = {"ETag": etag_of(body), **_headers(status.status)}
    if not status.status.terminal:
        headers["Retry-After"] = seconds(content["pollAfterMs"])
    if is_current(request, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    code = 200 if always_200 else status.http_status
    return Response(body, status_code=code, headers=headers, media_type="application/json")


def _headers(status: str) -> dict[str, str]:
    return {"Cache-Control": "no-store", "Mediagate-Job-Status": str(status)}
