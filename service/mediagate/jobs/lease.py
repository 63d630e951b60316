"""A worker's lease on one job: extended by a heartbeat, and retried while the records are unavailable."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

from mediagate.errors import RecordsUnavailable
from mediagate.observe import about
from mediagate.records import Records
from mediagate.values import Job, Rejudgement, Stage, StageState

log = logging.getLogger("mediagate.worker")

ASK_AGAIN_S = 0.5

T = TypeVar("T")


class LeaseLost(Exception):
    """Another worker has taken over the job, or it was cancelled; this attempt's output must be discarded."""


class Lease:
    """The result of a claim: the job belongs to its owner for ``lease_s`` from the claim and from each extension."""

    def __init__(self, job: Job | Rejudgement, records: Records, *, lease_s: float) -> None:
        self._job = job
        self._records = records
        self._lease_s = lease_s
        self.owner = job.lease_owner or ""

    async def extend(
        self,
        stage: Stage | None = None,
        model_runs: int | None = None,
        stages: Sequence[StageState] | None = None,
    ) -> bool:
        """Extend the lease; record a stage, the model runs so far and the stages, if given.

        ``False`` if the lease is lost.
        """
        until = await self._records.now() + timedelta(seconds=self._lease_s)
        return await self._records.advance(
            self._job.id, owner=self.owner, lease_until=until, stage=stage, model_runs=model_runs, stages=stages
        )

    async def release(self, at: datetime, *, counted: bool, error: str | None, code: str | None) -> None:
        """Release the job for another attempt, not before ``at``."""
        await self._records.release(
            self._job.id, owner=self.owner, available_at=at, count_attempt=counted, error=error, code=code
        )

    async def give_back(self) -> None:
        """Release the job in its state before the claim."""
        await self.release(await self._records.now(), counted=False, error=self._job.error, code=self._job.code)

    async def insist(self, change: Callable[[], Awaitable[T]], *, to_the_end: bool = False) -> T:
        """Make a change under the lease; retry it while the records are unavailable and the lease may still hold.

        Set ``to_the_end`` for the change that ends the attempt: an expired lease is still good while no other worker
        could take the job over.
        """
        clock = asyncio.get_running_loop().time
        until = clock() + (math.inf if to_the_end else self._lease_s)
        while True:
            try:
                return await change()
            except RecordsUnavailable as exc:
                if clock() + ASK_AGAIN_S > until:
                    raise
                log.warning("job %s: waiting for the records: %s", self._job.id, exc, extra=about(self._job))
            await asyncio.sleep(ASK_AGAIN_S)

    @contextlib.asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Extend the lease while the body runs; the body ends with ``LeaseLost`` when the lease is lost."""
        body = asyncio.current_task()
        lost = False

        async def beat() -> None:
            nonlocal lost
            while True:
                await asyncio.sleep(self._lease_s / 3)
                try:
                    held = await self.extend()
                except RecordsUnavailable as exc:
                    log.warning("job %s: heartbeat missed: %s", self._job.id, exc, extra=about(self._job))
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


class RejudgementLease(Lease):
    """The same for a re-judgement."""

    async def extend(
        self,
        stage: Stage | None = None,
        model_runs: int | None = None,
        stages: Sequence[StageState] | None = None,
    ) -> bool:
        """Extend the lease; ``False`` if it is lost."""
        until = await self._records.now() + timedelta(seconds=self._lease_s)
        return await self._records.rejudgements.advance(self._job.id, owner=self.owner, lease_until=until)

    async def release(self, at: datetime, *, counted: bool, error: str | None, code: str | None) -> None:
        """Release the re-judgement for another attempt, not before ``at``."""
        await self._records.rejudgements.release(
            self._job.id, owner=self.owner, available_at=at, count_attempt=counted, error=error, code=code
        )
