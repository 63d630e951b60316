"""A cache of recently read finished jobs, so that reading one again costs no query."""

from __future__ import annotations

import time
from collections import OrderedDict

from mediagate.values import JobState

LIMIT = 4096
"""How many states are cached; the least recently used one is evicted."""
MAX_AGE_S = 10.0
"""How long a state is cached, and so how late this process notices that another one deleted or retried a job."""


class Answers:
    """Terminal states by job id; only reads and changes of this process update it."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[float, JobState]] = OrderedDict()
        self.drops = 0
        """How many states were dropped: note it before a read, and pass it to ``keep``."""

    def get(self, job_id: str) -> JobState | None:
        """Return the cached state of a job, ``None`` if there is none or it is too old."""
        kept = self._kept.get(job_id)
        if kept is None:
            return None
        if time.monotonic() - kept[0] >= MAX_AGE_S:
            del self._kept[job_id]
            return None
        self._kept.move_to_end(job_id)
        return kept[1]

    def keep(self, state: JobState, *, drops: int) -> None:
        """Cache a state if it is terminal and nothing was dropped since it was read, since it might be outdated."""
        if not state.job.status.terminal or drops != self.drops:
            return
        self._kept[state.job.id] = (time.monotonic(), state)
        self._kept.move_to_end(state.job.id)
        if len(self._kept) > LIMIT:
            self._kept.popitem(last=False)

    def drop(self, job_id: str) -> None:
        """Drop the state of a job that was changed."""
        self.drops += 1
        self._kept.pop(job_id, None)
