"""The HTTP face: each route reads its parameters, calls the gate, and writes the answer."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from mediagate.errors import InvalidParameter, MediagateError, Unavailable
from mediagate.files import serve_file
from mediagate.intake import accept, read_ticket, reserve
from mediagate.problems import problem
from mediagate.status import Status
from mediagate.uploads import receive_upload

if TYPE_CHECKING:
    from mediagate.app import MediaGate

MAX_WAIT_S = 60.0
"""The longest that ``?wait=`` holds a request; load balancers commonly cut at 60 s."""
STREAM_WAIT_S = 15.0
"""How often an event stream says that it is alive."""


def routes(gate: MediaGate) -> list[Route]:
    """Return the core's routes for a gate."""

    async def upload(request: Request) -> Response:
        gate.refuse_when_closing()
        parts = gate.parts
        key = request.headers.get("Idempotency-Key")
        used = await reserve(key, parts)
        try:
            limits = {name: source.max_bytes for name, source in gate.sources.items()}
            idle = parts.settings.upload_timeout_s
            async with receive_upload(request, gate.spool_dir, limits=limits, idle_timeout_s=idle) as received:
                ticket = read_ticket(received.fields, gate.sources)
                job = await accept(
                    received.path,
                    received.bytes,
                    received.sha256,
                    received.filename,
                    ticket,
                    parts,
                    key=key,
                    used=used,
                )
        except BaseException:
            if key is not None and used is None:
                await parts.records.release_key(key)
            raise
        url = f"{gate.base_url(request)}/status/{job.id}"
        pause = parts.settings.poll_after_ms
        return JSONResponse(
            {
                "jobId": job.id,
                "status": "PENDING",
                "message": "Upload accepted; poll statusUrl for the result.",
                "statusUrl": url,
                "pollAfterMs": pause,
                "clientReferenceId": job.client_reference_id,
            },
            status_code=202,
            headers={"Location": url, "Retry-After": _seconds(pause), "Cache-Control": "no-store"},
        )

    async def status(request: Request) -> Response:
        job_id = request.path_params["job_id"]
        if "text/event-stream" in request.headers.get("Accept", ""):
            first = await gate.get_status(job_id, base_url=gate.base_url(request))
            return StreamingResponse(
                events(request, first), media_type="text/event-stream", headers={"Cache-Control": "no-store"}
            )
        wait_s = _number(request, "wait", default=0, low=0, high=MAX_WAIT_S)
        base = gate.base_url(request)
        now = await gate.settled(job_id, timeout_s=wait_s, base_url=base)
        return _status_response(request, now, gate.parts.settings.poll_after_ms)

    async def events(request: Request, state: Status) -> AsyncIterator[str]:
        """The same JSON as a poll answers, one event for each change, until the job is terminal."""
        said = ""
        while True:
            body = json.dumps(state.to_json(poll_after_ms=gate.parts.settings.poll_after_ms), separators=(",", ":"))
            if body != said:
                yield f"event: status\ndata: {body}\n\n"
                said = body
            if state.status.terminal or gate.closing or await request.is_disconnected():
                return
            if not await gate.changed(state.job_id, timeout_s=STREAM_WAIT_S):
                yield ": alive\n\n"
            try:
                state = await gate.get_status(state.job_id, base_url=gate.base_url(request))
            except MediagateError as exc:
                yield f"event: error\ndata: {json.dumps({'code': exc.code, 'detail': exc.detail})}\n\n"
                return

    async def list_media(request: Request) -> Response:
        source_type = request.query_params.get("sourceType")
        if source_type is None:
            raise InvalidParameter("sourceType: name the source whose media to list, as ?sourceType=avatar")
        page = await gate.list_media(
            source_type,
            request.query_params.get("sourceId"),
            limit=int(_number(request, "limit", default=20, low=1, high=100)),
            cursor=request.query_params.get("cursor"),
            base_url=gate.base_url(request),
        )
        return JSONResponse(
            {"items": [m.to_json() for m in page.items], "nextCursor": page.next_cursor},
            headers={"Cache-Control": "no-store"},
        )

    async def get_media(request: Request) -> Response:
        media = await gate.get_media(request.path_params["media_id"], base_url=gate.base_url(request))
        return JSONResponse(media.to_json(), headers={"Cache-Control": "no-store"})

    async def delete_media(request: Request) -> Response:
        await gate.delete_media(request.path_params["media_id"])
        return Response(status_code=204)

    async def healthz(request: Request) -> Response:
        return JSONResponse({"status": "ok"}, headers={"Cache-Control": "no-store"})

    async def readyz(request: Request) -> Response:
        try:
            gate.refuse_when_closing()
            await gate.check()
        except MediagateError as exc:
            return problem(exc if isinstance(exc, Unavailable) else Unavailable(exc.detail))
        return JSONResponse({"status": "ready"}, headers={"Cache-Control": "no-store"})

    return [
        Route("/upload", upload, methods=["POST"]),
        Route("/status/{job_id}", status, methods=["GET"]),
        Route("/media", list_media, methods=["GET"]),
        Route("/media/{media_id}", get_media, methods=["GET"]),
        Route("/media/{media_id}", delete_media, methods=["DELETE"]),
        Route("/healthz", healthz, methods=["GET"]),
        Route("/readyz", readyz, methods=["GET"]),
    ]


def file_route(gate: MediaGate) -> Route:
    """Return the route that serves published files: the last one, since it takes every path that is left."""

    async def file(request: Request) -> Response:
        return await serve_file(request, gate.parts.storage, request.path_params["key"])

    return Route("/{key:path}", file, methods=["GET", "HEAD"])


def _status_response(request: Request, status: Status, poll_after_ms: int) -> Response:
    if (as_http := request.query_params.get("http", "status")) not in ("status", "200"):
        raise InvalidParameter("http: leave it out, or use ?http=200 for 200 in every job state")
    body = json.dumps(status.to_json(poll_after_ms=poll_after_ms), ensure_ascii=False, separators=(",", ":")).encode()
    headers = {
        "ETag": f'"{hashlib.sha256(body).hexdigest()[:32]}"',
        "Cache-Control": "no-store",
        "Mediagate-Job-Status": str(status.status),
    }
    if not status.status.terminal:
        headers["Retry-After"] = _seconds(poll_after_ms)
    if _etag_matches(request.headers, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    code = 200 if as_http == "200" else status.http_status
    return Response(body, status_code=code, headers=headers, media_type="application/json")


def _etag_matches(headers: Mapping[str, str], etag: str) -> bool:
    asked = headers.get("if-none-match", "")
    return asked == "*" or etag in (tag.strip().removeprefix("W/") for tag in asked.split(","))


def _number(request: Request, name: str, *, default: float, low: float, high: float) -> float:
    text = request.query_params.get(name)
    if text is None:
        return default
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not low <= value <= high:
        raise InvalidParameter(f"{name}: use a number from {low:g} to {high:g}")
    return value


def _seconds(milliseconds: int) -> str:
    return str(math.ceil(milliseconds / 1000))
