"""Whether an upload may come in: room in this process, on its disk and in the queue, and what the plugins say."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from mediagate.errors import QueueFull, StorageUnavailable, TooManyUploads
from mediagate.intake.backlog import Backlog
from mediagate.intake.places import Places
from mediagate.kernel import Incoming
from mediagate.parts import Parts
from mediagate.values import Job

MEASURE_EVERY_S = 1.0
"""How often the records are asked for the depth of the queue; what this process takes in between is added."""
FREED = 20
"""Who finds the queue full is told to come back when a 20th of it has been worked off, so that many find room."""


@dataclass(slots=True)
class Admitted:
    """An upload that was let in; ``job`` is what was recorded for it, if anything."""

    job: Job | None = None


@dataclass(eq=False, slots=True)
class _Room:
    """Bytes that are on their way to the disk: ``size``, less what has come of a request's body."""

    size: int
    request: Incoming | None

    @property
    def left(self) -> int:
        return max(0, self.size - (self.request.received if self.request else 0))


class Admission:
    """Lets uploads in, before their bodies are read."""

    def __init__(self, parts: Parts, backlog: Backlog, spool_dir: Path) -> None:
        self._parts = parts
        self._backlog = backlog
        self._spool_dir = spool_dir
        self._places = Places(
            parts.settings.max_uploads,
            share=parts.settings.address_share,
            refusal=TooManyUploads,
            full="this server receives as many uploads as it can; try again",
            shared="your address sends as many uploads as one may at once; let one of them end first",
        )
        self._rooms: set[_Room] = set()
        self._largest = max(source.max_bytes for source in parts.sources.values())
        self._depth = 0
        self._taken_in = 0
        self._measured_at = float("-inf")
        self._measuring = asyncio.Lock()

    @asynccontextmanager
    async def admit(self, request: Incoming | None, *, size: int | None = None) -> AsyncIterator[Admitted]:
        """Let an upload in for the length of the block, which receives it: as many bytes as declared, or ``size``.

        A body that says nothing of its length is taken for the largest that any source allows. A call from Python has
        no request, no body, and runs no hooks.

        Raises ``TooManyUploads``, ``StorageUnavailable``, ``QueueFull``, ``RecordsUnavailable``, and what a
        ``pre_receive`` hook refuses with. ``on_received`` hooks run at the end, also after a refusal by a hook.
        """
        if size is None:
            declared = 0 if request is None else request.declared
            size = self._largest if declared is None else declared
        async with self.slot(size, request):
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
    async def slot(self, size: int, request: Incoming | None = None) -> AsyncIterator[None]:
        """Make sure that there is room for a body of so many bytes, and keep it for the length of the block.

        Raises ``TooManyUploads``, ``StorageUnavailable``, ``QueueFull``, ``RecordsUnavailable``.
        """
        host = request.client.host if request is not None and request.client else None
        with self._places.place(host, request), self.room(size, request):
            await self.check_queue(besides=len(self._places) - 1)
            yield

    @contextmanager
    def room(self, size: int, request: Incoming | None = None) -> Iterator[None]:
        """Keep so many bytes of the spool's disk for the length of the block, besides those of all other uploads.

        What has come of ``request`` is on the disk already. Raises ``StorageUnavailable``.
        """
        room = _Room(min(size, self._largest), request)
        self._check_disk(room.size)
        self._rooms.add(room)
        try:
            yield
        finally:
            self._rooms.discard(room)

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
            wait_s = await self._backlog.seconds_until_shorter(depth - limit + 1 + limit // FREED, depth=depth)
            raise QueueFull("too many uploads wait to be worked on; send it again later", retry_after_s=wait_s)

    def count(self) -> None:
        """Note that a job was recorded, until the next measurement finds it."""
        self._taken_in += 1

    def _check_disk(self, size: int) -> None:
        try:
            free = shutil.disk_usage(self._spool_dir).free
        except FileNotFoundError:  # somebody removed the folder; the upload makes it anew
            return
        if free < size + sum(room.left for room in self._rooms):
            raise StorageUnavailable("there is no space left to receive this upload; try again later")
