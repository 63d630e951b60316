"""The attempts of one worker: the lease, the isolation and the end of each, whatever its job makes."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from dataclasses import replace
from datetime import datetime
from functools import partial

from mediagate.errors import MediagateError, known_error, members
from mediagate.jobs.attempt import Attempt
from mediagate.jobs.end import finish
from mediagate.jobs.events import job_events
from mediagate.jobs.isolation import Isolation, ran_out_of_time, suspect
from mediagate.jobs.lease import Lease, LeaseLost
from mediagate.jobs.publishing import unpublish
from mediagate.jobs.remote_moderation import remote_moderation
from mediagate.jobs.retries import Retries, failure
from mediagate.jobs.watch import Watch
from mediagate.observe import about, cause_of
from mediagate.parts import Parts
from mediagate.records import Settlement, get_state
from mediagate.values import Job, JobState, JobStatus, ended_early

log = logging.getLogger("mediagate.worker")


class Attempts(ABC):
    """Runs the claimed jobs of one worker that are of one kind."""

    def __init__(self, parts: Parts, watch: Watch, isolation: Isolation) -> None:
        self._parts = parts
        self._watch = watch
        self._isolation = isolation
        self._retries = Retries(parts.settings)
        self._remote = remote_moderation(parts)

    @abstractmethod
    async def process(self, attempt: Attempt) -> Settlement:
        """Do the work of a job and return how it ended."""

    async def run(self, job: Job) -> None:
        """Run a newly claimed job to its end, or release it for another attempt.

        Raises ``RecordsUnavailable`` when neither can be recorded; the lease then expires.
        """
        lease = Lease(job, self._parts.records, lease_s=self._parts.settings.lease_s)
        attempt = Attempt(job, lease, self._watch)
        attempt.begin()
        with self._parts.observer.during("attempt", job=job):
            try:
                async with lease.kept(), attempt.recorded():
                    if suspect(job):
                        await self._isolation.alone()
                    settlement = await self.process(attempt)
                    self._retries.came_through()
            except LeaseLost:
                await self._abandon(job)
                return
            except asyncio.CancelledError:
                await lease.give_back()
                raise
            except Exception as exc:
                last = await self._fail(attempt, lease, exc)
                if last is None:
                    return
                settlement = last
            finally:
                if not suspect(job):
                    self._isolation.leave()
            state = await self._settle(attempt.job, lease, settlement)
            if state is not None:
                await finish(state, self._parts)

    async def _settle(self, job: Job, lease: Lease, settlement: Settlement) -> JobState | None:
        """Record a job's end and its events in one transaction; returns the final state.

        Returns ``None`` when the lease is lost.
        """
        records = self._parts.records
        now = await lease.insist(records.now, to_the_end=True)
        if job.spec is not None and settlement.status is JobStatus.COMPLETE:
            settlement = replace(settlement, expires_at=now + job.spec.ttl)
        events_of = partial(job_events, parts=self._parts, outputs=settlement.outputs)
        with self._parts.observer.during("record", job=job):
            settled = await lease.insist(
                lambda: records.settle(job, owner=lease.owner, now=now, settlement=settlement, events_of=events_of),
                to_the_end=True,
            )
        if not settled and not await self._settled_unheard(job, settlement, now):
            await self._abandon(job)
            return None
        state = settlement.state_of(job, now)
        self._watch.publish(state)
        return state

    async def _settled_unheard(self, job: Job, settlement: Settlement, now: datetime) -> bool:
        """Whether the settlement was recorded and only the database's answer was lost."""
        found = await get_state(self._parts.records, job.id)
        if found is None:
            return False
        # Another attempt may have ended the job in the same millisecond, with another media or with a deleted one.
        ended = (found.job.status, found.job.finished_at, found.media, found.outputs)
        return ended == (settlement.status, now, settlement.media, settlement.outputs)

    async def _fail(self, attempt: Attempt, lease: Lease, exc: Exception) -> Settlement | None:
        """Release the job for another attempt and return ``None``, or return its final settlement."""
        job = attempt.job
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
        now = await lease.insist(self._parts.records.now, to_the_end=True)
        retry = self._retries.after(exc, job, now)
        if retry is None:
            known = known_error(exc)
            step = known.step if known is not None and job.spec is not None else None  # that of a variant is no stage
            return replace(ended, stages=ended_early(job.stages, failed=True, step=step))
        # An uncounted attempt must not erase that the job timed out before, and with it its turn to run alone.
        noted = job if ran_out_of_time(job) and not retry.counted else ended
        await lease.insist(
            lambda: lease.release(retry.at, counted=retry.counted, error=noted.error, code=noted.code), to_the_end=True
        )
        self._watch.forget(job.id)
        return None

    async def _abandon(self, job: Job) -> None:
        log.warning("job %s: lease lost; discarding this attempt's output", job.id, extra=about(job))
        await unpublish(job, self._parts)
