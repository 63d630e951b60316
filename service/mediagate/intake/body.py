"""A request body as a stream with timeouts, and the draining of refused bodies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Literal

from starlette.requests import ClientDisconnect, Request

from mediagate.errors import BadUpload, MediagateError, UnsupportedEncoding, UploadTimeout
from mediagate.kernel import Incoming

SLACK_S = 2.0
"""How far a body may fall behind its minimum rate before its place can be given to another upload."""
DRAIN_BYTES = 32 * 1024 * 1024
DRAIN_S = 2.0
"""Limits for reading and discarding a refused body, for clients that read the response only after sending it all."""


@dataclass(frozen=True, slots=True)
class Patience:
    """The timeouts of a body: ``idle_s`` for the next bytes, in total ``grace_s`` plus its size at ``least_rate``.

    ``least_rate`` is in bytes per second; 0 disables the check.
    """

    idle_s: float
    grace_s: float = 15.0
    least_rate: int = 1024


class RequestBody:
    """The body of a request, read chunk by chunk."""

    def __init__(self, request: Request, patience: Patience) -> None:
        self.declared = _content_length(request)
        """``Content-Length`` in bytes; ``None`` for a chunked body."""
        self.received = 0
        self._stream = request.stream()
        self._patience = patience
        self._waited_s = 0.0
        self._slack_s = SLACK_S
        self._waiting: tuple[float, asyncio.Timeout] | None = None
        self._state: Literal["open", "ended", "broken"] = "open"
        self._asks_first = request.headers.get("Expect", "").lower() == "100-continue"

    @property
    def overdue(self) -> bool:
        """Whether the client is behind the minimum rate while ``read`` waits for it."""
        if self._waiting is None or not self._patience.least_rate:
            return False
        return self._slack_s < asyncio.get_running_loop().time() - self._waiting[0]

    def give_up(self) -> None:
        """Make a waiting ``read`` raise ``UploadTimeout`` at once."""
        if self._waiting is not None and not self._waiting[1].expired():
            self._waiting[1].reschedule(asyncio.get_running_loop().time())

    async def read(self) -> bytes:
        """Return the next chunk, ``b""`` at the end.

        Raises ``UploadTimeout`` when the chunk does not arrive in time or all chunks together arrived below the minimum
        rate; raises ``ClientDisconnect`` when the client hung up.
        """
        clock = asyncio.get_running_loop().time
        started = clock()
        try:
            async with asyncio.timeout(max(0.0, self._left_s())) as timeout:
                self._waiting = started, timeout
                chunk = await anext(self._stream)
        except TimeoutError:
            self._state = "broken"
            raise UploadTimeout(
                f"the upload stalled or was too slow after {self.received:,} bytes; send it again"
            ) from None
        finally:
            self._waiting = None
        waited_s = clock() - started
        self._waited_s += waited_s
        if self._patience.least_rate:
            self._slack_s = min(SLACK_S, self._slack_s - waited_s + len(chunk) / self._patience.least_rate)
        self.received += len(chunk)
        if not chunk:
            self._state = "ended"
        return chunk

    def _left_s(self) -> float:
        asked = self._patience
        if not asked.least_rate:
            return asked.idle_s
        return min(asked.idle_s, asked.grace_s + self.received / asked.least_rate - self._waited_s)

    async def drain(self) -> bool:
        """Read and discard the rest if it is short enough; return whether the body is at its end."""
        if self._state != "open":
            return self._state == "ended"
        left = DRAIN_BYTES if self.declared is None else self.declared - self.received
        # A client that waits for 100 Continue must not get it.
        if left > DRAIN_BYTES or (self._asks_first and not self.received):
            return False
        try:
            async with asyncio.timeout(DRAIN_S):
                while left >= 0:
                    chunk = await anext(self._stream)
                    left -= len(chunk)
                    if not chunk:
                        return True
        except (ClientDisconnect, TimeoutError):
            pass
        return False


@asynccontextmanager
async def open_body(request: Request, patience: Patience) -> AsyncIterator[RequestBody]:
    """Open the body of a request; a refusal within the block drains it, so that the client gets the response."""
    body = RequestBody(request, patience)
    if isinstance(request, Incoming):
        request.reading = body
    try:
        _check_encoding(request)
        yield body
    except MediagateError as exc:
        at_end = await body.drain()
        exc.close_connection = not at_end and request.scope.get("http_version", "1.1").startswith("1")
        raise


def _check_encoding(request: Request) -> None:
    encoding = request.headers.get("Content-Encoding", "").strip().lower()
    if encoding not in ("", "identity"):
        raise UnsupportedEncoding(f"the body is {encoding!r:.40}-encoded; send it without Content-Encoding")


def _content_length(request: Request) -> int | None:
    text = request.headers.get("Content-Length")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise BadUpload("Content-Length must be a plain number of bytes")
    return int(text)
