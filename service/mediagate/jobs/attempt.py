"""One attempt at a job: the job as it is now, and what its clients are shown meanwhile."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from time import perf_counter

from mediagate.errors import RecordsUnavailable
from mediagate.jobs.lease import Lease, LeaseLost
from mediagate.jobs.watch import Watch
from mediagate.values import Job, JobState, Stage, StageState, planned

log = logging.getLogger("mediagate.worker")

RECORD_S = 1.0
"""How often progress is recorded for other processes. An attempt that takes less costs no further statement."""


class Attempt:
    """A claimed job under its lease."""

    def __init__(self, job: Job, lease: Lease, watch: Watch) -> None:
        self.job = job
        self.started = perf_counter()
        self._lease = lease
        self._watch = watch
        self._recorded = job.stages
        self._recording = asyncio.Lock()

    def begin(self) -> None:
        """Show the job as claimed, with its first stage running."""
        first, *rest = planned(self.job.spec.ops if self.job.spec else None)
        self.show((replace(first, status="running"), *rest))

    def show(self, stages: Sequence[StageState]) -> None:
        """Show new stages: to the clients of this process at once, to all others within ``RECORD_S``."""
        self.job = replace(self.job, stages=tuple(stages))
        self._watch.publish(JobState(self.job))

    async def enter(self, stage: Stage, model_runs: int) -> None:
        """Record a new stage of the job and ``model_runs`` further runs; raises ``LeaseLost``."""
        lease = self._lease
        entered = replace(self.job, stage=stage, model_runs=self.job.model_runs + model_runs)
        async with self._recording:
            if not await lease.insist(lambda: lease.extend(stage, entered.model_runs, entered.stages)):
                raise LeaseLost
            self._recorded = entered.stages
        self.job = entered
        self._watch.publish(JobState(entered))

    @asynccontextmanager
    async def recorded(self) -> AsyncIterator[None]:
        """Record the stages that are shown within the block."""
        recorder = asyncio.create_task(self._record())
        try:
            yield
        finally:
            recorder.cancel()
            await asyncio.gather(recorder, return_exceptions=True)

    async def _record(self) -> None:
        while True:
            await asyncio.sleep(RECORD_S)
            async with self._recording:
                stages = self.job.stages
                if stages is self._recorded:
                    continue
                try:
                    # The heartbeat finds out whether the lease is lost.
                    await self._lease.extend(stages=stages)
                except RecordsUnavailable as exc:
                    log.warning("job %s: progress not recorded: %s", self.job.id, exc)
                else:
                    self._recorded = stages
