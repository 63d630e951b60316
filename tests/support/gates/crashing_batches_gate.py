"""The crashing gate with a route for batches of two pipelines, whose events it keeps."""

from __future__ import annotations

from importlib import import_module

from crashing_gate import gate
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from mediagate import EVENTS, BatchItem, EventType
from tests.support.pipelines import SMALL

import_module("crashing_pipelines_gate")  # adds the source and the operations of pipelines
gate.decorate(EVENTS, tuple(EventType))


async def make(request: Request) -> Response:
    data = await request.body()
    state = await gate.batch([BatchItem(data, SMALL), BatchItem(data, SMALL)], source="work")
    return JSONResponse({"batchId": state.batch.id}, status_code=202)


gate.add_route("/batched", make, methods=["POST"])
