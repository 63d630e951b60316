"""The admission of uploads: limits of this process, its disk and the queue, and the ``pre_receive`` hooks."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from mediagate.errors import InvalidParameter, QueueFull, StorageUnavailable, TooManyUploads
from mediagate.intake.backlog import Backlog
from mediagate.intake.places import Places
from mediagate.kernel import Incoming
from mediagate.parts import Parts
from mediagate.values import Job

MEASURE_EVERY_S = 1.0
"""Interval of measuring the queue's depth, in seconds; this process adds its own uploads in between."""
FREED = 20
"""Clients refused by a full queue retry when a 20th of it is processed, so that many of them find room."""


@dataclass(slots=True)
class Admitted:
    """An admitted upload; ``job`` is the job recorded for it, if any."""

    job: Job | None = None


@dataclass(eq=False, slots=True)
class _Room:
    """Disk space reserved for an upload: ``size`` minus the received bytes of the request's body."""

    size: int
    request: Incoming | None

    @property
    def left(self) -> int:
        return max(0, self.size - (self.request.received if self.request else 0))


class Admission:
    """Admits uploads before their bodies are read."""

    def __init__(self, parts: Parts, backlog: Backlog, spool_dir: Path) -> None:
        self._parts = parts
        self._backlog = backlog
        self._spool_dir = spool_dir
        self._places = Places(
            parts.settings.max_uploads,
            share=parts.settings.address_share,
            refusal=TooManyUploads,
            full="too many concurrent uploads; try again in a moment",
            shared="too many concurrent uploads from your address; wait until one of them ends",
        )
        self._rooms: set[_Room] = set()
        self._largest = max(source.max_bytes for source in parts.sources.values())
        self._depth = 0
        self._taken_in = 0
        self._measured_at = float("-inf")
        self._measuring = asyncio.Lock()

    @asynccontextmanager
    async def admit(
        self, request: Incoming | None, *, size: int | None = None, files: int = 1
    ) -> AsyncIterator[Admitted]:
        """Admit an upload of ``size`` bytes, by default the declared length, for the length of the block.

        A body without a length counts as the largest size that any source allows, for each of its ``files``. A call
        from Python has no request and no body, and runs no hooks. ``on_received`` hooks run at the end, also after a
        refusal by a hook.

        Raises ``TooManyUploads``, ``StorageUnavailable``, ``QueueFull``, ``RecordsUnavailable`` and the errors of
        ``pre_receive`` hooks.
        """
        if size is None:
            declared = 0 if request is None else request.declared
            size = self._largest * files if declared is None else declared
        async with self.slot(size, request, files=files):
            admitted = Admitted()
            try:
                if request is not None:
                    await self._parts.hooks.run("pre_receive", request, getattr(request.state, "principal", None))
                yield admitted
            finally:
                if admitted.job is not None:
                    self.count()
                if request is not None:
                    await self._parts.hooks.run("on_received", request, request.received, admitted.job)

    @asynccontextmanager
    async def slot(self, size: int, request: Incoming | None = None, *, files: int = 1) -> AsyncIterator[None]:
        """Hold a place, disk space and room in the queue for a body of ``size`` bytes within the block.

        Raises ``TooManyUploads``, ``StorageUnavailable``, ``QueueFull``, ``RecordsUnavailable``.
        """
        host = request.client.host if request is not None and request.client else None
        with self._places.place(host, request), self.room(size, request, files=files):
            await self.check_queue(others=len(self._places) - 1)
            yield

    @contextmanager
    def room(self, size: int, request: Incoming | None = None, *, files: int = 1) -> Iterator[None]:
        """Reserve ``size`` bytes of the spool's disk within the block, in addition to all other reservations.

        Bytes already received from ``request`` no longer count. Raises ``StorageUnavailable``.
        """
        room = _Room(min(size, self._largest * files), request)
        self._check_disk(room.size)
        self._rooms.add(room)
        try:
            yield
        finally:
            self._rooms.discard(room)

    async def check_queue(self, *, others: int = 0) -> None:
        """Raise ``QueueFull`` when this upload and ``others`` that are being received exceed the limit of the queue."""
        limit = self._parts.settings.max_queue
        if not limit:
            return
        async with self._measuring:
            if time.monotonic() - self._measured_at >= MEASURE_EVERY_S:
                # Reset before the query, which may miss uploads that are accepted meanwhile.
                self._taken_in = 0
                self._depth = await self._parts.records.queue_depth()
                self._measured_at = time.monotonic()
        depth = self._depth + self._taken_in + others
        if depth >= limit:
            wait_s = await self._backlog.seconds_until_shorter(depth - limit + 1 + limit // FREED, depth=depth)
            raise QueueFull("the queue is full; send the upload again later", retry_after_s=wait_s)

    async def check_batch(self, jobs: int) -> None:
        """Raise ``QueueFull`` if this many jobs exceed the limit of the queue, ``InvalidParameter`` if always."""
        limit = self._parts.settings.max_queue
        if limit and jobs > limit:
            raise InvalidParameter(f"jobs: {jobs:,} never fit into the queue; send at most {limit:,}")
        await self.check_queue(others=jobs - 1)

    def count(self, jobs: int = 1) -> None:
        """Count recorded jobs until the next measurement includes them."""
        self._taken_in += jobs

    def _check_disk(self, size: int) -> None:
        try:
            free = shutil.disk_usage(self._spool_dir).free
        except FileNotFoundError:  # the folder was removed; the upload creates it again
            return
        if free < size + sum(room.left for room in self._rooms):
            raise StorageUnavailable("not enough disk space to receive this upload; try again later")
