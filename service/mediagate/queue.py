"""The queue carries job ids to workers. It may lose or repeat one: the row is the truth."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Protocol, runtime_checkable

log = logging.getLogger("mediagate.queue")

POLL_S = 1.0
"""How often the records are asked for jobs where no engine brings them."""
CAPACITY = 1000
SEND_S = 5.0
"""Longest time that one id may take to reach the queue, in seconds."""
PAUSE_S = 1.0
"""How long a queue that took no id is left alone."""
FLUSH_S = 1.0
"""How long closing waits for ids that are still to be sent."""


@runtime_checkable
class Queue(Protocol):
    """Carries job ids; each call may fail without harm, since workers also ask the records."""

    @property
    def poll_s(self) -> float:
        """How often a worker asks the records for what the queue did not bring, in seconds."""
        ...

    async def dispatch(self, job_id: str) -> None:
        """Hand an id to some worker."""

    async def take(self) -> str:
        """Wait for an id; one that was taken and is not ``done`` when its process dies should come again."""
        ...

    async def done(self, job_id: str) -> None:
        """Say that an id need not come again: its attempt has ended, or is somebody else's."""


class InProcessQueue:
    """The embedded default: ids reach the worker of the same process at once.

    What is beyond ``CAPACITY`` ids, or comes to a process without a worker, is left to the records.
    """

    poll_s = POLL_S

    def __init__(self) -> None:
        self._ids: asyncio.Queue[str] = asyncio.Queue(CAPACITY)

    async def dispatch(self, job_id: str) -> None:
        """Hand an id to this process's worker."""
        with contextlib.suppress(asyncio.QueueFull):
            self._ids.put_nowait(job_id)

    async def take(self) -> str:
        """Wait for an id."""
        return await self._ids.get()

    async def done(self, job_id: str) -> None:
        """Nothing is kept of an id that was taken."""


class Dispatcher:
    """A queue as a running gate uses it: ids are handed over in the background, so that no upload waits for a broker.

    What the queue does not take within ``SEND_S``, and what is beyond ``CAPACITY`` ids, is left to the records.
    """

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._ids: asyncio.Queue[str] = asyncio.Queue(CAPACITY)
        self._sending: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to send."""
        self._sending = asyncio.create_task(self._send())

    async def stop(self) -> None:
        """Send what is left, for at most ``FLUSH_S``."""
        if self._sending is None:
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ids.join(), FLUSH_S)
        self._sending.cancel()
        await asyncio.gather(self._sending, return_exceptions=True)
        self._sending = None

    async def dispatch(self, job_id: str) -> None:
        """Note an id to be sent; never waits, never fails."""
        with contextlib.suppress(asyncio.QueueFull):
            self._ids.put_nowait(job_id)

    @property
    def poll_s(self) -> float:
        """How often the records are asked besides."""
        return self._queue.poll_s

    async def take(self) -> str:
        """Wait for an id."""
        return await self._queue.take()

    async def done(self, job_id: str) -> None:
        """Say that an id need not come again; never fails, for then it may come again."""
        try:
            await self._queue.done(job_id)
        except Exception as exc:
            log.warning("the queue may bring a job again: %s", type(exc).__name__, extra={"job_id": job_id})

    async def _send(self) -> None:
        failing = False
        while True:
            job_id = await self._ids.get()
            try:
                async with asyncio.timeout(SEND_S):
                    await self._queue.dispatch(job_id)
            except Exception as exc:
                # Only the kind of error: its text may quote the broker's address with a password.
                if not failing:
                    log.warning("the queue takes no ids (%s): the records bring them", type(exc).__name__)
                failing = True
                await asyncio.sleep(PAUSE_S)
            else:
                if failing:
                    log.warning("the queue takes ids again")
                failing = False
            finally:
                self._ids.task_done()
