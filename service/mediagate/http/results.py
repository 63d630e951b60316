"""The route of a pipeline's outputs: one as a file, several as a ZIP archive."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mediagate.api import Calls
from mediagate.errors import InvalidParameter, JobConflict
from mediagate.http import parameters
from mediagate.http.access import ask_owner
from mediagate.http.archive import zipped
from mediagate.http.downloads import Downloads
from mediagate.http.streamed import StreamedResponse
from mediagate.storage import streaming
from mediagate.values import CONTENT_TYPES, Action, JobKind, JobStatus, Output, Status, utcnow


class ResultRoutes:
    """The route of the outputs of one gate's pipelines."""

    def __init__(self, gate: Calls, downloads: Downloads) -> None:
        self._gate = gate
        self._downloads = downloads

    def routes(self) -> list[Route]:
        """Return the route."""
        return [Route("/jobs/{job_id}/download", self._download, methods=["GET"])]

    async def _download(self, request: Request) -> Response:
        """Answer with the only output, or that of ``?output=``; with several as a ZIP archive."""
        owner = await ask_owner(self._gate.runtime.parts, request, Action.READ)
        parameters.ignored(request, "output", strict=self._gate.settings.strict)
        status = await self._gate.get_status(request.path_params["job_id"], owner=owner)
        return downloaded(self._gate, self._downloads, status, request.query_params.get("output"))


def downloaded(gate: Calls, downloads: Downloads, status: Status, name: str | None) -> Response:
    """Return the response with the outputs of a job that have a name, ``None``: all; several are a ZIP archive.

    Raises ``JobConflict`` if it has none, and ``InvalidParameter`` if none has this name.
    """
    outputs = _chosen(_outputs_of(status), name)
    storage = gate.runtime.parts.storage
    if len(outputs) == 1:
        key, size = outputs[0].key, outputs[0].bytes
        extension = key.rpartition(".")[2]
        return StreamedResponse(
            lambda: streaming(storage.stream(key)),
            downloads,
            name=key,
            length=size,
            headers={
                **_headers(outputs[0].filename, CONTENT_TYPES.get(extension, "application/octet-stream")),
                "Content-Length": str(size),
            },
        )
    files = [(output.key, output.filename) for output in outputs]
    modified = status.job.finished_at or utcnow()
    return StreamedResponse(
        lambda: streaming(zipped(storage, files, modified)),
        downloads,
        name=status.job_id,
        length=None,
        headers=_headers(f"{status.job_id}.zip", "application/zip"),
    )


def _outputs_of(status: Status) -> Sequence[Output]:
    """Return the outputs of a job; raises ``JobConflict`` if it has none, or none yet."""
    job = status.job
    if job.kind is not JobKind.PIPELINE:
        raise JobConflict(
            "this job is an upload, not a pipeline; the URLs of its files are in its status", job_status=job.status
        )
    if job.status is not JobStatus.COMPLETE:
        told = f"is {job.status} and has no files" if job.status.terminal else "has not ended; poll its status"
        raise JobConflict(f"job {job.id} {told}", job_status=job.status)
    if not status.outputs:
        raise JobConflict("this job made no files; its data is in its status", job_status=job.status)
    return status.outputs


def _chosen(outputs: Sequence[Output], name: str | None) -> Sequence[Output]:
    """Return the outputs of this name, which several inputs may share, or the one of this file name."""
    if name is None:
        return outputs
    chosen = [output for output in outputs if name in (output.name, output.filename)]
    if not chosen:
        known = list(dict.fromkeys(output.name for output in outputs))
        close = get_close_matches(name[:64], known, n=1)
        hint = f"; did you mean {close[0]}?" if close else f"; use one of {', '.join(known)}"
        raise InvalidParameter(f"output: this job has no output {name!r:.80}{hint}")
    return chosen


def _headers(filename: str, content_type: str) -> dict[str, str]:
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '"\\%' else "_" for c in filename)
    return {
        "Content-Type": content_type,
        "Content-Disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(filename, safe='')}",
        "Cache-Control": "private, no-store",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }
