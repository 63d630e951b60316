"""One HTTP exchange with a gate: the headers of every response, and errors as problems."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol

from starlette._utils import get_route_path
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mediagate.config import Source
from mediagate.errors import MediagateError, ShuttingDown
from mediagate.http.messages import language_of, message_of_error
from mediagate.http.mount import locate
from mediagate.http.preferences import accepts
from mediagate.http.problems import ProblemResponse, problem_of
from mediagate.kernel import Departure, ProblemForm
from mediagate.observe import Observer

log = logging.getLogger("mediagate")


class Served(Protocol):
    """The parts of a gate that are available before it is open."""

    sources: dict[str, Source]
    departure: Departure

    @property
    def observer(self) -> Observer:
        """All observers as one."""
        ...

    def problem_form(self, path: str) -> ProblemForm | None:
        """Return the form of the errors of a route's path, ``None`` for RFC 9457."""
        ...


async def answer(
    gate: Served, ready: Callable[[], Awaitable[ASGIApp]], scope: Scope, receive: Receive, send: Send
) -> None:
    """Answer a request with the routes that ``ready`` returns, or a problem; raises only after the response began."""
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
        log.debug("client disconnected")
    except Exception as exc:
        # Answered, not raised: a host's CORS middleware must see a response.
        if started and isinstance(exc, ShuttingDown):
            log.info("response aborted: the process is shutting down")
            return
        if started:
            raise
        form = gate.problem_form(get_route_path(inner))
        problem = problem_of(exc, message_of=_message_of(gate, inner), form=form)
        gate.observer.refused(problem.code)
        await problem(scope, receive, watched)


def _message_of(gate: Served, scope: Scope) -> Callable[[MediagateError], str]:
    """Return the function that words an error for the user, with the messages of the source if it is known."""
    language = language_of(Headers(scope=scope).get("Accept-Language", ""))
    named = (scope.get("state") or {}).get("source_type")
    source = gate.sources.get(named) if isinstance(named, str) else None
    return partial(message_of_error, language=language, source=source)


def _takes_plain_json_only(scope: Scope) -> bool:
    """Return whether the client accepts JSON but not the content type of RFC 9457."""
    asked = ", ".join(Headers(scope=scope).getlist("Accept"))
    return accepts(asked, "application/json") and not accepts(asked, ProblemResponse.media_type)
