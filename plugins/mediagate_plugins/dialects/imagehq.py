"""The API of ImageHQ: steps of several families in one job, single families, and batches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from mediagate import BatchState, MediaGate, plugin
from mediagate.errors import InvalidParameter, InvalidPipeline, MediagateError
from mediagate_plugins.dialects.dialect import Dialect, Handler, answered
from mediagate_plugins.dialects.imagehq_bodies import batch_body, job_body, poll_url, queued_body
from mediagate_plugins.dialects.imagehq_steps import FAMILIES, translated, translated_batch
from mediagate_plugins.dialects.own_host import app_of
from mediagate_plugins.pipelines import PIPELINES, Translation, accept_translated, accept_translated_batch

BATCH = "bat_"
"""How the ids of batches begin, which share a route with those of jobs."""


@plugin("imagehq", requires=("pipelines",), repeatable=True)
async def imagehq(gate: MediaGate, *, path: str = "/imagehq") -> None:
    """Serve ``POST /v1/pipeline``, the endpoints of single families, batches and jobs below ``path``.

    Raises ``ConfigError``.
    """
    ImageHQ(gate, path).register()


def imagehq_app(gate: MediaGate) -> ASGIApp:
    """Return the same API for a host of its own, as ``Host("api.images.example", imagehq_app(gate))``."""
    return app_of(gate, imagehq)


class ImageHQ(Dialect):
    """The dialect of one gate."""

    name = "imagehq"

    def routes(self) -> Iterable[tuple[str, str, Handler]]:
        """Return the routes."""
        yield "POST", "/v1/pipeline", partial(self._create, None)
        for family in FAMILIES:
            yield "POST", f"/v1/{family}", partial(self._create, family)
        yield "POST", "/v1/batch", self._create_batch
        yield "GET", "/v1/jobs/{id}", self._get
        yield "GET", "/v1/jobs/{id}/download", self._download

    def problem(self, error: MediagateError) -> tuple[int, Mapping[str, Any]]:
        """Return the words for an error."""
        faults = error.errors if isinstance(error, InvalidPipeline) else ()
        told = {
            "code": error.code,
            "message": error.client_detail,
            "retryable": error.retryable,
            "errors": [{name: fault[name] for name in ("pointer", "code", "detail")} for fault in faults],
        }
        return error.status, {"error": told}

    async def _create(self, family: str | None, request: Request) -> Response:
        def translate(body: dict[str, Any]) -> Translation:
            check_query(request)
            return translated(body, self.gate[PIPELINES], family)

        job = await accept_translated(self.gate, request, translate)
        return answered(queued_body(job), 202, Location=self.url(request, poll_url(job.id)))

    async def _create_batch(self, request: Request) -> Response:
        def translate(body: dict[str, Any]) -> Translation:
            check_query(request)
            return translated_batch(body, self.gate[PIPELINES])

        state = await accept_translated_batch(self.gate, request, translate)
        return answered(batch_body(state), 202, Location=self.url(request, poll_url(state.batch.id)))

    async def _get(self, request: Request) -> Response:
        job_id = request.path_params["id"]
        if job_id.startswith(BATCH):
            return answered(batch_body(await self._batch(request, job_id)))
        return answered(job_body(await self.status(request, job_id)))

    async def _batch(self, request: Request, batch_id: str) -> BatchState:
        return await self.gate.get_batch(batch_id, owner=await self.owner(request))

    async def _download(self, request: Request) -> Response:
        status = await self.status(request, request.path_params["id"])
        check_query(request)
        return self.gate.download(status)


def check_query(request: Request) -> None:
    """Raise ``InvalidParameter`` for a query: the routes that call this have none."""
    for name in request.query_params:
        raise InvalidParameter(f"{name[:100]}: this route has no query parameters; leave it out")
