"""The path of one job on one page: claim, verdict, published files, end."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from time import perf_counter

from mediagate.errors import MediagateError, ObjectNotFound, ProcessingError, ProcessingRefused, StagedFileLost, members
from mediagate.jobs.end import finish
from mediagate.jobs.events import job_events
from mediagate.jobs.isolation import Isolation, ran_out_of_time, suspect
from mediagate.jobs.lease import Lease, LeaseLost
from mediagate.jobs.publishing import publish, unpublish
from mediagate.jobs.remote_moderation import remote_moderation
from mediagate.jobs.retries import Retries, failure
from mediagate.jobs.watch import Watch
from mediagate.moderation import count_review_as_reject
from mediagate.observe import about, cause_of
from mediagate.parts import Parts
from mediagate.records import Settlement, get_state
from mediagate.values import Job, JobState, JobStatus, Rendered, Stage, Verdict

log = logging.getLogger("mediagate.worker")


@dataclass(frozen=True, slots=True)
class _Allowed:
    """A picture that moderation allows to be published."""

    rendered: Rendered
    verdict: Verdict
    model_runs: int


class Pipeline:
    """Runs the claimed jobs of one worker."""

    def __init__(self, parts: Parts, watch: Watch, isolation: Isolation) -> None:
        self._parts = parts
        self._watch = watch
        self._isolation = isolation
        self._retries = Retries(parts.settings)
        self._remote = remote_moderation(parts)

    async def run(self, job: Job) -> None:
        """Run a newly claimed job to its end, or release it for another attempt.

        Raises ``RecordsUnavailable`` when neither can be recorded; the lease then expires.
        """
        self._watch.publish(JobState(job))
        lease = Lease(job, self._parts.records, lease_s=self._parts.settings.lease_s)
        with self._parts.observer.during("attempt", job=job):
            try:
                async with lease.kept():
                    if suspect(job):
                        await self._isolation.alone()
                    started = perf_counter()
                    judged = await self._judge(job, started)
                    if isinstance(judged, _Allowed):
                        job = await self._enter(Stage.PUBLISH, job, lease, judged.model_runs)
                        settlement = await self._publish(job, judged, started)
                    else:
                        settlement = judged
                    self._retries.came_through()
            except LeaseLost:
                await self._abandon(job)
                return
            except asyncio.CancelledError:
                await lease.give_back()
                raise
            except Exception as exc:
                last = await self._fail(job, lease, exc)
                if last is None:
                    return
                settlement = last
            finally:
                if not suspect(job):
                    self._isolation.leave()
            state = await self._settle(job, lease, settlement)
            if state is not None:
                await finish(state, self._parts)

    # -- the steps of an attempt

    async def _judge(self, job: Job, started: float) -> _Allowed | Settlement:
        """Fetch the quarantined file, judge it and make its variants; returns the settlement if it is refused."""
        parts = self._parts
        source = parts.sources.get(job.source_type)
        if source is None:
            raise ProcessingError(f"source type {job.source_type!r} is not configured here; add it, or remove the job")
        remote = self._remote if self._remote is not None and self._remote.judges(source) else None
        try:
            with parts.observer.during("fetch", job=job):
                data = await parts.storage.get(job.staging_key)
        except ObjectNotFound:
            raise StagedFileLost("the quarantined file no longer exists; upload the picture again") from None
        model_runs = 0
        try:
            await parts.hooks.run("pre_process", job)
            with parts.observer.during("render", job=job):
                focal = (job.focal_x, job.focal_y)
                judged_by = source if remote is None else remote.locally(source)
                previews = 0 if remote is None else remote.input_edge
                rendered = await parts.images.render(data, judged_by, focal=focal, previews=previews)
            model_runs = 0 if remote is not None and remote.alone(source) else rendered.model_runs
            if remote is not None and rendered.verdict.decision == "allow":
                model_runs += len(rendered.previews)
                rendered = await remote.judged(rendered, source)
            verdict = count_review_as_reject(rendered.verdict)
            await parts.hooks.run("pre_verdict", job, verdict)
            if verdict.decision != "allow":
                return _rejected(verdict, rendered, model_runs, started)
            await parts.hooks.run("pre_store", job, rendered)
        except ProcessingRefused as refusal:
            return Settlement(JobStatus.REJECTED, reason=refusal.detail, code=refusal.code, model_runs=model_runs)
        return _Allowed(rendered, verdict, model_runs)

    async def _enter(self, stage: Stage, job: Job, lease: Lease, model_runs: int) -> Job:
        """Record a job's new stage and ``model_runs`` further runs; raises ``LeaseLost``."""
        entered = replace(job, stage=stage, model_runs=job.model_runs + model_runs)
        if not await lease.insist(lambda: lease.extend(stage, entered.model_runs)):
            raise LeaseLost
        self._watch.publish(JobState(entered))
        return entered

    async def _publish(self, job: Job, allowed: _Allowed, started: float) -> Settlement:
        rendered = allowed.rendered
        publishing = perf_counter()
        with self._parts.observer.during("publish", job=job):
            media = await publish(job, rendered, self._parts)
        ended = perf_counter()
        return Settlement(
            JobStatus.COMPLETE,
            media=media,
            verdict=allowed.verdict,
            warnings=rendered.warnings,
            timings_ms={
                **rendered.timings_ms,
                "publish": round((ended - publishing) * 1000, 1),
                "total": round((ended - started) * 1000, 1),
            },
            bytes_out=sum(len(file.data) for file in rendered.files),
        )

    async def _settle(self, job: Job, lease: Lease, settlement: Settlement) -> JobState | None:
        """Record a job's end and its events in one transaction; returns the final state.

        Returns ``None`` when the lease is lost.
        """
        records = self._parts.records
        now = await lease.insist(records.now, to_the_end=True)
        events_of = partial(job_events, parts=self._parts)
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
        ended = (found.job.status, found.job.finished_at, found.media)
        return ended == (settlement.status, now, settlement.media)

    # -- failed attempts

    async def _fail(self, job: Job, lease: Lease, exc: Exception) -> Settlement | None:
        """Release the job for another attempt and return ``None``, or return its final settlement."""
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
            return ended
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


def _rejected(verdict: Verdict, rendered: Rendered, model_runs: int, started: float) -> Settlement:
    return Settlement(
        JobStatus.REJECTED,
        verdict=verdict,
        reason=verdict.reason,
        code="moderation_rejected",
        warnings=rendered.warnings,
        timings_ms={**rendered.timings_ms, "total": round((perf_counter() - started) * 1000, 1)},
        model_runs=model_runs,
    )
