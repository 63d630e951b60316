"""The turns of jobs in memory."""

from __future__ import annotations

from collections.abc import Collection

from mediagate.records.turns import APART, share_of
from mediagate.values import Job


class Turns:
    """The last turn of each share, and the highest claimed turn of each priority."""

    def __init__(self) -> None:
        self.last: dict[tuple[int, str], int] = {}
        """By priority and share."""
        self.begun: dict[int, int] = {}
        """The highest claimed turn, by priority."""

    def take(self, job: Job) -> int:
        """Return the turn of a new job."""
        at, turn = (job.priority, share_of(job)), self.begun.get(job.priority, 0) + 1
        self.last[at] = max(self.last[at] + APART, turn) if at in self.last else turn
        return self.last[at]

    def begin(self, job: Job) -> None:
        """Record that a job was claimed."""
        self.begun[job.priority] = max(self.begun.get(job.priority, 0), job.turn)

    def forget(self, waiting: Collection[int]) -> None:
        """Delete last turns that no longer affect new jobs; ``waiting`` are the priorities with waiting jobs."""
        self.last = {at: turn for at, turn in self.last.items() if turn > self.begun.get(at[0], 0) and at[0] in waiting}

    def leave(self, share: str) -> None:
        """Delete the last turns of a share."""
        self.last = {at: turn for at, turn in self.last.items() if at[1] != share}
