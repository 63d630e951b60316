"""Attempts run side by side, but for a last one: what has killed its workers shall take no other job with it."""

from __future__ import annotations

import asyncio

from mediagate.media import Job


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
        self.claiming = asyncio.Lock()
        """Held while jobs are claimed, and as long as a suspect is at it."""
        self._running = 0
        self._idle = asyncio.Event()
        self._idle.set()

    def enter(self) -> None:
        """Count an attempt that runs beside others; before anything else can be claimed."""
        self._running += 1
        self._idle.clear()

    def leave(self) -> None:
        """Count it no more."""
        self._running -= 1
        if not self._running:
            self._idle.set()

    async def alone(self) -> None:
        """Wait until no attempt runs."""
        await self._idle.wait()
