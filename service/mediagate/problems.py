"""Errors as RFC 9457 problem details, with the aliases ``error`` and ``reason`` that simple clients read."""

from __future__ import annotations

import logging

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from mediagate.errors import MediagateError, MethodNotAllowed, RouteNotFound

log = logging.getLogger("mediagate.http")


class ProblemResponse(JSONResponse):
    """An error as ``application/problem+json``."""

    media_type = "application/problem+json"


def problem(error: MediagateError) -> ProblemResponse:
    """Return the answer for an error of ours."""
    return ProblemResponse(
        {
            "type": f"urn:mediagate:problem:{error.code}",
            "title": error.title,
            "status": error.status,
            "detail": error.detail,
            "code": error.code,
            "retryable": error.retryable,
            "error": error.detail,
            "reason": error.detail,
        },
        status_code=error.status,
        headers={"Cache-Control": "no-store", **error.headers},
    )


def problem_of(exc: Exception) -> ProblemResponse:
    """Return the answer for any exception; what is not ours is logged whole and answered without its words."""
    if isinstance(exc, MediagateError):
        return problem(exc)
    if isinstance(exc, HTTPException) and exc.status_code == 405:
        return problem(MethodNotAllowed("this route does not take this method"))
    if isinstance(exc, HTTPException) and exc.status_code == 404:
        return problem(RouteNotFound("there is no such route"))
    log.error("unhandled error", exc_info=exc)
    return problem(MediagateError("An internal error; the server's log says more."))
