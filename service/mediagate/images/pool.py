"""The image processes: hostile bytes are decoded only in them, under limits of time and memory.

They can access only their pipe and the files that they may read, and they return only results and mediagate's errors.
Each has its own pipe, so that a process that crashes, hangs or outgrows its memory fails its own image only.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from mediagate.config import Source
from mediagate.errors import (
    ConfigError,
    ImageCrashed,
    ImageReadersBusy,
    ImageTimeout,
    ShuttingDown,
    TooManyUploads,
    UndecodableImage,
)
from mediagate.images import calls
from mediagate.images.document_wire import receive_unlocked
from mediagate.images.forkserver import ForkServer
from mediagate.images.group import Group
from mediagate.images.pipeline_wire import receive_produced
from mediagate.images.process import Request, Setup
from mediagate.images.sandbox import Readable, Walls, readable
from mediagate.images.sent_operations import pickled, pickled_moderator, reads_of_operations, wear_of
from mediagate.images.wire import Pipe, receive_info, receive_judged, receive_rendered
from mediagate.moderation import Moderator, reads_of
from mediagate.observe import Observer
from mediagate.values import WHOLE, Framing, ImageInfo, Produced, Rendered, StepEnd

if TYPE_CHECKING:
    from mediagate.images.operations import Operations, Recipe

T = TypeVar("T")

log = logging.getLogger("mediagate")
READERS = 2
"""Processes that read headers."""
READER_WAIT_S = 5.0
"""How long a header waits for a free reader."""
PROBE_S, PROBE_CPU_S = 5.0, 2.0
"""Limits of wall clock and CPU time of reading a header; the largest accepted files take 0.2 s."""
NOBODY = Observer()


class ImagePool:
    """Image processes: ``processes`` that render, and two that only read headers, so that uploads never wait for
    rendering.

    One image may add ``memory_bytes`` to its process and take ``timeout_s`` of wall clock. With ``processes=0`` nothing
    can be rendered. ``decoders`` is the number of further processes that decode uploads before they are accepted.
    ``private`` are folders that no process may read, even if they are on Python's path. ``server`` is a running fork
    server to use. ``operations`` are those of pipelines; without them the processes run none.
    """

    def __init__(
        self,
        *,
        processes: int,
        decoders: int = 0,
        memory_bytes: int,
        timeout_s: float,
        moderator: Moderator | None,
        private: Sequence[Path] = (),
        server: ForkServer | None = None,
        observer: Observer = NOBODY,
        operations: Operations | None = None,
    ) -> None:
        self._processes = processes
        self._decoders = decoders
        self._memory_bytes = memory_bytes
        self._timeout_s = timeout_s
        self._moderator = moderator
        self._private = private
        self._server = server
        self._observer = observer
        self._operations = operations
        self.walls: Walls | None = None
        """The walls around the processes; known once they have been started."""
        self._probing: Group | None = None
        self._decoding: Group | None = None
        self._rendering: Group | None = None

    async def open(self) -> None:
        """Start the processes and load the model in each. Idempotent.

        Raises ``ConfigError`` when Pillow is too old, or the moderator cannot be sent to a process or prepared there.
        """
        if self._probing is not None:
            return
        moderator, operations = pickled_moderator(self._moderator), pickled(self._operations)
        self._server = self._server or ForkServer()
        readable, moderators = await asyncio.to_thread(self._readable)
        without_moderator = Setup(self._memory_bytes, readable)
        self._probing = Group(self._server, [without_moderator] * READERS, self._observer)
        if self._decoders:
            self._decoding = Group(self._server, [without_moderator] * self._decoders, self._observer)
        if self._processes:
            own_core = self._processes <= len(os.sched_getaffinity(0))
            self._rendering = Group(
                self._server,
                [
                    Setup(
                        self._memory_bytes,
                        moderators,
                        moderator,
                        operations,
                        core=number if own_core else None,
                        cores=self._processes,
                    )
                    for number in range(self._processes)
                ],
                self._observer,
            )
        try:
            walls = await asyncio.gather(*(group.start() for group in self._groups))
        except BaseException:
            await self.close()
            raise
        self.walls = walls[-1]
        if self.walls.missing:
            log.warning("image processes are not fully confined; missing: %s", self.walls.missing)

    def _readable(self) -> tuple[tuple[Readable, ...], tuple[Readable, ...]]:
        """Return the readable paths of processes without and with a moderator."""
        return readable((), self._private), readable(
            (*reads_of(self._moderator), *reads_of_operations(self._operations)), self._private
        )

    async def close(self) -> None:
        """End the processes; pending calls raise ``ShuttingDown``. Idempotent."""
        groups = self._groups
        self._probing = self._decoding = self._rendering = None
        await asyncio.gather(*(asyncio.to_thread(group.close) for group in groups))
        server, self._server = self._server, None
        if server is not None:
            await asyncio.to_thread(server.close)

    @property
    def _groups(self) -> list[Group]:
        return [group for group in (self._probing, self._decoding, self._rendering) if group]

    async def probe(self, path: Path, source: Source, password: str | None = None) -> ImageInfo:
        """Return the information in a file's header, checked against the limits of its source.

        ``password`` is that of an encrypted document. Raises ``UnsupportedType``, ``UndecodableImage``,
        ``ImageTooLarge``, ``AnimationRefused``, ``PasswordRequired``; ``ImageReadersBusy`` when no process is free in
        time, ``ShuttingDown`` when the pool is not open.
        """
        request = Request(calls.probe, PROBE_S, (source, False, password), with_file=True, cpu_s=PROBE_CPU_S)
        return await self._read_file(request, partial(receive_info, source=source), path)

    async def unlock(self, path: Path, source: Source, password: str) -> bytes:
        """Return an encrypted document without its encryption; raises like ``probe``."""
        request = Request(calls.unlock, PROBE_S, (source, password), with_file=True, cpu_s=PROBE_CPU_S)
        return await self._read_file(request, partial(receive_unlocked, source=source), path)

    async def _read_file(self, request: Request, read: Callable[[Pipe], T], path: Path) -> T:
        group = _opened(self._probing)
        try:
            return await group.run(request, read, path, wait_s=READER_WAIT_S, again=(ImageCrashed, ImageTimeout))
        except TimeoutError:
            raise ImageReadersBusy("too many pictures are being read; send it again in a moment") from None
        except ImageCrashed as exc:
            raise UndecodableImage("the file's header cannot be read; export it again") from exc
        except ImageTimeout as exc:
            raise ImageReadersBusy("the file's header could not be read in time; send it again") from exc

    async def check(self, path: Path, source: Source) -> ImageInfo:
        """Decode a whole file and discard the pixels.

        Waiting for a decoder and decoding may each take the time limit of an image. Raises like ``probe``, and
        ``TooManyUploads`` when no decoder becomes free in time.
        """
        group = _opened(self._decoding)
        request = Request(calls.probe, self._timeout_s, (source, True), with_file=True)

        read = partial(receive_info, source=source)
        try:
            return await group.run(request, read, path, wait_s=self._timeout_s, again=(ImageCrashed,))
        except TimeoutError:
            raise TooManyUploads(
                "too many pictures are being decoded; try again later", retry_after_s=self._timeout_s
            ) from None
        except ImageTimeout as exc:
            raise UndecodableImage("the picture takes too long to decode; export it again, or smaller") from exc
        except ImageCrashed as exc:
            raise UndecodableImage("the picture cannot be decoded; export it again") from exc

    async def render(
        self,
        data: bytes,
        source: Source,
        *,
        framing: Framing = WHOLE,
        previews: int = 0,
        told: Callable[[str], object] = lambda _: None,
    ) -> Rendered:
        """Render a file: verdict, variants, cleaned original, and JPEGs of the judged pictures if ``previews`` is set.

        ``told`` is called in the event loop when "decode" and "judge" are done, while the rest goes on. Raises
        ``UnsupportedType``, ``UndecodableImage``, ``ImageTooLarge``, ``AnimationRefused``, ``ModerationFailed``,
        ``ImageCrashed`` and ``ImageTimeout``; ``ShuttingDown`` when the pool is not open, or closes meanwhile.
        """
        loop = asyncio.get_running_loop()

        def report(stage: str) -> None:
            loop.call_soon_threadsafe(told, stage)

        receive = partial(receive_rendered, told=report)
        read = self._read(receive, source, previews)
        return await self._render(data, source, framing, previews, read, files=True)

    async def judge(self, data: bytes, source: Source, *, framing: Framing = WHOLE, previews: int = 0) -> Rendered:
        """Judge a file like ``render``, without making files of it; raises like ``render``."""
        read = self._read(receive_judged, source, previews)
        return await self._render(data, source, framing, previews, read, files=False)

    def _read(self, receive: Callable[..., Rendered], source: Source, previews: int) -> Callable[..., Rendered]:
        return partial(receive, source=source, memory_bytes=self._memory_bytes, previews=previews > 0)

    async def _render(
        self,
        data: bytes,
        source: Source,
        framing: Framing,
        previews: int,
        read: Callable[..., Rendered],
        *,
        files: bool,
    ) -> Rendered:
        if not self._processes:
            raise ConfigError("rendering is unavailable because worker=False; open the gate with a worker")
        request = Request(calls.render, self._timeout_s, (data, source, framing, self._timeout_s, previews, files))
        return await _opened(self._rendering).run(request, read)

    async def run_pipeline(
        self,
        data: bytes,
        recipe: Recipe,
        source: Source,
        *,
        page: int | None = None,
        inputs: Mapping[str, bytes] | None = None,
        previews: int = 0,
        judged: Callable[[], None] = lambda: None,
        told: Callable[[StepEnd], None] = lambda _: None,
    ) -> Produced:
        """Run a recipe on a picture, or on a page of a document: verdicts, saved files and data.

        ``inputs`` are further files by name. In the event loop, ``judged`` is called when all inputs are allowed, and
        ``told`` with the end of each step. Raises like ``render``, ``PasswordRequired`` and ``OperationFailed``; an
        error that is the fault of a step names it.
        """
        operations = self._operations
        if operations is None:
            raise ConfigError("this gate runs no pipelines: its image processes have no operations")
        if not self._processes:
            raise ConfigError("this gate cannot run pipelines: it has no image processes for that, since worker=False")
        args = (data, recipe, source, page, dict(inputs or {}), self._timeout_s, previews)
        request = Request(calls.run_pipeline, self._timeout_s, args, recipe=recipe)
        loop = asyncio.get_running_loop()
        running = -1 if page is None else 0  # the first step renders a page, which is judged only then

        def allowed() -> None:
            nonlocal running
            running = 0
            loop.call_soon_threadsafe(judged)

        def progress(end: StepEnd) -> None:
            nonlocal running
            running = end.step + 1
            loop.call_soon_threadsafe(told, end)

        expected = partial(receive_produced, recipe=recipe, source=source, operations=operations)
        limited = partial(expected, memory_bytes=self._memory_bytes, previews=previews > 0)
        try:
            read = partial(limited, judged=allowed, told=progress)
            return await _opened(self._rendering).run(request, read, wear=partial(wear_of, operations))
        except (ImageCrashed, ImageTimeout) as exc:
            if 0 <= running < len(recipe.steps):
                exc.step, exc.op = running, recipe.steps[running].op
            raise


def _opened(group: Group | None) -> Group:
    if group is None:
        raise ShuttingDown("the image processes are not running")
    return group
