"""How long a live job will still take: from the queue, and from jobs like it that completed of late."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import defaultdict

from mediagate.errors import Unavailable
from mediagate.intake import Backlog
from mediagate.records import Records
from mediagate.values import Job, JobStatus

log = logging.getLogger("mediagate.pace")

LIKE = 100
"""How many of the jobs that were completed last are looked at."""
BATCH = 20
"""How many of them are read at once."""
MOST_CHARACTERS = 1_000_000
"""Of the steps and the data of pipelines. No further batch is read if those that were read have more."""
MEASURE_EVERY_S = 10.0

Likeness = tuple[str, str, str | None]


class Forecast:
    """Estimates when jobs end; queries the records on demand, at most every ``MEASURE_EVERY_S``."""

    def __init__(self, records: Records, backlog: Backlog) -> None:
        self._records = records
        self._backlog = backlog
        self._means_s: dict[Likeness, float] = {}
        self._measured_at = float("-inf")
        self._measuring = asyncio.Lock()

    async def seconds_left(self, job: Job) -> int | None:
        """Return the seconds until the end of a job, rounded up.

        ``None`` if it has ended, or no job of its kind and source, for a pipeline also with its steps, was completed of
        late.
        """
        if job.status.terminal:
            return None
        mean_s = (await self._measured()).get(_likeness(job))
        if mean_s is None:
            return None
        # By its progress and not by the clock: the answer stays the same, and cacheable, until something happens.
        left_s = mean_s * (100 - job.progress) / 100
        return math.ceil(await self._backlog.seconds_until_turn(job) + left_s)

    async def _measured(self) -> dict[Likeness, float]:
        async with self._measuring:
            if time.monotonic() - self._measured_at >= MEASURE_EVERY_S:
                try:
                    self._means_s = _means(await self._completed())
                except Unavailable as exc:
                    log.warning("could not measure completed jobs: %s", exc)
                self._measured_at = time.monotonic()
        return self._means_s

    async def _completed(self) -> list[Job]:
        """Return the jobs that were completed last."""
        jobs: list[Job] = []
        cursor: str | None = None
        while len(jobs) < LIKE and sum(map(_characters, jobs)) <= MOST_CHARACTERS:
            page = await self._records.list_jobs(status=JobStatus.COMPLETE, limit=BATCH, cursor=cursor)
            jobs += [state.job for state in page.items]
            cursor = page.next_cursor
            if cursor is None:
                break
        return jobs


def _characters(job: Job) -> int:
    return len(str(job.spec)) + len(str(job.result))


def _likeness(job: Job) -> Likeness:
    return job.kind, job.source_type, job.spec.recipe_hash if job.spec else None


def _means(jobs: list[Job]) -> dict[Likeness, float]:
    taken: dict[Likeness, list[float]] = defaultdict(list)
    for job in jobs:
        if job.started_at is not None and job.finished_at is not None:
            taken[_likeness(job)].append((job.finished_at - job.started_at).total_seconds())
    return {likeness: sum(seconds) / len(seconds) for likeness, seconds in taken.items()}
