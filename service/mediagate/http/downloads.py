"""File responses: the limit of concurrent downloads, and the detection of stalled readers."""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from starlette.types import Message, Receive, Scope, Send

from mediagate.config import Settings
from mediagate.errors import TooManyDownloads
from mediagate.intake import Places

log = logging.getLogger("mediagate.files")

PIECE = 32 * 1024
"""Bytes handed to the server at once; a reader that takes nothing holds this much memory."""
UNSENT = 64 * 1024
"""Unsent bytes that the kernel buffers beyond those in flight, instead of about 3 MB."""
OVERDUE_S = 5.0
"""How long a reader may take for a piece before its place can be given to another, in seconds."""
HUNG_UP_S = 5.0
"""How long the server may take to report the end of an aborted connection, in seconds."""


class ReaderStalled(Exception):
    """The reader of a file took no bytes within the timeout."""


class Downloads:
    """The downloads of one process."""

    def __init__(self, settings: Settings) -> None:
        self._timeout_s = settings.download_timeout_s
        self._places = Places(
            settings.max_downloads,
            share=settings.address_share,
            refusal=TooManyDownloads,
            full="too many concurrent downloads; try again in a moment",
            shared="too many concurrent downloads from your address; wait until one of them ends",
        )

    @contextmanager
    def begin(self, scope: Scope, receive: Receive) -> Iterator[Delivery]:
        """Hold a place for a download within the block; raises ``TooManyDownloads``."""
        client = scope.get("client")
        delivery = Delivery(receive, self._timeout_s)
        with self._places.place(client[0] if client else None, delivery):
            yield delivery


class Delivery:
    """The transmission of one file to a reader."""

    def __init__(self, receive: Receive, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._writing: tuple[float, asyncio.Timeout] | None = None
        # Not covered by ASGI. uvicorn passes bound methods of an object that has the connection's transport. Under
        # another server a piece counts as sent when the server takes it, and the server limits its own buffers.
        self._transport: Any = getattr(getattr(receive, "__self__", None), "transport", None)
        if self._transport is not None:
            _tighten(self._transport)

    @property
    def overdue(self) -> bool:
        """Whether the reader has been taking longer than ``OVERDUE_S`` for a piece."""
        return self._writing is not None and asyncio.get_running_loop().time() - self._writing[0] > OVERDUE_S

    def give_up(self) -> None:
        """Make a waiting ``write`` raise ``ReaderStalled`` at once."""
        if self._writing is not None and not self._writing[1].expired():
            self._writing[1].reschedule(asyncio.get_running_loop().time())

    async def write(self, send: Send, message: Message) -> None:
        """Send a message; raises ``ReaderStalled`` when the reader does not take earlier bytes in time."""
        try:
            async with asyncio.timeout(self._timeout_s) as timeout:
                self._writing = asyncio.get_running_loop().time(), timeout
                await send(message)
        except TimeoutError:
            raise ReaderStalled from None
        finally:
            self._writing = None

    async def hand_over(self, send: Send, piece: bytes) -> None:
        """Send a piece of the body and wait until it has left, so that the next piece is read only then."""
        await self.write(send, {"type": "http.response.body", "body": piece, "more_body": True})
        await self.write(send, {"type": "http.response.body", "body": b"", "more_body": True})

    async def cut(self, receive: Receive) -> None:
        """Abort the connection and discard its unsent bytes, which the server would otherwise hold for a slow reader.

        Does nothing under a server that exposes no transport: it closes the connection after the unfinished response.
        """
        if not hasattr(self._transport, "abort"):
            return
        # Otherwise the kernel would retransmit its buffer for minutes.
        _set(self._transport, socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()
        try:
            async with asyncio.timeout(HUNG_UP_S):
                while (await receive())["type"] != "http.disconnect":
                    pass
        except TimeoutError:
            log.warning("aborted download: the server did not report the disconnect within %g s", HUNG_UP_S)


def _tighten(transport: Any) -> None:
    """Make a connection buffer little, so that a stalled reader is noticed soon."""
    with suppress(AttributeError):
        # The server then holds each message until all earlier bytes have left.
        transport.set_write_buffer_limits(high=0)
    _set(transport, socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT)


def _set(transport: Any, level: int, option: int, value: int | bytes) -> None:
    with suppress(AttributeError, OSError):  # not a socket, or a Unix socket
        transport.get_extra_info("socket").setsockopt(level, option, value)
