"""Errors as RFC 9457 problem details, with the aliases ``error`` and ``reason`` for simple clients."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from mediagate.errors import MediagateError, MethodNotAllowed, RouteNotFound, known_error
from mediagate.http.messages import message_of_error
from mediagate.kernel import ProblemForm
from mediagate.observe import cause_of

log = logging.getLogger("mediagate.http")


class ProblemResponse(JSONResponse):
    """An error as ``application/problem+json``."""

    media_type = "application/problem+json"
    code = MediagateError.code
    """The ``code`` of the body."""


LINGER_S = 2.0
LINGER_BYTES = 32 * 1024 * 1024
"""How much of an unwanted request body is read and discarded after the response."""


class LingeringProblem(ProblemResponse):
    """The last response on a connection whose request body is still arriving.

    Closing a connection with unread bytes resets it, and many clients then lose the response. So the complete response
    is sent first, and the connection is closed when the client has hung up, or after ``LINGER_S``.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LINGER_S):
                await _hang_up(receive)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _hang_up(receive: Receive) -> None:
    """Discard the request body until the client ends it; stop reading after ``LINGER_BYTES``."""
    dropped = 0
    while dropped < LINGER_BYTES:
        message = await receive()
        if not message.get("more_body"):
            return
        dropped += len(message["body"])
    await asyncio.sleep(LINGER_S)


def problem(
    error: MediagateError,
    *,
    raised: Exception | None = None,
    message_of: Callable[[MediagateError], str] = message_of_error,
    form: ProblemForm | None = None,
) -> ProblemResponse:
    """Return the response for a ``MediagateError``, and log the detail if clients do not get it.

    ``raised`` is the original exception, such as a group with the error; ``message_of`` returns the user's message.
    ``form`` is another form than RFC 9457, which has no such message.
    """
    if error.client_detail != error.detail:
        log.warning("answered %d %s: %s", error.status, error.code, cause_of(raised or error))
    status, body = form(error) if form else (error.status, _rfc_9457(error, message_of))
    answer = (LingeringProblem if error.close_connection else ProblemResponse)(
        body,
        status_code=status,
        headers={"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", **error.headers},
        media_type="application/json" if form else None,
    )
    answer.code = error.code
    return answer


def _rfc_9457(error: MediagateError, message_of: Callable[[MediagateError], str]) -> dict[str, Any]:
    return {
        "type": f"urn:mediagate:problem:{error.code}",
        "title": error.title,
        "status": error.status,
        "detail": error.client_detail,
        "code": error.code,
        "retryable": error.retryable,
        "error": error.client_detail,
        "reason": error.client_detail,
        "message": message_of(error),
        **error.members,
    }


def problem_of(
    exc: Exception,
    *,
    message_of: Callable[[MediagateError], str] = message_of_error,
    form: ProblemForm | None = None,
) -> ProblemResponse:
    """Return the response for any exception; an unknown one is logged with its traceback and kept from the client."""
    error = known_error(exc) or _of_route(exc)
    if error is None:
        log.error("unhandled error: %s", cause_of(exc), exc_info=exc)
        error = MediagateError("internal error; see the server's log for details")
    return problem(error, raised=exc, message_of=message_of, form=form)


def _of_route(exc: Exception) -> MediagateError | None:
    if isinstance(exc, HTTPException) and exc.status_code == 405:
        allowed = (exc.headers or {}).get("Allow", "").split(", ")
        return MethodNotAllowed("method not allowed on this route", allowed=allowed)
    if isinstance(exc, HTTPException) and exc.status_code == 404:
        return RouteNotFound("route not found")
    return None
