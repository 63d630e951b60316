"""The crashing gate with a source and a route for pipelines: the body of ``POST /made`` runs through two branches."""

from __future__ import annotations

from datetime import timedelta

from crashing_gate import gate
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from mediagate import OPERATIONS, Source
from mediagate.images import standard
from tests.support.pipelines import BRANCHES

gate.sources["work"] = Source(visibility="private", ttl=timedelta(days=1))
gate.decorate(OPERATIONS, standard())


async def make(request: Request) -> Response:
    data = await request.body()
    status = await gate.pipeline([data, data], steps=BRANCHES, source="work")
    return JSONResponse({"jobId": status.job_id}, status_code=202)


gate.add_route("/made", make, methods=["POST"])
