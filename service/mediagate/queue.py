"""The queue carries job ids to workers. It may lose or repeat one: the row is the truth."""

from __future__ import annotations

import asyncio
from typing import Protocol, runtime_checkable


@runtime_checkable
class Queue(Protocol):
    """Carries job ids; both ways may fail without harm, since workers also poll the records."""

    async def dispatch(self, job_id: str) -> None:
        """Hand an id to some worker."""

    async def take(self) -> str:
        """Wait for an id."""
        ...


class InProcessQueue:
    """The embedded default: ids reach the worker of the same process at once."""

    def __init__(self) -> None:
        self._ids: asyncio.Queue[str] = asyncio.Queue()

    async def dispatch(self, job_id: str) -> None:
        """Hand an id to this process's worker."""
        self._ids.put_nowait(job_id)

    async def take(self) -> str:
        """Wait for an id."""
        return await self._ids.get()
