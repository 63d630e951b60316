"""Attempts run concurrently, except two kinds, which run alone.

A job that killed its workers must not take other jobs with it. A job that timed out gets the machine to itself, so that
concurrent attempts cannot be the cause.
"""

from __future__ import annotations

import asyncio

from mediagate.errors import ImageTimeout
from mediagate.values import Job, Rejudgement


def suspect(job: Job) -> bool:
    """Whether an attempt runs alone.

    It does when the previous attempt timed out, and when it is the last one and no earlier attempt reported an error.
    """
    return ran_out_of_time(job) or (1 < job.attempts == job.max_attempts and job.code is None)


def ran_out_of_time(job: Job | Rejudgement) -> bool:
    """Whether the attempt before the current one timed out."""
    return job.code == ImageTimeout.code


class Isolation:
    """Decides which of a worker's attempts run concurrently.

    Jobs that died with the same worker are retried together. Without isolation, a harmless job would share each attempt
    of the job that kills the worker, and fail with it. So a suspect runs only when nothing else does, and nothing else
    is claimed until it has ended.
    """

    def __init__(self) -> None:
        self.claiming = asyncio.Lock()
        """Held while jobs are claimed and while a suspect runs."""
        self._running = 0
        self._idle = asyncio.Event()
        self._idle.set()

    def enter(self) -> None:
        """Count a concurrent attempt; call it before anything else can be claimed."""
        self._running += 1
        self._idle.clear()

    def leave(self) -> None:
        """Stop counting the attempt."""
        self._running -= 1
        if not self._running:
            self._idle.set()

    async def alone(self) -> None:
        """Wait until no attempt runs."""
        await self._idle.wait()
