"""The worker: claim → process → settle → finish, each job under a lease that a heartbeat extends."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import secrets
import socket
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from mediagate.errors import RecordsUnavailable, ShuttingDown, Unavailable, known_error
from mediagate.isolation import Isolation, suspect
from mediagate.media import Job, JobState, JobStatus, Stage, utcnow
from mediagate.parts import Parts
from mediagate.pipeline import process, unpublish
from mediagate.queue import POLL_S
from mediagate.records import Settlement
from mediagate.watch import Watch

log = logging.getLogger("mediagate.worker")

MAX_BACKOFF_S = 300.0


class LeaseLost(Exception):
    """The job belongs to somebody else now, or was cancelled; whatever we made of it does not count."""


class Worker:
    """Works on jobs until it is stopped; ``concurrency`` of them at a time."""

    def __init__(self, parts: Parts, watch: Watch, *, concurrency: int) -> None:
        self._parts = parts
        self._watch = watch
        self._owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._slots = asyncio.Semaphore(concurrency)
        self._concurrency = concurrency
        self._jobs: dict[str, asyncio.Task[None]] = {}
        self._loops: list[asyncio.Task[None]] = []
        self._isolation = Isolation()
        self._queue_fails = self._queue_brings = False

    @property
    def alive(self) -> bool:
        """Whether both loops are running."""
        return bool(self._loops) and not any(loop.done() for loop in self._loops)

    def start(self) -> None:
        """Begin to take jobs from the queue and, every ``poll_s`` of the queue, from the records."""
        self._loops = [asyncio.create_task(self._from_queue()), asyncio.create_task(self._from_records())]

    async def stop(self, *, drain_s: float) -> None:
        """Take no more jobs, wait for those in flight, then give the rest back uncounted."""
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
        self._loops = []
        if self._jobs:
            await asyncio.wait(self._jobs.values(), timeout=drain_s)
        for task in list(self._jobs.values()):
            task.cancel()
        await asyncio.gather(*self._jobs.values(), return_exceptions=True)

    async def work(self, job_id: str) -> None:
        """Make one attempt at a job, if it can be claimed; never raises for what is the job's own fault."""
        async with self._isolation.claiming:
            job = await self._parts.records.claim(job_id, owner=self._owner, now=utcnow(), lease_until=self._lease())
            if job is None:
                return
            if suspect(job):
                await self._attempt(job)
                return
            self._isolation.enter()
        await self._attempt(job)

    async def _attempt(self, job: Job) -> None:
        self._watch.moved(JobState(job))
        at = job.stage

        async def enter(stage: Stage) -> None:
            nonlocal at
            await self._enter(job, stage)
            at = stage

        try:
            async with self._lease_kept(job):
                if suspect(job):
                    await self._isolation.alone()
                settlement = await process(job, self._parts, enter)
        except LeaseLost:
            await self._abandon(job)
            return
        except asyncio.CancelledError:
            await self._give_back(job)
            raise
        except Exception as exc:
            failure = await self._failed(job, exc, at)
            if failure is None:
                return
            settlement = failure
        finally:
            if not suspect(job):
                self._isolation.leave()
        await self._settle(job, settlement)

    async def attend(self, job_id: str) -> None:
        """Make one attempt at a job unless somebody else has it; returns when it has ended."""
        if not self._loops:
            raise ShuttingDown("this process takes no jobs")
        await self._begin(job_id)
        if job_id in self._jobs:
            await asyncio.wait([self._jobs[job_id]])

    async def finish(self, job_id: str) -> None:
        """Do what is left to do for a job that is terminal: after a crash, or after another process ended it."""
        state = await self._parts.records.get_state(job_id)
        if state is not None and state.job.status.terminal:
            await self._conclude(state)

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
                await self._begin(job_id, taken=True)

    async def _from_records(self) -> None:
        while True:
            found: Sequence[str] = ()
            try:
                async with self._slots:  # when there is room
                    found = await self._parts.records.claimable(now=utcnow(), limit=self._concurrency)
            except Exception as exc:
                log.warning("cannot look for jobs: %s", exc, exc_info=None if isinstance(exc, Unavailable) else exc)
            for job_id in found:
                await self._begin(job_id)
            # What the queue did not bring in time is worked off at once, unless the queue is at it.
            if len(found) < self._concurrency or self._queue_brings:
                self._queue_brings = False
                pause = POLL_S if self._queue_fails else self._parts.queue.poll_s
                await asyncio.sleep(pause * random.uniform(0.5, 1.5))

    async def _begin(self, job_id: str, *, taken: bool = False) -> None:
        """Begin an attempt in the next free slot, unless this worker has the job in hand."""
        if job_id not in self._jobs:
            await self._slots.acquire()
            if job_id not in self._jobs:
                self._jobs[job_id] = asyncio.create_task(self._guarded(job_id, taken=taken))
                self._jobs[job_id].add_done_callback(lambda _: self._ended(job_id))
                return
            self._slots.release()
        if taken:
            await self._parts.queue.done(job_id)

    def _ended(self, job_id: str) -> None:
        self._jobs.pop(job_id, None)
        self._slots.release()

    async def _guarded(self, job_id: str, *, taken: bool) -> None:
        try:
            await self.work(job_id)
        except Unavailable as exc:
            log.warning("job %s waits: %s", job_id, exc, extra={"job_id": job_id})
        except Exception:
            log.exception("job %s: the attempt broke off", job_id, extra={"job_id": job_id})
        if taken:
            await self._parts.queue.done(job_id)

    # -- lease

    def _lease(self) -> datetime:
        return utcnow() + timedelta(seconds=self._parts.settings.lease_s)

    @contextlib.asynccontextmanager
    async def _lease_kept(self, job: Job) -> AsyncIterator[None]:
        """Extend the lease while the body runs; the body ends with ``LeaseLost`` when it cannot be extended."""
        body = asyncio.current_task()
        lost = False

        async def beat() -> None:
            nonlocal lost
            while True:
                await asyncio.sleep(self._parts.settings.lease_s / 3)
                try:
                    held = await self._parts.records.advance(job.id, owner=self._owner, lease_until=self._lease())
                except RecordsUnavailable as exc:
                    log.warning("job %s: heartbeat missed: %s", job.id, exc, extra={"job_id": job.id})
                    continue
                if not held and body is not None:
                    lost = True
                    body.cancel()
                    return

        heart = asyncio.create_task(beat())
        try:
            yield
        except asyncio.CancelledError:
            if lost and body is not None and body.uncancel() == 0:
                raise LeaseLost from None
            raise
        finally:
            heart.cancel()
            await asyncio.gather(heart, return_exceptions=True)

    async def _enter(self, job: Job, stage: Stage) -> None:
        if not await self._parts.records.advance(job.id, owner=self._owner, lease_until=self._lease(), stage=stage):
            raise LeaseLost
        self._watch.moved(JobState(replace(job, stage=stage)))

    # -- how an attempt ends

    async def _settle(self, job: Job, settlement: Settlement) -> None:
        now = utcnow()
        if not await self._parts.records.settle(job.id, owner=self._owner, now=now, settlement=settlement):
            await self._abandon(job)
            return
        state = settlement.state_of(job, now)
        self._watch.moved(state)
        log.info(
            "job %s: %s",
            job.id,
            settlement.status,
            extra={
                "job_id": job.id,
                "source": job.source_type,
                "status": str(settlement.status),
                "code": settlement.code,
            },
        )
        await self._conclude(state)

    async def _conclude(self, state: JobState) -> None:
        """Tidy up and run the hooks; done again after a crash, so all of it can be repeated."""
        parts, job = self._parts, state.job
        if job.status is not JobStatus.COMPLETE and job.attempts:
            await unpublish(job, parts)
        if not (job.status is JobStatus.FAILED and job.retryable):
            await parts.storage.delete([job.staging_key])
        match job.status:
            case JobStatus.COMPLETE:
                await parts.hooks.run("on_complete", state)
            case JobStatus.REJECTED:
                await parts.hooks.run("on_rejected", state)
            case JobStatus.CANCELLED:
                await parts.hooks.run("on_cancelled", state)
            case _:
                await parts.hooks.run("on_failed", state)
        await parts.records.mark_notified(job.id, now=utcnow())

    async def _failed(self, job: Job, exc: Exception, at: Stage) -> Settlement | None:
        """Give the job back for another attempt and return ``None``, or return how it ends."""
        known = known_error(exc)
        doing = "publishing" if at is Stage.PUBLISH else "checking and resizing"
        error = (
            f"{known.title} while {doing}: {known.detail}" if known else f"Internal error while {doing}; see the log"
        )
        code = known.code if known else "internal_error"
        retryable = known.retryable if known else True
        log.log(
            logging.WARNING if known else logging.ERROR,
            "job %s, attempt %d: %s",
            job.id,
            job.attempts,
            exc,
            exc_info=None if known else exc,
            extra={"job_id": job.id, "source": job.source_type, "code": code},
        )
        if retryable and job.attempts < job.max_attempts:
            pause = min(MAX_BACKOFF_S, self._parts.settings.retry_backoff_s * 2 ** (job.attempts - 1))
            await self._parts.records.release(
                job.id,
                owner=self._owner,
                available_at=utcnow() + timedelta(seconds=pause),
                error=error,
                code=code,
            )
            self._watch.changed(job.id)
            return None
        return Settlement(JobStatus.FAILED, error=error, code=code, retryable=retryable)

    async def _give_back(self, job: Job) -> None:
        await self._parts.records.release(job.id, owner=self._owner, available_at=utcnow(), count_attempt=False)

    async def _abandon(self, job: Job) -> None:
        log.warning("job %s is no longer ours; what this attempt made is dropped", job.id, extra={"job_id": job.id})
        now = await self._parts.records.get_job(job.id)
        if now is not None and now.status.terminal and now.status is not JobStatus.COMPLETE:
            await unpublish(job, self._parts)
