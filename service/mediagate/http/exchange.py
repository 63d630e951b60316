"""One HTTP exchange with a gate: the headers that every answer carries, and errors as problems."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mediagate.config import Source
from mediagate.errors import MediagateError, ShuttingDown
from mediagate.http.messages import language_of, message_of_error
from mediagate.http.mount import locate
from mediagate.http.preferences import accepts
from mediagate.http.problems import ProblemResponse, problem_of
from mediagate.kernel import Departure
from mediagate.observe import Observer

log = logging.getLogger("mediagate")


class Served(Protocol):
    """What a gate has before it is open, too."""

    sources: dict[str, Source]
    departure: Departure

    @property
    def observer(self) -> Observer:
        """All observers as one."""
        ...


async def answer(
    gate: Served, ready: Callable[[], Awaitable[ASGIApp]], scope: Scope, receive: Receive, send: Send
) -> None:
    """Answer a request with the routes that ``ready`` returns, or with a problem; raises only once an answer began."""
    started = False
    inner = {**locate(scope), "app": gate}

    async def watched(message: Message) -> None:
        nonlocal started
        started = True
        if message["type"] == "http.response.start":
            message.setdefault("headers", [])
            headers = MutableHeaders(scope=message)
            headers.setdefault("X-Content-Type-Options", "nosniff")
            if headers.get("Content-Type") == ProblemResponse.media_type and _takes_plain_json_only(scope):
                headers["Content-Type"] = "application/json"
            headers.update(inner.get("state", {}).get("answer_headers") or {})
        await send(message)

    try:
        routes = await ready()
        async with gate.departure.visit():
            await routes(inner, receive, watched)
    except ClientDisconnect:
        log.debug("the client went away")
    except Exception as exc:
        # Answered here, never raised: a host's CORS middleware must see a response.
        if started and isinstance(exc, ShuttingDown):
            log.info("an answer was cut short, for the process ends")
            return
        if started:
            raise
        problem = problem_of(exc, message_of=_message_of(gate, inner))
        gate.observer.refused(problem.code)
        await problem(scope, receive, watched)


def _message_of(gate: Served, scope: Scope) -> Callable[[MediagateError], str]:
    """Return how to tell an error to whoever sent a request, in the words of its source as far as that is known."""
    language = language_of(Headers(scope=scope).get("Accept-Language", ""))
    named = (scope.get("state") or {}).get("source_type")
    source = gate.sources.get(named) if isinstance(named, str) else None
    return partial(message_of_error, language=language, source=source)


def _takes_plain_json_only(scope: Scope) -> bool:
    """Whether the client would not read a problem as JSON, under the type that RFC 9457 gives it."""
    asked = ", ".join(Headers(scope=scope).getlist("Accept"))
    return accepts(asked, "application/json") and not accepts(asked, ProblemResponse.media_type)
