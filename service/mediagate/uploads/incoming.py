"""A request with a body, and how much of it has come."""

from __future__ import annotations

from starlette.requests import Request
from starlette.types import Message


class Incoming(Request):
    """The same request, which counts its body as it is read."""

    def __init__(self, request: Request) -> None:
        super().__init__(request.scope, self._count)
        self.received = 0
        """Bytes of the body that have been read so far."""
        self._from = request.receive
        self._begun = False

    @property
    def declared(self) -> int | None:
        """What ``Content-Length`` says, in bytes; ``None`` where nothing binds the client to it."""
        text = self.headers.get("Content-Length", "")
        # Beside Transfer-Encoding a length means nothing (RFC 9112, section 6.3).
        if "Transfer-Encoding" in self.headers or not (text.isascii() and text.isdigit() and len(text) < 20):
            return None
        return int(text)

    @property
    def unread(self) -> bool:
        """Whether a body is coming over HTTP/1 of which nothing was read: its connection cannot be used again."""
        coming = "Transfer-Encoding" in self.headers or self.headers.get("Content-Length", "0") != "0"
        return coming and not self._begun and str(self.scope.get("http_version", "1.1")).startswith("1")

    async def _count(self) -> Message:
        self._begun = True
        message = await self._from()
        self.received += len(message.get("body", b""))
        return message
