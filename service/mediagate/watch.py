"""Waiting for jobs: all clients of a process that wait share one query per tick, however many they are."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict

from mediagate.errors import Unavailable
from mediagate.records import Records

log = logging.getLogger("mediagate.watch")

TICK_S = 0.5
"""How often the records are asked about jobs that another process may have moved."""


class Watch:
    """Wakes whoever waits for a job when it changes, here (at once) or in another process (within a tick)."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._ticker: asyncio.Task[None] | None = None

    def changed(self, job_id: str) -> None:
        """Wake everybody who waits for this job."""
        for event in self._waiting.get(job_id, ()):
            event.set()

    async def change(self, job_id: str, *, timeout_s: float) -> bool:
        """Wait until the job may have changed; ``False`` when the time ran out first."""
        event = asyncio.Event()
        self._waiting[job_id].add(event)
        if self._ticker is None or self._ticker.done():
            self._ticker = asyncio.create_task(self._tick())
        try:
            async with asyncio.timeout(timeout_s):
                await event.wait()
        except TimeoutError:
            return False
        finally:
            self._waiting[job_id].discard(event)
            if not self._waiting[job_id]:
                del self._waiting[job_id]
        return True

    def wake(self) -> None:
        """Wake everybody who waits for any job."""
        for job_id in list(self._waiting):
            self.changed(job_id)

    async def close(self) -> None:
        """Wake everybody and stop asking."""
        self.wake()
        if self._ticker is not None:
            self._ticker.cancel()
            await asyncio.gather(self._ticker, return_exceptions=True)
            self._ticker = None

    async def _tick(self) -> None:
        while self._waiting:
            await asyncio.sleep(TICK_S)
            try:
                statuses = await self._records.statuses(list(self._waiting))
            except Unavailable as exc:
                log.warning("cannot ask for jobs that are waited for: %s", exc)
                continue
            for job_id in list(self._waiting):
                status = statuses.get(job_id)
                if status is None or status.terminal:
                    self.changed(job_id)
