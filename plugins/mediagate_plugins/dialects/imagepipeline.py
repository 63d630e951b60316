"""The API of ImagePipeline: an endpoint for each preset with its status route, and one webhook for a job's end.

The words are those of the page "Jobs & Webhooks" of its documentation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from mediagate import CallbackForm, JobStatus, MediaGate, iso, plugin
from mediagate.errors import JobNotFound, MediagateError, RouteNotFound
from mediagate.operations import item
from mediagate_plugins.dialects.dialect import (
    Dialect,
    Failure,
    Handler,
    answered,
    check,
    failure_of,
    images_of,
    renamed,
    seconds,
)
from mediagate_plugins.dialects.imagepipeline_event import EVENT_SCHEMA, event_of, failed, result_of, word_of
from mediagate_plugins.dialects.own_host import app_of
from mediagate_plugins.dialects.query import check_query
from mediagate_plugins.pipelines import Translation, accept_translated

FIELDS = {
    "steps": "steps",
    "params": "params",
    "callback_url": "callbackUrl",
    "client_reference_id": "clientReferenceId",
    "retention": "retention",
    "media_id": "mediaId",
    "upload_ids": "uploadIds",
}
RETENTION = {"ttl_hours": "ttlHours"}
NOT_GENERATED = " (pictures are processed here, not generated)"


@plugin("imagepipeline", requires=("pipelines",), repeatable=True)
async def imagepipeline(gate: MediaGate, *, path: str = "/imagepipeline") -> None:
    """Serve ``POST /{endpoint}`` and ``GET /{endpoint}/status/{job_id}`` below ``path``; raises ``ConfigError``."""
    ImagePipeline(gate, path).register()


def imagepipeline_app(gate: MediaGate) -> ASGIApp:
    """Return the same API for a host of its own, as ``Host("api.images.example", imagepipeline_app(gate))``."""
    return app_of(gate, imagepipeline)


class ImagePipeline(Dialect):
    """The dialect of one gate."""

    name = "imagepipeline"
    callbacks = CallbackForm(event_of)

    def routes(self) -> Iterable[tuple[str, str, Handler]]:
        """Return the routes; an endpoint is any path."""
        yield "GET", "/webhooks/event-schema", self._schema
        yield "GET", "/{endpoint:path}/status/{job_id}", self._get
        yield "POST", "/{endpoint:path}", self._create

    def problem(self, error: MediagateError) -> tuple[int, Mapping[str, Any]]:
        """Return the words for an error, and all faults of a request."""
        faults = {name: value for name, value in error.members.items() if name == "errors"}
        return error.status, failed(Failure(error.code, error.client_detail, error.retryable)) | faults

    async def _schema(self, request: Request) -> Response:
        return answered(EVENT_SCHEMA)

    async def _create(self, request: Request) -> Response:
        endpoint = "/" + request.path_params["endpoint"].removesuffix("/")
        job = await accept_translated(self.gate, request, partial(self._translation, request, endpoint))
        left = 0 if job.status.terminal else await self.gate.seconds_left(job)
        queued = {
            "job_id": job.id,
            "status": word_of(job),
            "endpoint": endpoint,
            "estimated_time_seconds": left,
            "queued_at": iso(job.created_at),
        }
        return answered(queued, 202, Location=self.url(request, f"{quote(endpoint)}/status/{job.id}"))

    def _translation(self, request: Request, endpoint: str, body: dict[str, Any]) -> Translation:
        """Return the native request; what it lacks words for is refused."""
        # Clients resolve dots in a URL, so they would not find the status route.
        if endpoint == "/" or {".", ".."} & {*endpoint.split("/")}:
            raise RouteNotFound("route not found; send the request to an endpoint, such as /generate/image/v1")
        check_query(request)
        told, places, unknown = renamed(body, FIELDS)
        faults = [{**fault, "detail": fault["detail"] + NOT_GENERATED} for fault in unknown]
        if isinstance(retention := told.get("retention"), dict):
            told["retention"], _, more = renamed(retention, RETENTION, ("retention",))
            faults += more
        elif retention is not None:
            faults.append(item(("retention",), "wrong_type", 'not an object; write {"ttl_hours": 24}', retention))
        check(faults)
        places |= {"/retention/ttlHours": "/retention/ttl_hours", "/preset": ""}
        told["preset"] = endpoint.removeprefix("/").replace("/", "-")
        return Translation(told, places, self.name, endpoint)

    async def _get(self, request: Request) -> Response:
        job_id, endpoint = request.path_params["job_id"], "/" + request.path_params["endpoint"]
        status = await self.status(request, job_id)
        job, failure, files = status.job, failure_of(status), images_of(status)
        if job.spec is not None and job.spec.dialect == self.name and job.spec.endpoint != endpoint:
            raise JobNotFound("job not found at this endpoint; ask the endpoint that created it")
        return answered(
            {
                "job_id": job.id,
                "status": word_of(job),
                "progress": status.progress,
                **result_of(files),
                "queue_wait_seconds": seconds(job.created_at, job.started_at),
                "inference_time_seconds": seconds(job.started_at, job.finished_at),
                "total_elapsed_seconds": seconds(job.created_at, job.finished_at),
                "credits_charged": job.status is JobStatus.COMPLETE,
                "credits_amount": job.credits,
                **failed(failure),
            }
        )
