"""Polling advice: when to ask for a job again, estimated from the measured queue."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from datetime import timedelta

from mediagate.errors import Unavailable
from mediagate.records import Records
from mediagate.values import Job, JobStatus

log = logging.getLogger("mediagate.pace")

MEASURE_EVERY_S = 2.0
LONGEST_MS = 30_000


class Backlog:
    """Estimates when clients should poll again; queries the records on demand, at most every ``MEASURE_EVERY_S``."""

    def __init__(self, records: Records, *, least_ms: int) -> None:
        self._records = records
        self._least_ms = least_ms
        self._lag = timedelta()
        self._measured_at = float("-inf")
        self._measuring = asyncio.Lock()

    async def poll_after_ms(self, job: Job) -> int:
        """Return the delay until the next poll of a job, in milliseconds: until its turn, at most 30 s."""
        if job.status is not JobStatus.PENDING:
            return self._least_ms
        left_ms = math.floor(await self.seconds_until_turn(job) * 1000)
        return max(self._least_ms, min(left_ms, LONGEST_MS))

    async def seconds_until_turn(self, job: Job) -> float:
        """Return how long a waiting job will still wait; 0 for any other job, and while the records are unavailable."""
        if job.status is not JobStatus.PENDING:
            return 0.0
        try:
            waited = await self._records.now() - (job.available_at or job.created_at)
        except Unavailable:
            return 0.0
        return max(0.0, (await self._measured_lag() - waited).total_seconds())

    async def seconds_until_shorter(self, jobs: int, *, depth: int) -> float:
        """Return the seconds until a queue of this depth has shrunk by ``jobs``, between 1 s and 30 s.

        The waiting jobs arrived while the oldest of them waited, so processing them takes about as long
        (Little's law, https://doi.org/10.1287/opre.9.3.383).
        """
        lag_s = (await self._measured_lag()).total_seconds()
        return min(max(1.0, lag_s * jobs / depth), LONGEST_MS / 1000)

    async def _measured_lag(self) -> timedelta:
        """Return the waiting time of the next job in the queue."""
        async with self._measuring:
            if time.monotonic() - self._measured_at >= MEASURE_EVERY_S:
                try:
                    now, oldest = await self._records.now(), await self._records.oldest_waiting()
                except Unavailable as exc:
                    log.warning("could not measure the queue: %s", exc)
                else:
                    self._lag = now - oldest if oldest else timedelta()
                self._measured_at = time.monotonic()
        return self._lag
