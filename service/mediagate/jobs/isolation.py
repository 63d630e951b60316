"""Attempts run side by side, but for two kinds: what has killed its workers shall take no other job with it, and what
ran out of time shall have the machine for itself, so that its neighbours are not the reason.
"""

from __future__ import annotations

import asyncio

from mediagate.errors import ImageTimeout
from mediagate.values import Job


def suspect(job: Job) -> bool:
    """Whether an attempt runs alone.

    It does when the one before ran out of time, and when it is the last and no earlier one lived to tell an error.
    """
    return ran_out_of_time(job) or (1 < job.attempts == job.max_attempts and job.code is None)


def ran_out_of_time(job: Job) -> bool:
    """Whether the attempt before the one that is under way ran out of time."""
    return job.code == ImageTimeout.code


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
