"""The JSON of a job: its status, when to poll again, and a message for the user."""

from __future__ import annotations

import math
from typing import Any

from starlette.requests import Request

from mediagate.api import Calls
from mediagate.http.messages import language_of, message_of_job
from mediagate.values import Status


async def job_json(gate: Calls, request: Request, status: Status) -> dict[str, Any]:
    """Return the JSON object of a job, with a ``message`` in the request's language if the job has no picture."""
    runtime = gate.runtime
    poll_after_ms = await runtime.backlog.poll_after_ms(status.job)
    body = status.to_json(poll_after_ms=poll_after_ms, estimated_s=await runtime.forecast.seconds_left(status.job))
    language = language_of(request.headers.get("Accept-Language", ""))
    message = message_of_job(status.job, language, gate.sources.get(status.job.source_type))
    return body if message is None else body | {"message": message}


def seconds(milliseconds: int) -> str:
    """Return a pause for ``Retry-After``, in seconds, rounded up."""
    return str(math.ceil(milliseconds / 1000))
