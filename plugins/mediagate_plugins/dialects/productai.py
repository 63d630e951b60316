"""ProductAI's API: create a job of a preset, poll it, list jobs, and be called when one ends.

Sources: https://create.productai.photo/docs/api/jobs and https://create.productai.photo/docs/api/generate.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from mediagate import CallbackForm, Job, JobKind, JobStatus, MediaGate, Status, iso, plugin
from mediagate.errors import InvalidParameter, MediagateError
from mediagate.operations import Item, files_made, item
from mediagate_plugins.dialects.dialect import Dialect, Handler, answered, check, failure_of, images_of, renamed
from mediagate_plugins.dialects.own_host import app_of
from mediagate_plugins.dialects.query import check_query, number
from mediagate_plugins.pipelines import Translation, accept_translated

FIELDS = {
    "model": "preset",
    "steps": "steps",
    "params": "params",
    "num_images": "outputs",
    "webhook_url": "callbackUrl",
    "media_id": "mediaId",
    "upload_ids": "uploadIds",
    "client_reference_id": "clientReferenceId",
}
STATUSES: Mapping[str, Collection[JobStatus]] = {
    "pending": [JobStatus.PENDING],
    "processing": [JobStatus.PROCESSING],
    "completed": [JobStatus.COMPLETE],
    "failed": [JobStatus.REJECTED, JobStatus.FAILED, JobStatus.CANCELLED],
}
ENDS = [*STATUSES["completed"], *STATUSES["failed"]]
WORDS = {native: word for word, natives in STATUSES.items() for native in natives}


@plugin("productai", requires=("pipelines",), repeatable=True)
async def productai(gate: MediaGate, *, path: str = "/productai") -> None:
    """Serve ``POST /v1/generate`` and ``GET /v1/jobs`` with its jobs below ``path``; raises ``ConfigError``."""
    ProductAI(gate, path).register()


def productai_app(gate: MediaGate) -> ASGIApp:
    """Return the same API for a host of its own, as ``Host("api.productai.example", productai_app(gate))``."""
    return app_of(gate, productai)


class ProductAI(Dialect):
    """The dialect of one gate."""

    name = "productai"
    callbacks = CallbackForm(lambda status, _: _called(status), ENDS, "X-ProductAI-Signature")

    def routes(self) -> Iterable[tuple[str, str, Handler]]:
        """Return the routes."""
        yield "POST", "/v1/generate", self._generate
        yield "GET", "/v1/jobs", self._list
        yield "GET", "/v1/jobs/{job_id}", self._get

    def problem(self, error: MediagateError) -> tuple[int, Mapping[str, Any]]:
        """Return the words for an error."""
        told = {"code": error.code, "message": error.client_detail}
        faults = error.members.get("errors")
        return error.status, {"error": {**told, "errors": faults} if faults else told}

    async def _generate(self, request: Request) -> Response:
        job = await accept_translated(self.gate, request, partial(_translated, request))
        left = await self.gate.seconds_left(job)
        body = {**_head(job), "progress": job.progress, "estimated_time_seconds": left, **_asked(job)}
        return answered(body, 202, Location=self.url(request, f"/v1/jobs/{job.id}"))

    async def _get(self, request: Request) -> Response:
        status = await self.status(request, request.path_params["job_id"])
        check_query(request)
        return answered({**_head(status.job), **_state(status)})

    async def _list(self, request: Request) -> Response:
        owner = await self.owner(request)
        check_query(request, ("limit", "offset", "status"))
        limit, offset = number(request, "limit", 20), number(request, "offset", 0)
        word = request.query_params.get("status", "all")
        if word not in ("all", *STATUSES):
            raise InvalidParameter(f"status: use one of all, {', '.join(STATUSES)}")
        page = await self.gate.list_jobs(owner=owner, status=STATUSES.get(word), limit=limit, offset=offset)
        jobs = [{**_head(one.job), **_asked(one.job), **_ended(one.job)} for one in page.items]
        told = {"total": page.total, "limit": limit, "offset": offset, "has_more": page.next_cursor is not None}
        return answered({"jobs": jobs, **told})


def _translated(request: Request, document: dict[str, Any]) -> Translation:
    check_query(request)
    told, places, faults = renamed(document, FIELDS)
    outputs = told.pop("outputs", None)
    if outputs is not None and (not isinstance(outputs, int) or isinstance(outputs, bool)):
        faults.append(item(("num_images",), "wrong_type", "not a whole number", outputs))
    check([_explained(fault) for fault in faults])
    return Translation(told, places, ProductAI.name, outputs=outputs)


def _explained(fault: Item) -> Item:
    if fault["code"] != "unknown_field":
        return fault
    return {**fault, "detail": f"{fault['detail']}; pictures that you send are processed, none are generated"}


def _head(job: Job) -> dict[str, Any]:
    return {"job_id": job.id, "status": WORDS[job.status], "created_at": iso(job.created_at)}


def _ended(job: Job) -> dict[str, Any]:
    if not job.status.terminal:
        return {}
    return {"completed_at" if job.status is JobStatus.COMPLETE else "failed_at": iso(job.finished_at)}


def _asked(job: Job) -> dict[str, Any]:
    """Return what was asked for; an upload has no preset, and its largest variant stands for it."""
    pages = [one.pages for one in job.inputs if not one.refers]
    count = files_made(job.spec.steps, pages) if job.spec else int(job.kind is JobKind.MEDIA)
    return {"model": job.spec.preset if job.spec else None, "num_images": count}


def _state(status: Status) -> dict[str, Any]:
    job = status.job
    started = {"started_at": iso(job.started_at)} if job.started_at else {}
    if job.status in STATUSES["failed"]:
        return {**started, **_ended(job), **_result(status)}
    told = {"progress": job.progress, **started, **_ended(job), **_asked(job)}
    return {**told, **_result(status)} if job.status.terminal else told


def _result(status: Status) -> dict[str, Any]:
    if failure := failure_of(status):
        return {"error": {"code": failure.code, "message": failure.text}}
    images = [{"url": one.url, "width": one.width, "height": one.height} for one in images_of(status)]
    return {"images": images, "tokens_used": status.job.credits}


def _called(status: Status) -> dict[str, Any]:
    """Return the body of a webhook."""
    job, word = status.job, WORDS[status.job.status]
    return {"event": f"job.{word}", "job_id": job.id, "status": word, **_result(status), **_ended(job)}
