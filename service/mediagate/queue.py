"""The queue carries job ids to workers. It may lose or repeat one: the row is the truth."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Protocol, runtime_checkable


@runtime_checkable
class Queue(Protocol):
    """Carries job ids; both ways may fail without harm, since workers also poll the records."""

    async def dispatch(self, job_id: str) -> None:
        """Hand an id to some worker."""

    async def take(self) -> str:
        """Wait for an id."""
        ...


CAPACITY = 1000


class InProcessQueue:
    """The embedded default: ids reach the worker of the same process at once.

    What is beyond ``CAPACITY`` ids, or comes to a process without a worker, is left to the records.
    """

    def __init__(self) -> None:
        self._ids: asyncio.Queue[str] = asyncio.Queue(CAPACITY)

    async def dispatch(self, job_id: str) -> None:
        """Hand an id to this process's worker."""
        with contextlib.suppress(asyncio.QueueFull):
            self._ids.put_nowait(job_id)

    async def take(self) -> str:
        """Wait for an id."""
        return await self._ids.get()
