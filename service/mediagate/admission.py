"""Whether an upload may come in: room in this process, on its disk and in the queue, and what the plugins say."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from mediagate.errors import QueueFull, StorageUnavailable, TooManyUploads
from mediagate.media import Job
from mediagate.pace import Pace
from mediagate.parts import Parts
from mediagate.uploads import Incoming

MEASURE_EVERY_S = 1.0
"""How often the records are asked for the depth of the queue; what this process takes in between is added."""
FREED = 20
"""Who finds the queue full is told to come back when a 20th of it has been worked off, so that many find room."""
PLACE_S = 2.0
"""When to ask again for a place among the uploads that are being received: an upload takes about that long."""


@dataclass(slots=True)
class Visit:
    """An upload that was let in; ``job`` is what was recorded for it, if anything."""

    job: Job | None = None


class Admission:
    """Lets uploads in, before their bodies are read."""

    def __init__(self, parts: Parts, pace: Pace, spool_dir: Path) -> None:
        self._parts = parts
        self._pace = pace
        self._spool_dir = spool_dir
        self._receiving = 0
        self._depth = 0
        self._taken_in = 0
        self._measured_at = float("-inf")
        self._measuring = asyncio.Lock()

    @asynccontextmanager
    async def visit(self, request: Incoming, *, size: int | None = None) -> AsyncIterator[Visit]:
        """Let an upload in for the length of the block, which receives it: as many bytes as declared, or ``size``.

        Raises ``TooManyUploads``, ``StorageUnavailable``, ``QueueFull``, ``RecordsUnavailable``, and what a
        ``pre_receive`` hook refuses with. ``on_received`` hooks run at the end, also after a refusal by a hook.
        """
        async with self.place(size or request.declared or 0):
            visit = Visit()
            try:
                await self._parts.hooks.run("pre_receive", request, getattr(request.state, "principal", None))
                yield visit
            finally:
                if visit.job is not None:
                    self.count()
                await self._parts.hooks.run("on_received", request, request.received, visit.job)

    @asynccontextmanager
    async def place(self, size: int) -> AsyncIterator[None]:
        """Make sure that there is room for a body of so many bytes, and keep it for the length of the block.

        Raises ``TooManyUploads``, ``StorageUnavailable``, ``QueueFull``, ``RecordsUnavailable``.
        """
        if self._receiving >= self._parts.settings.max_uploads:
            raise TooManyUploads("this server receives as many uploads as it can; try again", retry_after_s=PLACE_S)
        self._receiving += 1
        try:
            self._check_disk(size)
            await self.check_queue(besides=self._receiving - 1)
            yield
        finally:
            self._receiving -= 1

    async def check_queue(self, *, besides: int = 0) -> None:
        """Raise ``QueueFull`` when with this one, and so many others on their way, there are more than may wait."""
        limit = self._parts.settings.max_queue
        if not limit:
            return
        async with self._measuring:
            if time.monotonic() - self._measured_at >= MEASURE_EVERY_S:
                # Before the question: one that is taken in meanwhile may be missing from the answer.
                self._taken_in = 0
                self._depth = await self._parts.records.queue_depth()
                self._measured_at = time.monotonic()
        depth = self._depth + self._taken_in + besides
        if depth >= limit:
            wait_s = await self._pace.shorter_by_s(depth - limit + 1 + limit // FREED, depth=depth)
            raise QueueFull("too many uploads wait to be worked on; send it again later", retry_after_s=wait_s)

    def count(self) -> None:
        """Note that a job was recorded, until the next measurement finds it."""
        self._taken_in += 1

    def _check_disk(self, size: int) -> None:
        try:
            free = shutil.disk_usage(self._spool_dir).free
        except FileNotFoundError:  # somebody removed the folder; the upload makes it anew
            return
        largest = max(source.max_bytes for source in self._parts.sources.values())
        if free < min(size, largest):
            raise StorageUnavailable("there is no space left to receive this upload; try again later")
