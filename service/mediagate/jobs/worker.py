"""The worker: claim → process → settle → finish, each job under a lease that a heartbeat extends."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import secrets
import socket
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from mediagate.errors import MediagateError, ShuttingDown, Unavailable, members
from mediagate.jobs.end import finish
from mediagate.jobs.events import job_events
from mediagate.jobs.isolation import Isolation, ran_out_of_time, suspect
from mediagate.jobs.lease import Lease, LeaseLost
from mediagate.jobs.pipeline import process
from mediagate.jobs.publishing import unpublish
from mediagate.jobs.remote_moderation import RemoteModeration
from mediagate.jobs.retries import Retries, failure
from mediagate.jobs.watch import Watch
from mediagate.observe import about, cause_of
from mediagate.parts import Parts
from mediagate.queue import POLL_S
from mediagate.records import Settlement, get_state
from mediagate.values import Job, JobState, Stage

log = logging.getLogger("mediagate.worker")


class Worker:
    """Works on jobs until it is stopped; ``concurrency`` of them at a time."""

    def __init__(self, parts: Parts, watch: Watch, *, concurrency: int) -> None:
        self._parts = parts
        self._watch = watch
        self._owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._slots = asyncio.Semaphore(concurrency)
        self._jobs: dict[str, asyncio.Task[None]] = {}
        self._loops: list[asyncio.Task[None]] = []
        self._claiming: asyncio.Task[list[asyncio.Task[None]]] | None = None
        self._isolation = Isolation()
        self._retries = Retries(parts.settings)
        self._remote = None
        if parts.remote_moderator is not None:
            self._remote = RemoteModeration(parts.remote_moderator, parts.moderator, parts.records)
        self._queue_fails = self._queue_brings = False

    @property
    def alive(self) -> bool:
        """Whether both loops are running."""
        return bool(self._loops) and not any(loop.done() for loop in self._loops)

    def start(self) -> None:
        """Begin to take jobs from the queue and, whenever there is room for one, from the records."""
        self._loops = [asyncio.create_task(self._from_queue()), asyncio.create_task(self._from_records())]

    async def stop(self, *, drain_s: float) -> None:
        """Take no more jobs, wait for those in flight, then give the rest back uncounted."""
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
        """Make one attempt at a job, if it can be claimed; never raises for what is the job's own fault."""
        async with self._isolation.claiming:
            now = await self._parts.records.now()
            until = now + timedelta(seconds=self._parts.settings.lease_s)
            job = await self._parts.records.claim(job_id, owner=self._owner, now=now, lease_until=until)
            if job is None:
                return
            if suspect(job):
                await self._attempt(job)
                return
            self._isolation.enter()
        await self._attempt(job)

    async def _attempt(self, job: Job) -> None:
        """Make the attempt that was claimed."""
        self._watch.publish(JobState(job))
        lease = Lease(job, self._parts.records, lease_s=self._parts.settings.lease_s)

        async def enter(stage: Stage, model_runs: int) -> None:
            nonlocal job
            runs = job.model_runs + model_runs
            if not await lease.insist(lambda: lease.extend(stage, runs)):
                raise LeaseLost
            job = replace(job, stage=stage, model_runs=runs)
            self._watch.publish(JobState(job))

        with self._parts.observer.during("attempt", job=job):
            try:
                async with lease.kept():
                    if suspect(job):
                        await self._isolation.alone()
                    settlement = await process(job, self._parts, self._remote, enter)
                    self._retries.came_through()
            except LeaseLost:
                await self._abandon(job)
                return
            except asyncio.CancelledError:
                await self._give_back(job)
                raise
            except Exception as exc:
                last = await self._failed(job, lease, exc)
                if last is None:
                    return
                settlement = last
            finally:
                if not suspect(job):
                    self._isolation.leave()
            await self._settle(job, lease, settlement)

    async def attend(self) -> None:
        """Make one attempt at the job whose turn it is, if one waits; returns when it has ended."""
        if not self._loops:
            raise ShuttingDown("this process takes no jobs")
        await self._slots.acquire()
        begun = await self._claim_next(1)
        if begun:
            await asyncio.wait(begun)

    # -- where jobs come from

    async def _from_queue(self) -> None:
        while True:
            try:
                job_id = await self._parts.queue.take()
            except Exception as exc:
                log.warning("the queue brings no jobs (%s): the records do until it does", type(exc).__name__)
                self._queue_fails = True
                await asyncio.sleep(POLL_S)
            else:
                self._queue_fails, self._queue_brings = False, True
                # That a job waits is all that it says: whose turn it is, the records know.
                await self._slots.acquire()
                if not await self._claim_next(1, brought=job_id):
                    await self._parts.queue.done(job_id)

    async def _from_records(self) -> None:
        while True:
            # Room first, for a lease runs from the claim on.
            await self._slots.acquire()
            room = 1
            while not self._slots.locked():
                await self._slots.acquire()
                room += 1
            begun = await self._claim_next(room)
            # What the queue did not bring in time is worked off at once, unless the queue is at it.
            if len(begun) < room or self._queue_brings:
                self._queue_brings = False
                pause = POLL_S if self._queue_fails else self._parts.queue.poll_s
                await asyncio.sleep(pause * random.uniform(0.5, 1.5))

    async def _claim_next(self, room: int, *, brought: str | None = None) -> list[asyncio.Task[None]]:
        """Claim jobs in their turns and begin with them, in slots that were taken for them; returns the attempts.

        An id that the queue ``brought`` is done with when the attempt has ended that was begun for it.
        """
        async with self._isolation.claiming:
            # Shielded: what is claimed while we stop is still ours to do or to give back.
            self._claiming = asyncio.create_task(self._begin_next(room, brought))
            return await asyncio.shield(self._claiming)

    async def _begin_next(self, room: int, brought: str | None) -> list[asyncio.Task[None]]:
        jobs: Sequence[Job] = ()
        records = self._parts.records
        try:
            now = await records.now()
            until = now + timedelta(seconds=self._parts.settings.lease_s)
            jobs = await records.claim_oldest(
                owner=self._owner, now=now, lease_until=until, limit=room, busy=self._jobs.keys()
            )
            for job in jobs:
                if not suspect(job):
                    self._isolation.enter()
            # Back to where they were, uncounted, to be claimed again one by one.
            await asyncio.gather(*(self._give_back(job) for job in jobs if suspect(job)))
        except Exception as exc:
            log.warning(
                "cannot look for jobs: %s", cause_of(exc), exc_info=None if isinstance(exc, Unavailable) else exc
            )
        for _ in range(room - len(jobs)):
            self._slots.release()
        return [self._start(job.id, self.work(job.id) if suspect(job) else self._attempt(job), brought) for job in jobs]

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
            log.warning("job %s waits: %s", job_id, exc, extra={"job_id": job_id})
        except Exception:
            log.exception("job %s: the attempt broke off", job_id, extra={"job_id": job_id})
        if brought is not None:
            await self._parts.queue.done(brought)

    # -- how an attempt ends

    async def _settle(self, job: Job, lease: Lease, settlement: Settlement) -> None:
        records = self._parts.records
        now = await lease.insist(records.now, to_the_end=True)
        state = settlement.state_of(job, now)
        events_of = partial(job_events, parts=self._parts)
        with self._parts.observer.during("record", job=job):
            settled = await lease.insist(
                lambda: records.settle(job, owner=lease.owner, now=now, settlement=settlement, events_of=events_of),
                to_the_end=True,
            )
        if not settled and not await self._settled_unheard(job, settlement, now):
            await self._abandon(job)
            return
        self._watch.publish(state)
        await finish(state, self._parts)

    async def _settled_unheard(self, job: Job, settlement: Settlement, now: datetime) -> bool:
        """Whether the job was settled so after all, and only the answer was lost."""
        found = await get_state(self._parts.records, job.id)
        if found is None:
            return False
        # Another attempt may have ended it within the same millisecond, and its media be another one, or be gone.
        ended = (found.job.status, found.job.finished_at, found.media)
        return ended == (settlement.status, now, settlement.media)

    async def _failed(self, job: Job, lease: Lease, exc: Exception) -> Settlement | None:
        """Give the job back for another attempt and return ``None``, or return how it ends."""
        ours, ended = all(isinstance(one, MediagateError) for one in members(exc)), failure(exc, job.stage)
        log.log(
            logging.WARNING if ours else logging.ERROR,
            "job %s, attempt %d: %s",
            job.id,
            job.attempts,
            cause_of(exc),
            exc_info=None if ours else exc,
            extra=about(job, code=ended.code),
        )
        records = self._parts.records
        retry = self._retries.after(exc, job, await lease.insist(records.now, to_the_end=True))
        if retry is None:
            return ended
        # What is not counted takes from a job neither that it ran out of time nor its turn alone.
        told = job if ran_out_of_time(job) and not retry.counted else ended
        await lease.insist(
            lambda: records.release(
                job.id,
                owner=lease.owner,
                available_at=retry.at,
                count_attempt=retry.counted,
                error=told.error,
                code=told.code,
            ),
            to_the_end=True,
        )
        self._watch.forget(job.id)
        return None

    async def _give_back(self, job: Job) -> None:
        records = self._parts.records
        now = await records.now()
        await records.release(
            job.id, owner=self._owner, available_at=now, count_attempt=False, error=job.error, code=job.code
        )

    async def _abandon(self, job: Job) -> None:
        log.warning("job %s is no longer ours; what this attempt made is dropped", job.id, extra=about(job))
        await unpublish(job, self._parts)
