"""A request body as a stream with patience: how long the next bytes may take, and how much is read for nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

from starlette.requests import ClientDisconnect, Request

from mediagate.errors import BadUpload, MediagateError, UploadTimeout

MIN_BYTES_PER_S = 500
"""Slowest average rate that is waited for; what Apache's ``mod_reqtimeout`` asks of a body by default."""
DRAIN_BYTES = 32 * 1024 * 1024
DRAIN_S = 2.0
"""What is read for nothing after a refusal, so that a client which only listens when it has sent all hears it."""


class RequestBody:
    """The body of a request, read chunk by chunk."""

    def __init__(self, request: Request, *, idle_timeout_s: float) -> None:
        self.declared = _content_length(request)
        """What ``Content-Length`` says, in bytes; ``None`` for a chunked body."""
        self.received = 0
        self._stream = request.stream()
        self._idle_timeout_s = idle_timeout_s
        self._waited_s = 0.0
        self._state: Literal["open", "ended", "broken"] = "open"
        self._asks_first = request.headers.get("Expect", "").lower() == "100-continue"

    async def read(self) -> bytes:
        """Return the next chunk, ``b""`` at the end.

        Raises ``UploadTimeout`` when it does not come within the idle timeout, or when all chunks together came more
        slowly than ``MIN_BYTES_PER_S``; ``ClientDisconnect`` when the client hung up.
        """
        patience_s = self._idle_timeout_s + self.received / MIN_BYTES_PER_S - self._waited_s
        clock = asyncio.get_running_loop().time
        started = clock()
        try:
            async with asyncio.timeout(max(0.0, min(self._idle_timeout_s, patience_s))):
                chunk = await anext(self._stream)
        except TimeoutError:
            self._state = "broken"
            raise UploadTimeout(
                f"the upload stopped coming, or came too slowly, after {self.received:,} bytes; send it again"
            ) from None
        self._waited_s += clock() - started
        self.received += len(chunk)
        if not chunk:
            self._state = "ended"
        return chunk

    async def drain(self) -> bool:
        """Read on for a moment and drop it, if the end is near enough; returns whether the body is at its end."""
        if self._state != "open":
            return self._state == "ended"
        left = DRAIN_BYTES if self.declared is None else self.declared - self.received
        # A client that asks before it sends (Expect: 100-continue) must not be told to go on.
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
async def opened_body(request: Request, *, idle_timeout_s: float) -> AsyncIterator[RequestBody]:
    """Open the body of a request; a client that is refused within the block is read out, so that it hears why."""
    body = RequestBody(request, idle_timeout_s=idle_timeout_s)
    try:
        yield body
    except MediagateError as exc:
        at_end = await body.drain()
        exc.close_connection = not at_end and request.scope.get("http_version", "1.1").startswith("1")
        raise


def _content_length(request: Request) -> int | None:
    text = request.headers.get("Content-Length")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise BadUpload("Content-Length must be a plain number of bytes")
    return int(text)
