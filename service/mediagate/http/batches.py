"""The routes of batches, but for ``POST /batches``, which a plugin serves: read and cancel."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from mediagate.api import Calls
from mediagate.http import parameters
from mediagate.http.access import ask_owner
from mediagate.http.conditional import etag_of, is_current
from mediagate.http.job_json import seconds
from mediagate.http.links import link_base
from mediagate.http.status_codes import as_200
from mediagate.http.uploads import ask_uploader
from mediagate.intake import BatchReception, FormLimits
from mediagate.kernel import Incoming, closes_unread
from mediagate.values import HTTP_STATUS, Action, BatchState


class BatchRoutes:
    """The routes of batches of one gate."""

    def __init__(self, gate: Calls) -> None:
        self._gate = gate

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/batches/{batch_id}", self._get, methods=["GET"]),
            Route("/batches/{batch_id}/cancel", self._cancel, methods=["POST"]),
        ]

    async def _get(self, request: Request) -> Response:
        gate = self._gate
        owner = await ask_owner(gate.runtime.parts, request, Action.READ)
        always_200 = as_200(request, gate.settings.status_http)
        ignored = parameters.ignored(request, "http", strict=gate.settings.strict)
        state = await gate.get_batch(request.path_params["batch_id"], owner=owner)
        content = _batch_json(gate, request, state) | ignored
        body = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
        headers = {"ETag": etag_of(body), **_headers(gate, state)}
        if is_current(request, headers["ETag"]):
            return Response(status_code=304, headers=headers)
        code = 200 if always_200 else HTTP_STATUS[state.status]
        return Response(body, status_code=code, headers=headers, media_type="application/json")

    async def _cancel(self, request: Request) -> Response:
        gate = self._gate
        with closes_unread(Incoming(request)):
            owner = await ask_owner(gate.runtime.parts, request, Action.DELETE)
        state = await gate.cancel_batch(request.path_params["batch_id"], owner=owner)
        return JSONResponse(_batch_json(gate, request, state), headers=_headers(gate, state))


@asynccontextmanager
async def receive_batch(
    gate: Calls, request: Request, source_type: str, limits: FormLimits, *, dry_run: bool
) -> AsyncIterator[BatchReception]:
    """Receive the request of a caller; raises the errors of ``ask_uploader`` and ``Intake.receive_batch``."""
    runtime, incoming = gate.runtime, Incoming(request)
    with closes_unread(incoming), runtime.parts.observer.during("upload", request=request):
        principal = await ask_uploader(gate, incoming)
        async with runtime.intake.receive_batch(incoming, principal, source_type, limits, dry_run=dry_run) as reception:
            yield reception


def accepted_batch(gate: Calls, request: Request, state: BatchState, ignored: Sequence[str] = ()) -> Response:
    """Return the response 202 of a batch: its jobs, where and when to poll its state, and the ignored fields."""
    url = f"{link_base(gate.settings, request)}/batches/{state.batch.id}"
    told = _batch_json(gate, request, state)
    body = {
        **{name: told[name] for name in ("batchId", "status", "total", "jobs", "clientReferenceId")},
        "message": "Batch accepted; poll statusUrl for the results.",
        "statusUrl": url,
        "pollAfterMs": gate.settings.poll_after_ms,
        **({"ignored": list(ignored)} if ignored else {}),
    }
    headers = {**_headers(gate, state), "Location": url, "Retry-After": seconds(gate.settings.poll_after_ms)}
    return JSONResponse(body, status_code=202, headers=headers)


def _batch_json(gate: Calls, request: Request, state: BatchState) -> dict[str, Any]:
    base = link_base(gate.settings, request)
    body = state.to_json(url_of=lambda job_id: f"{base}/status/{job_id}")
    return body if state.status.terminal else body | {"pollAfterMs": gate.settings.poll_after_ms}


def _headers(gate: Calls, state: BatchState) -> dict[str, str]:
    headers = {"Cache-Control": "no-store", "Mediagate-Job-Status": str(state.status)}
    if not state.status.terminal:
        headers["Retry-After"] = seconds(gate.settings.poll_after_ms)
    return headers
