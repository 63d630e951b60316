"""The turns of jobs in memory."""

from __future__ import annotations

from dataclasses import replace

from mediagate.records.turns import APART, share_of
from mediagate.values import Job, JobStatus


class MemoryTurns:
    """The part of ``MemoryRecords`` that takes jobs in, each with its turn."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}
        self._turns: dict[tuple[int, str], int] = {}
        self._begun: dict[int, int] = {}
        """The highest turn that was claimed, by priority."""

    def _forget_turns(self) -> None:
        waiting = {job.priority for job in self._jobs.values() if job.status is JobStatus.PENDING}
        over = [at for at, turn in self._turns.items() if turn <= self._begun.get(at[0], 0) or at[0] not in waiting]
        for at in over:
            del self._turns[at]

    def _insert(self, job: Job) -> None:
        at, next_turn = (job.priority, share_of(job)), self._begun.get(job.priority, 0) + 1
        self._turns[at] = max(self._turns[at] + APART, next_turn) if at in self._turns else next_turn
        self._jobs[job.id] = replace(job, available_at=job.available_at or job.created_at, turn=self._turns[at])

    def _begin(self, job: Job) -> None:
        self._begun[job.priority] = max(self._begun.get(job.priority, 0), job.turn)
