"""Answers that carry a file: how many are under way, and when a reader is given up."""

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
"""Bytes of a file that are handed to the server at once: a reader that takes nothing keeps so many in memory."""
UNSENT = 64 * 1024
"""Bytes that the kernel takes beyond what is on its way, in place of some 3 MB."""
OVERDUE_S = 5.0
"""How long a reader may take for a piece before another may have its place."""
HUNG_UP_S = 5.0
"""How long the server may take to say that a connection is gone which it was told to cut."""


class ReaderStalled(Exception):
    """A reader took nothing for too long."""


class Downloads:
    """The files that one process sends."""

    def __init__(self, settings: Settings) -> None:
        self._timeout_s = settings.download_timeout_s
        self._places = Places(
            settings.max_downloads,
            share=settings.address_share,
            refusal=TooManyDownloads,
            full="this server sends as many files as it can; try again",
            shared="your address is sent as many files as one may be at once; let one of them end first",
        )

    @contextmanager
    def begin(self, scope: Scope, receive: Receive) -> Iterator[Delivery]:
        """Let a file be sent for the length of the block; raises ``TooManyDownloads``."""
        client = scope.get("client")
        delivery = Delivery(receive, self._timeout_s)
        with self._places.place(client[0] if client else None, delivery):
            yield delivery


class Delivery:
    """One file on its way to a reader."""

    def __init__(self, receive: Receive, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._writing: tuple[float, asyncio.Timeout] | None = None
        # ASGI has no word for this. uvicorn gives bound methods of an object that has the connection's transport;
        # under another server a piece counts as sent when the server takes it, and what it holds is its own affair.
        self._transport: Any = getattr(getattr(receive, "__self__", None), "transport", None)
        if self._transport is not None:
            _tighten(self._transport)

    @property
    def overdue(self) -> bool:
        """Whether the reader keeps us waiting for long."""
        return self._writing is not None and asyncio.get_running_loop().time() - self._writing[0] > OVERDUE_S

    def give_up(self) -> None:
        """Have the ``write`` that waits raise ``ReaderStalled`` at once."""
        if self._writing is not None and not self._writing[1].expired():
            self._writing[1].reschedule(asyncio.get_running_loop().time())

    async def write(self, send: Send, message: Message) -> None:
        """Send a message; raises ``ReaderStalled`` when what was sent before is not taken in time."""
        try:
            async with asyncio.timeout(self._timeout_s) as timeout:
                self._writing = asyncio.get_running_loop().time(), timeout
                await send(message)
        except TimeoutError:
            raise ReaderStalled from None
        finally:
            self._writing = None

    async def hand_over(self, send: Send, piece: bytes) -> None:
        """Send a piece of the body, and return when it has gone, so that the next one is read only then."""
        await self.write(send, {"type": "http.response.body", "body": piece, "more_body": True})
        await self.write(send, {"type": "http.response.body", "body": b"", "more_body": True})

    async def cut(self, receive: Receive) -> None:
        """End the connection without sending what waits in it, which the server would keep for as long as the reader.

        Nothing happens under a server that shows no connection: it closes it when the answer ends unfinished.
        """
        if not hasattr(self._transport, "abort"):
            return
        # Else the kernel would go on to offer what it holds for minutes.
        _set(self._transport, socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()
        try:
            async with asyncio.timeout(HUNG_UP_S):
                while (await receive())["type"] != "http.disconnect":
                    pass
        except TimeoutError:
            log.warning("the server did not say that a connection is gone")


def _tighten(transport: Any) -> None:
    """Have a connection keep little of what its reader does not take, so that it shows soon who takes nothing."""
    with suppress(AttributeError):
        # The server then waits with each message until all of those before has gone.
        transport.set_write_buffer_limits(high=0)
    _set(transport, socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT)


def _set(transport: Any, level: int, option: int, value: int | bytes) -> None:
    with suppress(AttributeError, OSError):  # no socket, or a Unix socket
        transport.get_extra_info("socket").setsockopt(level, option, value)
