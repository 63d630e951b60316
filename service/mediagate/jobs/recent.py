"""Finished jobs that were read a moment ago, so that asking for one again costs no query."""

from __future__ import annotations

import time
from collections import OrderedDict

from mediagate.values import JobState

LIMIT = 4096
"""How many are kept; the one that was asked for longest ago makes room."""
MAX_AGE_S = 10.0
"""How long one is kept: after that, what another process did (deleted, tried again) shows here too."""


class Answers:
    """Terminal states by job id; only what this process reads and changes is kept in step."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[float, JobState]] = OrderedDict()
        self.drops = 0
        """How often one was dropped: note it before reading, and give it to ``keep``."""

    def get(self, job_id: str) -> JobState | None:
        """Return the state of a job that is kept and young enough."""
        kept = self._kept.get(job_id)
        if kept is None:
            return None
        if time.monotonic() - kept[0] >= MAX_AGE_S:
            del self._kept[job_id]
            return None
        self._kept.move_to_end(job_id)
        return kept[1]

    def keep(self, state: JobState, *, drops: int) -> None:
        """Keep a state if it is terminal and nothing was dropped since it was read, for it might be what was."""
        if not state.job.status.terminal or drops != self.drops:
            return
        self._kept[state.job.id] = (time.monotonic(), state)
        self._kept.move_to_end(state.job.id)
        if len(self._kept) > LIMIT:
            self._kept.popitem(last=False)

    def drop(self, job_id: str) -> None:
        """Forget a job that was changed."""
        self.drops += 1
        self._kept.pop(job_id, None)
