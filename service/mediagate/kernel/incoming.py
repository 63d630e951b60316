"""A request that counts the received bytes of its body."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from starlette.requests import Request
from starlette.types import Message

from mediagate.errors import MediagateError


class Reading(Protocol):
    """A body that is being read as a stream."""

    @property
    def overdue(self) -> bool:
        """Whether it has fallen behind the minimum rate."""
        ...

    def give_up(self) -> None:
        """Stop reading it."""


@contextmanager
def closes_unread(request: Incoming) -> Iterator[None]:
    """Make the response to an error within the block close the connection if the body is unread."""
    try:
        yield
    except MediagateError as exc:
        exc.close_connection = exc.close_connection or request.unread
        raise


class Incoming(Request):
    """A request that counts the bytes of its body as they are read."""

    def __init__(self, request: Request) -> None:
        super().__init__(request.scope, self._count)
        self.received = 0
        """Bytes of the body read so far."""
        self.reading: Reading | None = None
        """The body while it is read as a stream."""
        self._from = request.receive
        self._begun = False

    @property
    def declared(self) -> int | None:
        """The declared length of the body in bytes, ``None`` if there is none (RFC 9112, section 6.3)."""
        if "Transfer-Encoding" in self.headers:
            return None
        text = self.headers.get("Content-Length", "0" if self._http1 else "")
        return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None

    @property
    def overdue(self) -> bool:
        """Whether its body has fallen behind the minimum rate."""
        return self.reading is not None and self.reading.overdue

    def give_up(self) -> None:
        """Stop reading its body."""
        if self.reading is not None:
            self.reading.give_up()

    @property
    def unread(self) -> bool:
        """Whether the request has an entirely unread body over HTTP/1, so that its connection cannot be reused."""
        coming = "Transfer-Encoding" in self.headers or self.headers.get("Content-Length", "0") != "0"
        return coming and not self._begun and self._http1

    @property
    def _http1(self) -> bool:
        return str(self.scope.get("http_version", "1.1")).startswith("1")

    async def _count(self) -> Message:
        self._begun = True
        message = await self._from()
        self.received += len(message.get("body", b""))
        return message
