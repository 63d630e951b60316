"""The queue that carries job ids to workers. It may lose or repeat an id: the job's row is authoritative."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Protocol, runtime_checkable

log = logging.getLogger("mediagate.queue")

POLL_S = 1.0
"""Default interval at which workers poll the database for jobs, in seconds."""
CAPACITY = 1000
SEND_S = 5.0
"""Timeout for handing one id to the queue, in seconds."""
PAUSE_S = 1.0
"""Pause after the queue failed to take an id, in seconds."""
FLUSH_S = 1.0
"""How long closing waits for unsent ids, in seconds."""


@runtime_checkable
class Queue(Protocol):
    """Carries job ids. Every call may fail without harm, because workers also poll the database."""

    @property
    def poll_s(self) -> float:
        """How often a worker polls the database for jobs that the queue did not deliver, in seconds."""
        ...

    async def dispatch(self, job_id: str) -> None:
        """Send an id to one of the workers."""

    async def take(self) -> str:
        """Wait for an id; an id whose process dies before ``done`` should be redelivered."""
        ...

    async def done(self, job_id: str) -> None:
        """Acknowledge an id: its attempt has ended, or another worker has the job."""


class InProcessQueue:
    """The embedded default: an id reaches the worker of the same process at once.

    Workers find ids beyond ``CAPACITY``, and those of a process without a worker, by polling the database.
    """

    poll_s = POLL_S

    def __init__(self) -> None:
        self._ids: asyncio.Queue[str] = asyncio.Queue(CAPACITY)

    async def dispatch(self, job_id: str) -> None:
        """Pass an id to this process's worker."""
        with contextlib.suppress(asyncio.QueueFull):
            self._ids.put_nowait(job_id)

    async def take(self) -> str:
        """Wait for an id."""
        return await self._ids.get()

    async def done(self, job_id: str) -> None:
        """Do nothing: a taken id is not remembered."""


class Dispatcher:
    """The queue of a running gate: ids are sent in the background, so that no upload waits for a broker.

    Workers find the other ids by polling the database: those that the queue does not take within ``SEND_S``, and those
    beyond ``CAPACITY``.
    """

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._ids: asyncio.Queue[str] = asyncio.Queue(CAPACITY)
        self._sending: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start sending."""
        self._sending = asyncio.create_task(self._send())

    async def stop(self) -> None:
        """Send the remaining ids, for at most ``FLUSH_S``."""
        if self._sending is None:
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ids.join(), FLUSH_S)
        self._sending.cancel()
        await asyncio.gather(self._sending, return_exceptions=True)
        self._sending = None

    async def dispatch(self, job_id: str) -> None:
        """Enqueue an id to be sent; never waits, never raises."""
        with contextlib.suppress(asyncio.QueueFull):
            self._ids.put_nowait(job_id)

    @property
    def poll_s(self) -> float:
        """The poll interval of the queue."""
        return self._queue.poll_s

    async def take(self) -> str:
        """Wait for an id."""
        return await self._queue.take()

    async def done(self, job_id: str) -> None:
        """Acknowledge an id, best-effort: after a failure the id may be redelivered."""
        try:
            await self._queue.done(job_id)
        except Exception as exc:
            log.warning("could not acknowledge a job to the queue: %s", type(exc).__name__, extra={"job_id": job_id})

    async def _send(self) -> None:
        failing = False
        while True:
            job_id = await self._ids.get()
            try:
                async with asyncio.timeout(SEND_S):
                    await self._queue.dispatch(job_id)
            except Exception as exc:
                # Only the error's type: its text may quote the broker's address with a password.
                if not failing:
                    log.warning("queue unavailable (%s); workers poll the database instead", type(exc).__name__)
                failing = True
                await asyncio.sleep(PAUSE_S)
            else:
                if failing:
                    log.warning("queue available again")
                failing = False
            finally:
                self._ids.task_done()
