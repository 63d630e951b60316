"""Attempts run side by side, but for a last one: what has killed its workers shall take no other job with it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

from mediagate.media import Job

Begin = Callable[[Job], Awaitable[None]]


def suspect(job: Job) -> bool:
    """Whether this is a job's last attempt, and no earlier one lived to tell an error."""
    return 1 < job.attempts == job.max_attempts and job.code is None


class Isolation:
    """Decides which of a worker's attempts run beside each other.

    Jobs that died with the same worker come back together. Without this, a harmless neighbour of one that kills its
    worker would share each of its attempts, and its end: so a suspect runs when nothing else does, and nothing else is
    claimed until it has ended.
    """

    def __init__(self) -> None:
        self._claiming = asyncio.Lock()
        self._running = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[Begin]:
        """Wait until a job may be claimed. The block claims one, awaits ``begin`` with it, and makes the attempt."""
        beside_others = False

        async def begin(job: Job) -> None:
            nonlocal beside_others
            if suspect(job):
                await self._idle.wait()
                return
            beside_others = True
            self._running += 1
            self._idle.clear()
            self._claiming.release()

        await self._claiming.acquire()
        try:
            yield begin
        finally:
            if beside_others:
                self._running -= 1
                if not self._running:
                    self._idle.set()
            else:
                self._claiming.release()
