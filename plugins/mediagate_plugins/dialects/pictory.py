"""The status route of Pictory's image jobs: always 200 for a job that exists, and its state in the body.

Source: https://docs.pictory.ai/api-reference/ai-studio/get-image-job.
"""

from __future__ import annotations

import base64
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from mediagate import MediaGate, plugin
from mediagate.errors import JobNotFound, MediagateError
from mediagate_plugins.dialects.dialect import Dialect, Handler, answered, failure_of, images_of
from mediagate_plugins.dialects.own_host import app_of
from mediagate_plugins.dialects.query import check_query


@plugin("pictory", repeatable=True)
async def pictory(gate: MediaGate, *, path: str = "/pictory") -> None:
    """Serve ``GET /pictoryapis/v1/jobs/{id}`` below ``path``; raises ``ConfigError``."""
    Pictory(gate, path).register()


def pictory_app(gate: MediaGate) -> ASGIApp:
    """Return the same API for a host of its own, as ``Host("api.pictory.example", pictory_app(gate))``."""
    return app_of(gate, pictory)


class Pictory(Dialect):
    """The dialect of one gate."""

    name = "pictory"

    def routes(self) -> Iterable[tuple[str, str, Handler]]:
        """Return the only route."""
        yield "GET", "/pictoryapis/v1/jobs/{id}", self._get

    def authorization(self, value: str) -> str:
        """Return ``Bearer`` and the key, which is there without a scheme; ``Bearer`` is taken as everywhere."""
        key = value.strip()
        return value if not key or key.lower().startswith("bearer ") else f"Bearer {key}"

    def problem(self, error: MediagateError) -> tuple[int, Mapping[str, Any]]:
        """Return the words for an error; clients know 404 for a job that is gone, and 500 for what can be retried."""
        status = 500 if error.status > 500 else 404 if error.status == 410 else error.status
        return status, {"success": False, "data": {"error_code": error.code, "error_message": error.client_detail}}

    async def _get(self, request: Request) -> Response:
        owner = await self.owner(request)
        check_query(request)
        job = job_id_of(request.path_params["id"])
        status = await self.gate.get_status(job, owner=owner, base_url=self.file_base(request))
        job_id = uuid_of(status.job_id)
        if failure := failure_of(status):
            told = {"status": "failed", "error_code": failure.code, "error_message": failure.text}
            return answered({"job_id": job_id, "success": False, "data": told})
        if not status.status.terminal:
            return answered({"job_id": job_id, "success": True, "data": {"status": "in-progress"}})
        images = images_of(status)
        first = images[0] if images else None
        data = {
            "status": "completed",
            "url": first.url if first else None,
            "width": first.width if first else None,
            "height": first.height if first else None,
            "aiCreditsUsed": status.job.credits,
        }
        return answered({"job_id": job_id, "success": True, "data": data})


def uuid_of(job_id: str) -> str:
    """Return a job's id, which is 16 random bytes, as a UUID."""
    text = job_id.removeprefix("job_").upper()
    return str(uuid.UUID(bytes=base64.b32decode(text + "=" * (-len(text) % 8))))


def job_id_of(text: str) -> str:
    """Return the job's id of a UUID; raises ``JobNotFound``."""
    try:
        value = uuid.UUID(text)
    except ValueError:
        value = None
    if value is None or str(value) != text.lower():
        raise JobNotFound("job not found; the id is a UUID")
    return "job_" + base64.b32encode(value.bytes).decode().rstrip("=").lower()
