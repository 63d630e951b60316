"""An HTTP proxy on loopback in front of a real server, which answers late, wrongly, partly or never when told."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Self

Fault = Callable[["Exchange"], Awaitable[None]]
"""Deals with one request instead of passing it on."""


class Exchange:
    """One request of a client: its head is read, its body is not; closed when the fault returns."""

    def __init__(self, head: bytes, client: asyncio.StreamReader, answer: asyncio.StreamWriter, port: int) -> None:
        self.head = head
        self.client = client
        self.answer = answer
        self.port = port

    async def passed_on(self, *, limit: int | None = None, rewrite: Callable[[bytes], bytes] | None = None) -> None:
        """Pass the request on and the answer back; after ``limit`` bytes of answer the connection is reset."""
        upstream, request = await asyncio.open_connection("127.0.0.1", self.port)
        # One request a connection: then the end of the answer is the end of the connection.
        request.write(re.sub(rb"(?i)\r\nconnection:[^\r]*", b"", self.head)[:-2] + b"Connection: close\r\n\r\n")
        sending = asyncio.create_task(_pump(self.client, request))
        try:
            while piece := await upstream.read(65536):
                if rewrite is not None:
                    piece, rewrite = rewrite(piece), None
                self.answer.write(piece if limit is None else piece[:limit])
                await self.answer.drain()
                if limit is not None and (limit := limit - len(piece)) <= 0:
                    self.answer.transport.abort()
                    return
        finally:
            # Closed before anything is awaited: this may be cancelled here.
            request.close()
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)


class FaultProxy:
    """``async with FaultProxy(port) as proxy``: ``proxy.faults`` are used up one a request; ``always`` is not."""

    def __init__(self, port: int) -> None:
        self.faults: deque[Fault] = deque()
        self.always: Fault | None = None
        self.requests: list[bytes] = []
        """The first line of each request that came."""
        self.asked = asyncio.Event()
        """Set by the first."""
        self._target = port
        self._open: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = int(self._server.sockets[0].getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)
        await self._server.wait_closed()

    async def _accept(self, client: asyncio.StreamReader, answer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                head = await client.readuntil(b"\r\n\r\n")
                self.requests.append(head.partition(b"\r\n")[0])
                self.asked.set()
                exchange = Exchange(head, client, answer, self._target)
                fault = self.faults.popleft() if self.faults else self.always
                await (fault(exchange) if fault else exchange.passed_on())
        finally:
            await _closed(answer)
            self._open.discard(task)


def status(code: int) -> Fault:
    """Answer with a status as an overloaded server does, without looking at the request."""

    async def fault(exchange: Exchange) -> None:
        body = b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>down</Message></Error>"
        head = f"HTTP/1.1 {code} No\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\n"
        exchange.answer.write(head.encode() + b"Connection: close\r\n\r\n" + body)
        await exchange.answer.drain()
        exchange.answer.write_eof()
        # What the client still sends is taken in, so that it reads the answer and not a reset.
        while await exchange.client.read(65536):
            pass

    return fault


def late(seconds: float) -> Fault:
    """Pass the request on after a pause."""

    async def fault(exchange: Exchange) -> None:
        await asyncio.sleep(seconds)
        await exchange.passed_on()

    return fault


def cut(after: int) -> Fault:
    """Reset the connection after so many bytes of the answer."""

    async def fault(exchange: Exchange) -> None:
        await exchange.passed_on(limit=after)

    return fault


def rewritten(change: Callable[[bytes], bytes]) -> Fault:
    """Change the first piece of the answer, which holds its head."""

    async def fault(exchange: Exchange) -> None:
        await exchange.passed_on(rewrite=change)

    return fault


async def reset(exchange: Exchange) -> None:
    """Reset the connection before anything is answered."""
    exchange.answer.transport.abort()


async def silence(exchange: Exchange) -> None:
    """Never answer; ends when the client does."""
    while await exchange.client.read(65536):
        pass


async def _closed(writer: asyncio.StreamWriter) -> None:
    """Close a connection and see it closed: the test's event loop may end right after."""
    writer.close()
    with contextlib.suppress(OSError, asyncio.CancelledError):
        await writer.wait_closed()


async def _pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while piece := await source.read(65536):
            target.write(piece)
            await target.drain()
