"""A job's changes as server-sent events (HTML Living Standard, 9.2), until the job ends or a minute has passed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from mediagate.api import Calls
from mediagate.errors import MediagateError
from mediagate.http.access import ask_who
from mediagate.http.job_json import job_json
from mediagate.http.messages import language_of, message_of_error
from mediagate.values import Action, Status

ALIVE_S = 15.0
"""Interval of keep-alive comments, in seconds."""
STREAM_S = 60.0
"""Maximum duration of a stream: an ``EventSource`` reconnects by itself, and a stopping server waits for streams."""


async def event_stream(gate: Calls, request: Request, *, owner: str | None, base_url: str) -> Response:
    """Answer with the JSON of a poll at once and after each change, or 204 if the client already has the last state.

    Raises the errors of ``get_status``.
    """
    job_id = request.path_params["job_id"]
    first = await gate.next_status(job_id, timeout_s=ALIVE_S, owner=owner, base_url=base_url)
    first = first or await gate.get_status(job_id, owner=owner, base_url=base_url)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no", "Mediagate-Job-Status": str(first.status)}
    if first.status.terminal and request.headers.get("Last-Event-ID") == _event_id(first):
        # The only response that stops an EventSource from reconnecting.
        return Response(status_code=204, headers=headers)
    events = _events(gate, request, first, owner, base_url)
    return StreamingResponse(events, media_type="text/event-stream", headers=headers)


async def _events(
    gate: Calls, request: Request, status: Status, owner: str | None, base_url: str
) -> AsyncIterator[str]:
    clock = asyncio.get_running_loop().time
    end = clock() + STREAM_S
    calls = gate.runtime.departure.calls
    sent = ""
    news: Status | None = status
    while True:
        if news is None:
            yield ": alive\n\n"
        else:
            status = news
            body = json.dumps(await job_json(gate, request, status), separators=(",", ":"))
            if body != sent:
                yield f"event: status\nid: {_event_id(status)}\ndata: {body}\n\n"
            sent = body
        left = end - clock()
        if status.status.terminal or gate.runtime.closing or gate.runtime.departure.calls > calls or left <= 0:
            return
        try:
            news = await gate.next_status(
                status.job_id, status, timeout_s=min(ALIVE_S, left), owner=owner, base_url=base_url
            )
            # Checked again because a stream may outlive the caller's access.
            await ask_who(gate.runtime.parts, request, Action.READ)
        except MediagateError as exc:
            language = language_of(request.headers.get("Accept-Language", ""))
            message = message_of_error(exc, language, gate.sources.get(status.job.source_type))
            problem = {"code": exc.code, "detail": exc.client_detail, "message": message}
            yield f"event: error\ndata: {json.dumps(problem)}\n\n"
            return


def _event_id(status: Status) -> str:
    """Return an identifier of a job's state that is the same in every process."""
    job = status.job
    finished_ms = int(job.finished_at.timestamp() * 1000) if job.finished_at else 0
    return f"{job.status}-{job.stage}-{status.progress}-{job.attempts}-{finished_ms}"
