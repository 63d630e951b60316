"""``check_turns`` and ``check_identity`` name the promise that broken records break."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from mediagate.records import Identity, MemoryRecords
from mediagate.testing.identity import check_identity
from mediagate.testing.turns import check_turns
from mediagate.values import Job, JobStatus, utcnow

pytestmark = pytest.mark.anyio


class KnowsNoPriority(MemoryRecords):
    async def claimable(self, *, now: datetime, limit: int) -> Sequence[str]:
        ids = await super().claimable(now=now, limit=10_000)
        return sorted(ids, key=lambda job_id: self._jobs[job_id].available_at or now)[:limit]


class FirstComeFirstServed(MemoryRecords):
    def _insert(self, job: Job) -> None:
        super()._insert(job)
        self._jobs[job.id] = replace(self._jobs[job.id], turn=len(self._jobs))


class LetsNewcomersGoFirst(MemoryRecords):
    def _insert(self, job: Job) -> None:
        super()._insert(job)
        if job.owner_id not in (None, "ann"):
            self._jobs[job.id] = replace(self._jobs[job.id], turn=0)


class ForgetsTheirTurns(MemoryRecords):
    async def release(self, job_id: str, **how: Any) -> bool:
        done = await super().release(job_id, **how)
        self._jobs[job_id] = replace(self._jobs[job_id], turn=10_000)
        return done


class HasOneTurnForAll(MemoryRecords):
    def _insert(self, job: Job) -> None:
        super()._insert(job)
        self._jobs[job.id] = replace(self._jobs[job.id], turn=self._turns.begun.get(job.priority, 0) + 1)


class ForgetsWhoWaits(MemoryRecords):
    async def forget(self, *, now: datetime) -> int:
        self._turns.last.clear()
        return 0


class ForgetsItsTime(MemoryRecords):
    async def forget(self, *, now: datetime) -> int:
        if not any(not job.status.terminal and job.attempts == 0 for job in self._jobs.values()):
            self._turns.last.clear()
            self._turns.begun.clear()
        return 0


class CountsNoCancelledJobs(MemoryRecords):
    async def cancel(self, job_id: str, **how: Any) -> Job | None:
        done = await super().cancel(job_id, **how)
        begun = [job for job in self._jobs.values() if job.started_at and job.status is not JobStatus.CANCELLED]
        self._turns.begun = {job.priority: max(j.turn for j in begun if j.priority == job.priority) for job in begun}
        return done


@pytest.mark.parametrize(
    ("broken", "promise"),
    [
        (KnowsNoPriority, "by priority, the lowest first"),
        (FirstComeFirstServed, "must come before the next job of an owner with many"),
        (LetsNewcomersGoFirst, "must not be starved by new owners"),
        (ForgetsTheirTurns, "must keep the job's turn"),
        (HasOneTurnForAll, "must come before the next|must keep their order|distinct turns"),
        (ForgetsWhoWaits, "must keep the last turn of an owner with waiting jobs"),
        (ForgetsItsTime, "must come after the claimed ones"),
        (CountsNoCancelledJobs, r"above the highest claimed one, also after cancel\(\)"),
    ],
)
async def test_check_turns_names_the_broken_promise(broken: type[MemoryRecords], promise: str) -> None:
    with pytest.raises(AssertionError, match=promise):
        await check_turns(broken(), utcnow())


class IsNew(MemoryRecords):
    async def identity(self) -> Identity:
        return MemoryRecords()._identity


class StandsStill(MemoryRecords):
    async def next_generation(self, *, above: int = 0) -> Identity:
        return await self.identity()


class CountsDown(MemoryRecords):
    async def next_generation(self, *, above: int = 0) -> Identity:
        self._identity = replace(self._identity, generation=above + 1)
        return self._identity


@pytest.mark.parametrize(
    ("broken", "promise"),
    [
        (IsNew, "must be stable"),
        (StandsStill, "must count up"),
        (CountsDown, "must never count down"),
    ],
)
async def test_check_identity_names_the_broken_promise(broken: type[MemoryRecords], promise: str) -> None:
    with pytest.raises(AssertionError, match=promise):
        await check_identity(broken(), utcnow())
