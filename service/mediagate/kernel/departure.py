"""Graceful shutdown of a gate in a host that announces its end too late, or never.

A host such as uvicorn ends its lifespan when all requests are answered, so a waiting request delays it. A host
without lifespans (daphne) stops the event loop under an open gate. Both shut down on a signal. While a gate serves
requests, it intercepts these signals and forwards each of them to the host's own handler.
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
"""How long closing may exceed the drain time before a delayed signal is forwarded to the host, in seconds."""
RELEASE_S = 1.0
"""How long after its last request a gate restores the host's handlers, because reinstalling its own is expensive."""

Handler = Callable[[int, FrameType | None], Any]


class Departure:
    """The shutdown state of one gate.

    ``drain_s`` is how long requests and jobs may continue after a signal. ``wake`` ends the long polls.
    """

    gone: bool
    """Whether the gate is closing or has closed itself."""
    _loop: asyncio.AbstractEventLoop

    def __init__(self, drain_s: float, wake: Callable[[], None]) -> None:
        self.watches = True
        """Whether to intercept signals; ``False`` under a server that notifies the gate by itself."""
        self.calls = 0
        """Number of signals received; event streams stop when it grows."""
        self._drain_s = drain_s
        self._wake = wake
        self._visits: set[asyncio.Timeout] = set()
        self._links: list[tuple[signal.Signals, _Link]] = []
        self._leaving: asyncio.Task[None] | None = None
        self._releasing: asyncio.TimerHandle | None = None
        self.begin()

    def begin(self, close: Callable[[], Awaitable[None]] | None = None) -> None:
        """Reset the state after the gate opened; with ``close`` the gate is closed before its host gets a signal."""
        self.gone = False
        self._due: float | None = None
        self._close = close
        self._idle = asyncio.Event()
        if close is not None:
            self._watch()

    @property
    def left_s(self) -> float:
        """The remaining drain time in seconds: all of it, unless a signal was received recently."""
        now = asyncio.get_running_loop().time()
        if self._due is None or now > self._due + CLOSING_S:
            return self._drain_s
        return max(0.0, self._due - now)

    @asynccontextmanager
    async def visit(self) -> AsyncIterator[None]:
        """Register a request for the length of the block; raises ``ShuttingDown`` when the drain time is over."""
        self._watch()
        # If the host survived a signal, requests are served as before.
        visit = asyncio.timeout_at(self._due if self.gone else None)
        self._visits.add(visit)
        try:
            async with visit:
                yield
        except TimeoutError:
            if not visit.expired():
                raise
            raise ShuttingDown("the service is restarting; try again in a moment", retry_after_s=5) from None
        finally:
            self._visits.discard(visit)
            if not self._visits:
                self._idle.set()
                if self._links and self._releasing is None:
                    self._releasing = self._loop.call_later(RELEASE_S, self._release_idle)

    def hear(self, number: int) -> bool:
        """Handle a signal, inside its handler; return whether to delay it until the gate has closed."""
        held = self._close is not None and not self.gone
        self.gone = self.gone or held
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._end, number if held else None)
            return held
        return False

    @property
    def leaving(self) -> bool:
        """Whether the gate is closing itself at the moment."""
        return self._leaving is not None and not self._leaving.done()

    def release(self) -> None:
        """Restore the host's signal handlers, unless they have been replaced meanwhile."""
        for number, link in self._links:
            link.listeners.remove(self)
            if not link.listeners and signal.getsignal(number) is link:
                signal.signal(number, link.host)
        self._links = []

    def _release_idle(self) -> None:
        self._releasing = None
        if not self._visits and self._close is None:
            self.release()

    def _watch(self) -> None:
        if self._visits or not self.watches or threading.current_thread() is not threading.main_thread():
            return
        if self._links:
            number, link = self._links[0]
            if signal.getsignal(number) is link:
                return
            self.release()
        self._loop = asyncio.get_running_loop()
        for number in SIGNALS:
            found = signal.getsignal(number)
            if not callable(found):  # the default action or ignored
                continue
            link = found if isinstance(found, _Link) else _Link(found)
            if link is not found:
                signal.signal(number, link)
            link.listeners.append(self)
            self._links.append((number, link))

    def _end(self, held: int | None) -> None:
        loop = asyncio.get_running_loop()
        if self._due is None or self._due < loop.time():
            self._due = loop.time() + self._drain_s
        for visit in self._visits:
            if not visit.expired():
                visit.reschedule(self._due)
        self.calls += 1
        self._wake()
        if held is not None:
            self._leaving = loop.create_task(self._leave(held))

    async def _leave(self, held: int) -> None:
        log.info("%s received: closing the gate before its host, which runs no lifespan", signal.Signals(held).name)
        links = [link for _, link in self._links]
        try:
            async with asyncio.timeout(self._drain_s + CLOSING_S):
                self._idle.clear()
                if self._visits:
                    await self._idle.wait()
                if self._close is not None:
                    await self._close()
        except Exception as exc:
            log.error("closing the gate failed: %s", exc or type(exc).__name__, exc_info=exc)
        finally:
            self.release()
            # The last gate to close forwards the signal.
            if not any(other.leaving for link in links for other in link.listeners):
                signal.raise_signal(held)


class _Link:
    """Wraps a host's signal handler while gates listen; without listeners it only forwards."""

    def __init__(self, host: Handler) -> None:
        self.host = host
        self.listeners: list[Departure] = []

    def __call__(self, number: int, frame: FrameType | None) -> Any:
        held = [listener.hear(number) for listener in list(self.listeners)]
        return None if any(held) else self.host(number, frame)
