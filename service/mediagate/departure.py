"""The end of the process, as a gate learns of it in a host that tells it too late, or never.

A host runs the end of its lifespan when all requests are answered (uvicorn), so whatever waits on a request holds it up;
a host without lifespans stops the event loop under an open gate (daphne). Both are told by a signal. While requests are
in hand, the gate stands in front of the host's own handler for it, and passes each signal on.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from types import FrameType
from typing import Any

from mediagate.errors import ShuttingDown

log = logging.getLogger("mediagate")

SIGNALS = (signal.SIGTERM, signal.SIGINT)
CLOSING_S = 10.0
"""How long beyond the drain time a gate may take to close before its host gets a signal that was held back."""

Handler = Callable[[int, FrameType | None], Any]


class Departure:
    """What one open gate knows of the end of its process.

    ``drain_s`` is how long requests and jobs may go on after a signal. ``wake`` ends whatever waits without a deadline.
    """

    gone: bool
    """Whether the gate has closed itself, or is about to."""

    def __init__(self, drain_s: float, wake: Callable[[], None]) -> None:
        self.watches = True
        """Whether signals are looked at; not where the server tells the gate by itself."""
        self.calls = 0
        """How often the process was asked to end; whoever waits stops when it grows."""
        self._drain_s = drain_s
        self._wake = wake
        self._visits: set[asyncio.Timeout] = set()
        self._hosts: dict[signal.Signals, tuple[Handler, Handler]] = {}
        self._leaving: asyncio.Task[None] | None = None
        self.begin()

    def begin(self, close: Callable[[], Awaitable[None]] | None = None) -> None:
        """Begin with a gate that has opened; with ``close`` it is closed before the host gets a signal."""
        self.gone = False
        self._due: float | None = None
        self._close = close
        self._idle = asyncio.Event()
        if close is not None:
            self._watch()

    @property
    def left_s(self) -> float:
        """How much of the drain time is left: all of it, unless a signal came."""
        if self._due is None:
            return self._drain_s
        return min(self._drain_s, max(0.0, self._due - asyncio.get_running_loop().time()))

    @asynccontextmanager
    async def visit(self) -> AsyncIterator[None]:
        """Have a request in hand for the length of the block; raises ``ShuttingDown`` in it at the end of the drain time."""
        self._watch()
        try:
            async with asyncio.timeout_at(self._due) as visit:
                self._visits.add(visit)
                yield
        except TimeoutError:
            if not visit.expired():
                raise
            raise ShuttingDown("the service is restarting; send it again in a moment", retry_after_s=5) from None
        finally:
            self._visits.discard(visit)
            if not self._visits:
                self._idle.set()
                if self._close is None:
                    self.release()

    def release(self) -> None:
        """Give the signals back to the host, where no one else has taken them meanwhile."""
        for number, (ours, host) in self._hosts.items():
            if signal.getsignal(number) is ours:
                signal.signal(number, host)
        self._hosts = {}

    def _watch(self) -> None:
        if self._hosts or not self.watches or threading.current_thread() is not threading.main_thread():
            return
        for number in SIGNALS:
            host = signal.getsignal(number)
            if callable(host):  # else the process ends at once, or never
                ours = self._handler(asyncio.get_running_loop(), host)
                self._hosts[number] = ours, host
                signal.signal(number, ours)

    def _handler(self, loop: asyncio.AbstractEventLoop, host: Handler) -> Handler:
        def handle(number: int, frame: FrameType | None) -> Any:
            ours, _ = self._hosts.get(signal.Signals(number), (None, None))
            if ours is handle:
                held = self._close is not None and not self.gone
                self.gone = self.gone or held
                with suppress(RuntimeError):  # the loop is closed
                    loop.call_soon_threadsafe(self._begin, number if held else None)
                    if held:
                        return None
            return host(number, frame)

        return handle

    def _begin(self, held: int | None) -> None:
        loop = asyncio.get_running_loop()
        if self._due is None:
            self._due = loop.time() + self._drain_s
        for visit in self._visits:
            if not visit.expired():
                visit.reschedule(self._due)
        self.calls += 1
        self._wake()
        if held is not None:
            self._leaving = loop.create_task(self._leave(held))

    async def _leave(self, held: int) -> None:
        log.info("%s: the gate closes before its host does, which runs no lifespan", signal.Signals(held).name)
        try:
            async with asyncio.timeout(self._drain_s + CLOSING_S):
                self._idle.clear()
                if self._visits:
                    await self._idle.wait()
                assert self._close is not None
                await self._close()
        except Exception as exc:
            log.error("the gate did not close in order: %s", exc or type(exc).__name__, exc_info=exc)
        finally:
            self.release()
            signal.raise_signal(held)
