"""A response that streams a file, or several as one archive, to a reader that may be slow or stall."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager

import anyio
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from mediagate.errors import FileNotServed, MediagateError, ObjectNotFound
from mediagate.http.downloads import PIECE, Delivery, Downloads, ReaderStalled

log = logging.getLogger("mediagate.files")

Chunks = Callable[[], AbstractAsyncContextManager[AsyncIterator[bytes]]]
"""Opens the bytes to send."""


class StreamedResponse(Response):
    """A stream; if it breaks off, the connection is cut, so that no client takes it for complete.

    ``length`` is its size in bytes, ``None`` if that is not known before. Raises ``FileNotServed`` if the first object
    is missing, and ``TooManyDownloads`` until its first byte is sent.
    """

    def __init__(
        self,
        chunks: Chunks,
        downloads: Downloads,
        *,
        name: str,
        length: int | None,
        status: int = 200,
        headers: Mapping[str, str],
    ) -> None:
        super().__init__(status_code=status, headers=headers)
        if length is None:
            del self.headers["Content-Length"]
        self._chunks, self._downloads, self._name, self._length = chunks, downloads, name, length

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream until its reader disconnects or stalls; nothing is read for a HEAD request."""
        if scope["method"] == "HEAD":
            await super().__call__(scope, receive, send)
            return
        with self._downloads.begin(scope, receive) as delivery:
            async with self._chunks() as chunks:
                try:
                    # Before the response begins: a file deleted since ``stat`` is still a 404.
                    first = await anext(chunks, b"")
                except ObjectNotFound:
                    raise FileNotServed("file not found") from None
                stalled = False
                async with anyio.create_task_group() as group:
                    group.start_soon(_watch, receive, group.cancel_scope)
                    stalled = await self._deliver(first, chunks, delivery, send)
                    group.cancel_scope.cancel()
            if stalled:
                log.info("download aborted: %s: the reader stalled", self._name)
                await delivery.cut(receive)

    async def _deliver(self, first: bytes, rest: AsyncIterator[bytes], delivery: Delivery, send: Send) -> bool:
        """Send the response, and its end only if the stream is complete; return whether the reader stalled."""
        try:
            await delivery.write(
                send, {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
            )
            chunk, left = first, self._length
            while chunk and (left is None or len(chunk) <= left):
                left = None if left is None else left - len(chunk)
                for start in range(0, len(chunk), PIECE):
                    await delivery.hand_over(send, chunk[start : start + PIECE])
                chunk = await anext(rest, b"")
            if left or chunk:
                log.warning("download aborted: %s: its size changed while it was served", self._name)
                return False
            await delivery.write(send, {"type": "http.response.body", "body": b"", "more_body": False})
        except ReaderStalled:
            return True
        except MediagateError as exc:
            log.warning("download aborted: %s: %s", self._name, exc)
        except OSError as exc:
            log.debug("download aborted: %s: the reader disconnected: %s", self._name, exc)
        return False


async def _watch(receive: Receive, sending: anyio.CancelScope) -> None:
    """Cancel the sending when the reader disconnects."""
    while (await receive())["type"] != "http.disconnect":
        pass
    sending.cancel()
