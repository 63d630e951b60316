"""The route of uploads in one request, and the response 202."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from mediagate.api import Calls
from mediagate.http.access import ask_who
from mediagate.http.job_json import seconds
from mediagate.http.links import link_base
from mediagate.kernel import Incoming, closes_unread
from mediagate.values import Action, Job, Principal, iso

HOUR = timedelta(hours=1)


class UploadRoutes:
    """The route of uploads of one gate."""

    def __init__(self, gate: Calls) -> None:
        self._gate = gate

    def routes(self) -> list[Route]:
        """Return the route."""
        return [Route("/upload", self._upload, methods=["POST"])]

    async def _upload(self, request: Request) -> Response:
        runtime, incoming = self._gate.runtime, Incoming(request)
        with closes_unread(incoming), runtime.parts.observer.during("upload", request=request):
            principal = await ask_uploader(self._gate, incoming)
            job, ignored = await runtime.intake.upload(incoming, principal)
            return await accepted(self._gate, incoming, job, ignored)


async def ask_uploader(gate: Calls, request: Request) -> Principal | None:
    """Return the uploader; raises ``ShuttingDown`` when the gate is closing, and the errors of ``ask_who``."""
    gate.runtime.refuse_when_closing()
    return await ask_who(gate.runtime.parts, request, Action.UPLOAD)


async def accepted(gate: Calls, request: Request, job: Job, ignored: Sequence[str] = ()) -> Response:
    """Return the response 202 of a job, with its status URL, when to poll it, and the ignored fields.

    That of a pipeline says in addition what it is, and until when its outputs are kept at least.
    """
    url = f"{link_base(gate.settings, request)}/status/{job.id}"
    pause = await gate.runtime.backlog.poll_after_ms(job)
    return JSONResponse(
        {
            "jobId": job.id,
            "status": "PENDING",
            "message": f"{'Pipeline' if job.spec else 'Upload'} accepted; poll statusUrl for the result.",
            "statusUrl": url,
            "pollAfterMs": pause,
            "clientReferenceId": job.client_reference_id,
            **_pipeline(job),
            **({"ignored": ignored} if ignored else {}),
        },
        status_code=202,
        headers={
            "Location": url,
            "Retry-After": seconds(pause),
            "Cache-Control": "no-store",
            "Mediagate-Job-Status": str(job.status),
        },
    )


def _pipeline(job: Job) -> dict[str, Any]:
    if job.spec is None:
        return {}
    return {
        "kind": str(job.kind),
        "preset": job.spec.preset,
        "presetVersion": job.spec.version,
        "retention": {"ttlHours": job.spec.ttl / HOUR, "clamped": job.spec.clamped},
        "expiresAt": iso(job.expires_at or job.created_at + job.spec.ttl),
    }
