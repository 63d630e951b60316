"""What all dialects share: routes below a path or on a host of their own, keys, links, and the words for ends.

A dialect translates requests into those of ``POST /pipelines``, and statuses into its answers. It keeps nothing: the
same jobs can be read natively and in each dialect. What it cannot say is refused, with its place in the request.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, ClassVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from mediagate import CALLBACK_FORMS, Action, CallbackForm, JobStatus, MediaGate, ResultFile, Status, owner_seen_by
from mediagate.errors import ConfigError, InvalidPipeline, MediagateError
from mediagate.operations import Item, did_you_mean, item
from mediagate_plugins.dialects.own_host import is_own_host

Handler = Callable[[Request], Awaitable[Response]]
NO_STORE = {"Cache-Control": "no-store"}
_PATH = re.compile(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+")
MOST_FIELDS = 64
"""Fields of one object; suggesting names for very many unknown ones would take minutes."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a job ended without a result."""

    code: str
    text: str
    retryable: bool = False


class Dialect(ABC):
    """The API of another service over one gate, below ``path``."""

    name: ClassVar[str]
    callbacks: ClassVar[CallbackForm | None] = None
    """How the callback URLs of jobs that were asked for in this dialect are called; ``None``: it has none."""

    def __init__(self, gate: MediaGate, path: str) -> None:
        if not _PATH.fullmatch(path):
            said = f"write it like /{self.name}, of letters, digits, ., _, ~, - and /"
            raise ConfigError(f"{self.name}: path is {path!r}; {said}")
        self.gate = gate
        self.path = path

    @abstractmethod
    def routes(self) -> Iterable[tuple[str, str, Handler]]:
        """Return the method, the path and the handler of each route."""

    @abstractmethod
    def problem(self, error: MediagateError) -> tuple[int, Mapping[str, Any]]:
        """Return the HTTP status code and the body for an error."""

    def authorization(self, value: str) -> str:
        """Return the value of a header ``Authorization`` in the form in which the gate reads it."""
        return value

    def register(self) -> None:
        """Add the routes to the gate; called while its plugin boots."""
        for method, path, handler in self.routes():
            self.gate.add_route(self.path + path, partial(self._answer, handler), methods=[method])
        self.gate.add_problem_form(self.path, self.problem)
        if self.callbacks is not None:
            self.gate.decorate(CALLBACK_FORMS, {self.name: self.callbacks})

    async def status(self, request: Request, job_id: str) -> Status:
        """Return the status of a job of the caller, with absolute links; raises as ``gate.get_status``."""
        owner = await self.owner(request)
        return await self.gate.get_status(job_id, owner=owner, base_url=self.file_base(request))

    async def owner(self, request: Request) -> str | None:
        """Return the owner whose jobs a caller may read, ``None`` for all; raises as ``gate.authorize``."""
        return owner_seen_by(await self.gate.authorize(request, Action.READ))

    def url(self, request: Request, path: str) -> str:
        """Return the absolute URL of a path of the dialect."""
        if is_own_host(request):
            return _origin(request) + path
        return self.file_base(request) + self.path + path

    def file_base(self, request: Request) -> str:
        """Return the absolute prefix of the URLs of files."""
        return self.gate.settings.public_base_url or _origin(request)

    async def _answer(self, handler: Handler, request: Request) -> Response:
        # In place: what a hook sets on the request's state reaches the answer.
        request.scope["headers"] = [
            (name, self.authorization(value.decode("latin-1")).encode("latin-1") if name == b"authorization" else value)
            for name, value in request.scope["headers"]
        ]
        return await handler(request)


def answered(body: Mapping[str, Any], status: int = 200, **headers: str) -> JSONResponse:
    """Return a response that no cache keeps."""
    return JSONResponse(dict(body), status_code=status, headers={**NO_STORE, **headers})


def failure_of(status: Status) -> Failure | None:
    """Return why a job ended without a result, ``None`` if it has one or has not ended."""
    job = status.job
    match job.status:
        case JobStatus.REJECTED:
            return Failure(job.code or "moderation_rejected", job.reason or "Content moderation failed")
        case JobStatus.FAILED:
            return Failure(job.code or "internal_error", job.error or "internal error", job.retryable)
        case JobStatus.CANCELLED:
            return Failure("cancelled", "The job was cancelled.")
    return None


def images_of(status: Status) -> list[ResultFile]:
    """Return the files of a COMPLETE job with their URLs: the outputs of a pipeline, or the largest variant."""
    if status.media is not None:
        return [status.media.largest] if status.media.largest else []
    urls = status.output_urls
    return [
        ResultFile(one.name, urls[one.position], one.format, one.width, one.height, one.bytes)
        for one in status.outputs
        if one.position in urls
    ]


def renamed(
    body: Mapping[str, Any], names: Mapping[str, str], at: Sequence[str | int] = ()
) -> tuple[dict[str, Any], dict[str, str], list[Item]]:
    """Return the fields of an object under the native names, the places that moved, and a fault for each other field.

    ``names`` maps the dialect's names to the native ones; ``at`` is the place of the object in the request.
    """
    if len(body) > MOST_FIELDS:
        return {}, {}, [item(tuple(at), "too_long", f"{len(body)} fields; up to {MOST_FIELDS} are read")]
    told = {names[name]: value for name, value in body.items() if name in names}
    places = {f"/{native}": pointer((*at, name)) for name, native in names.items()}
    return told, places, [unknown((*at, name), names) for name in body if name not in names]


def unknown(place: Sequence[str | int], known: Iterable[str]) -> Item:
    """Return the fault of a field that a dialect does not know."""
    name = str(place[-1])
    hint = did_you_mean(name, list(known)) or f"; the fields are {', '.join(known)}"
    return item(tuple(place), "unknown_field", f"unknown field {name[:100]!r}{hint}")


def pointer(place: Sequence[str | int]) -> str:
    """Return the JSON Pointer (RFC 6901) of a place."""
    return str(item(tuple(place), "", "")["pointer"])


def check(faults: Sequence[Item]) -> None:
    """Raise ``InvalidPipeline`` if there are faults."""
    if faults:
        raise InvalidPipeline(faults)


def seconds(since: datetime | None, until: datetime | None) -> float | None:
    """Return the seconds between two times, ``None`` if one is not known."""
    return None if since is None or until is None else round((until - since) / timedelta(seconds=1), 3)


def _origin(request: Request) -> str:
    root = request.scope.get("root_path", "").rstrip("/")
    return f"{request.url.scheme}://{request.url.netloc}{root}"
