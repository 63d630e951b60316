"""Attempts run side by side, but for a last one: what has killed its workers shall take no other job with it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from mediagate.media import Job


class Isolation:
    """Decides which of a worker's attempts run beside each other."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._running = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @contextlib.asynccontextmanager
    async def beside_others(self, job: Job) -> AsyncIterator[None]:
        """Run an attempt beside others; alone when it is the last one and no earlier one lived to tell an error.

        Jobs that died with the same worker come back together, so that without this a harmless neighbour of one that
        kills its worker would share each of its attempts, and its end.
        """
        suspect = 1 < job.attempts == job.max_attempts and job.code is None
        async with self._turn:
            if suspect:
                await self._idle.wait()
                yield
                return
            self._running += 1
            self._idle.clear()
        try:
            yield
        finally:
            self._running -= 1
            if not self._running:
                self._idle.set()
