"""The worker: claims as many jobs at a time as it has slots, and runs each as its kind demands."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import secrets
import socket
from collections.abc import Coroutine, Mapping, Sequence
from datetime import timedelta
from typing import Any

from mediagate.errors import ShuttingDown, Unavailable
from mediagate.jobs.attempts import Attempts
from mediagate.jobs.isolation import Isolation, suspect
from mediagate.jobs.lease import Lease
from mediagate.jobs.pipeline import Pipeline
from mediagate.jobs.production import Production
from mediagate.jobs.rejudging import Rejudger
from mediagate.jobs.watch import Watch
from mediagate.observe import cause_of
from mediagate.parts import Parts
from mediagate.queue import POLL_S
from mediagate.values import Job, JobKind

log = logging.getLogger("mediagate.worker")

LOOK_S = 2.0
"""How often a worker looks for published pictures to judge again, while there are none."""
REJUDGING = "re-judging"


class Worker:
    """Runs up to ``concurrency`` jobs at a time until it is stopped."""

    def __init__(self, parts: Parts, watch: Watch, *, concurrency: int) -> None:
        self._parts = parts
        self._owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._slots = asyncio.Semaphore(concurrency)
        self._jobs: dict[str, asyncio.Task[None]] = {}
        self._loops: list[asyncio.Task[None]] = []
        self._claiming: asyncio.Task[list[asyncio.Task[None]]] | None = None
        self._isolation = Isolation()
        self._attempts: Mapping[JobKind, Attempts] = {
            JobKind.MEDIA: Pipeline(parts, watch, self._isolation),
            JobKind.PIPELINE: Production(parts, watch, self._isolation),
        }
        self._rejudger = Rejudger(parts, watch, self._isolation, owner=self._owner)
        self._queue_fails = self._queue_brings = False

    @property
    def alive(self) -> bool:
        """Whether all loops are running."""
        return bool(self._loops) and not any(loop.done() for loop in self._loops)

    def start(self) -> None:
        """Start to take jobs from the queue and, whenever a slot is free, from the records; judge again in between."""
        sources = (self._from_queue(), self._from_records(), self._from_published())
        self._loops = [asyncio.create_task(source) for source in sources]

    async def stop(self, *, drain_s: float) -> None:
        """Stop taking jobs, wait up to ``drain_s`` for jobs in flight, then release the rest uncounted."""
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
        self._loops = []
        if self._claiming is not None:
            await asyncio.wait([self._claiming])
        if self._jobs:
            await asyncio.wait(self._jobs.values(), timeout=drain_s)
        for task in list(self._jobs.values()):
            task.cancel()
        await asyncio.gather(*self._jobs.values(), return_exceptions=True)

    async def work(self, job_id: str) -> None:
        """Make one attempt at a job, if it can be claimed; never raises for a failure of the job itself."""
        async with self._isolation.claiming:
            now = await self._parts.records.now()
            until = now + timedelta(seconds=self._parts.settings.lease_s)
            job = await self._parts.records.claim(job_id, owner=self._owner, now=now, lease_until=until)
            if job is None:
                return
            if suspect(job):
                await self._run(job)
                return
            self._isolation.enter()
        await self._run(job)

    async def attend(self) -> None:
        """Make one attempt at the next waiting job, if there is one; returns when the attempt has ended.

        Raises ``ShuttingDown`` when the worker is not running.
        """
        if not self._loops:
            raise ShuttingDown("this process does not take jobs")
        await self._slots.acquire()
        begun = await self._claim_next(1)
        if begun:
            await asyncio.wait(begun)

    # -- sources of jobs

    async def _from_queue(self) -> None:
        while True:
            try:
                job_id = await self._parts.queue.take()
            except Exception as exc:
                log.warning("queue unavailable (%s); polling the records instead", type(exc).__name__)
                self._queue_fails = True
                await asyncio.sleep(POLL_S)
            else:
                self._queue_fails, self._queue_brings = False, True
                # The id only says that a job is waiting; the records decide which job is next.
                await self._slots.acquire()
                if not await self._claim_next(1, brought=job_id):
                    await self._parts.queue.done(job_id)

    async def _from_records(self) -> None:
        while True:
            # Slots first, since a lease runs from the claim on.
            await self._slots.acquire()
            room = 1
            while not self._slots.locked():
                await self._slots.acquire()
                room += 1
            begun = await self._claim_next(room)
            # Continue at once with jobs that the queue did not deliver in time, unless the queue is delivering.
            if len(begun) < room or self._queue_brings:
                self._queue_brings = False
                pause = POLL_S if self._queue_fails else self._parts.queue.poll_s
                await asyncio.sleep(pause * random.uniform(0.5, 1.5))

    async def _from_published(self) -> None:
        while True:
            # One at a time, so that uploads find the other slots and image processes free.
            await self._slots.acquire()
            await asyncio.wait({self._start(REJUDGING, self._rejudger.attend(), None)})
            if not self._rejudger.found:
                await asyncio.sleep(LOOK_S * random.uniform(0.5, 1.5))

    async def _claim_next(self, room: int, *, brought: str | None = None) -> list[asyncio.Task[None]]:
        """Claim jobs in their order and start them in slots that are already taken; returns the attempts.

        An id that the queue ``brought`` is acknowledged when the attempt that was started for it has ended.
        """
        async with self._isolation.claiming:
            # Shielded: jobs claimed during a stop must still be run or released.
            self._claiming = asyncio.create_task(self._begin_next(room, brought))
            return await asyncio.shield(self._claiming)

    async def _begin_next(self, room: int, brought: str | None) -> list[asyncio.Task[None]]:
        jobs: Sequence[Job] = ()
        records, lease_s = self._parts.records, self._parts.settings.lease_s
        try:
            now = await records.now()
            until = now + timedelta(seconds=lease_s)
            jobs = await records.claim_oldest(
                owner=self._owner, now=now, lease_until=until, limit=room, busy=self._jobs.keys()
            )
            for job in jobs:
                if not suspect(job):
                    self._isolation.enter()
            # Suspects are released uncounted, to be claimed again one by one.
            await asyncio.gather(*(Lease(job, records, lease_s=lease_s).give_back() for job in jobs if suspect(job)))
        except Exception as exc:
            log.warning(
                "could not claim jobs: %s", cause_of(exc), exc_info=None if isinstance(exc, Unavailable) else exc
            )
        for _ in range(room - len(jobs)):
            self._slots.release()
        return [self._start(job.id, self.work(job.id) if suspect(job) else self._run(job), brought) for job in jobs]

    def _run(self, job: Job) -> Coroutine[Any, Any, None]:
        return self._attempts[job.kind].run(job)

    def _start(self, job_id: str, work: Coroutine[Any, Any, None], brought: str | None) -> asyncio.Task[None]:
        task = asyncio.create_task(self._guarded(job_id, work, brought))
        self._jobs[job_id] = task
        task.add_done_callback(lambda _: self._ended(job_id))
        return task

    def _ended(self, job_id: str) -> None:
        del self._jobs[job_id]
        self._slots.release()

    async def _guarded(self, job_id: str, work: Coroutine[Any, Any, None], brought: str | None) -> None:
        try:
            await work
        except Unavailable as exc:
            log.warning("job %s: waiting: %s", job_id, exc, extra={"job_id": job_id})
        except Exception:
            log.exception("job %s: attempt aborted", job_id, extra={"job_id": job_id})
        if brought is not None:
            await self._parts.queue.done(brought)
