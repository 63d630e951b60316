"""The image processes: hostile bytes are decoded in them alone, under limits of time and memory.

They never touch the database. One that crashes, hangs or outgrows its memory ends its own image and is replaced.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import resource
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

from pebble import ProcessExpired, ProcessFuture, ProcessPool

from mediagate.config import Source
from mediagate.errors import ConfigError, ImageCrashed, ImageTimeout, ImageTooLarge, MediagateError, UndecodableImage
from mediagate.images import check_pillow, probe
from mediagate.media import ImageInfo, Rendered
from mediagate.moderation import Moderator
from mediagate.rendering import render

P = ParamSpec("P")
T = TypeVar("T")

START_S = 120.0
"""How long the processes may take to start and to load the model."""
PROBE_S = 10.0
PARENT_CHECK_S = 0.5
ALARM_AFTER_S = 5.0
"""How long after its time limit a process ends by itself, should its parent be gone and unable to end it."""

_moderator: Moderator | None = None
_failure: MediagateError | None = None


class ImagePool:
    """Image processes: ``processes`` that render, and one that only reads headers, so that uploads never wait behind.

    ``memory_bytes`` is what one image may add to its process, ``timeout_s`` its wall clock. With ``processes=0``
    nothing can be rendered.
    """

    def __init__(self, *, processes: int, memory_bytes: int, timeout_s: float, moderator: Moderator | None) -> None:
        self._processes = processes
        self._memory_bytes = memory_bytes
        self._timeout_s = timeout_s
        self._moderator = moderator
        self._pools: list[ProcessPool] = []

    async def open(self) -> None:
        """Start the processes and load the model; raises ``ConfigError`` when it cannot be loaded."""
        check_pillow()
        self._pools = [self._pool(1, None)]
        if self._processes:
            self._pools.append(self._pool(self._processes, self._moderator))
        try:
            await asyncio.gather(*(_run(pool, START_S, _ready) for pool in self._pools))
        except ImageCrashed as exc:
            raise ConfigError(f"an image process ends as soon as it starts: {exc.detail}") from exc

    async def close(self) -> None:
        """End the processes; can be repeated."""
        pools, self._pools = self._pools, []
        await asyncio.gather(*(asyncio.to_thread(_stop, pool) for pool in pools))

    async def probe(self, path: Path, source: Source) -> ImageInfo:
        """Read a file's header in a process of its own; raises the ``RequestError`` that the uploader shall see."""
        try:
            return await _run(self._pools[0], PROBE_S, probe, path, source)
        except (ImageCrashed, ImageTimeout) as exc:
            raise UndecodableImage("the file's header cannot be read") from exc

    async def render(self, data: bytes, source: Source, *, focal: tuple[float, float] = (0.5, 0.5)) -> Rendered:
        """Take a file to its verdict, variants and original.

        Raises ``UndecodableImage``, ``ImageTooLarge``, ``AnimationRefused``, ``ModerationFailed``, ``ImageCrashed``,
        ``ImageTimeout``.
        """
        return await _run(self._pools[1], self._timeout_s, _render, data, source, focal, self._timeout_s)

    def _pool(self, processes: int, moderator: Moderator | None) -> ProcessPool:
        # Spawned, not forked: a fork of a process with threads may begin with locks that nobody will release.
        return ProcessPool(
            max_workers=processes,
            initializer=_begin,
            initargs=(self._memory_bytes, moderator, os.getpid()),
            context=multiprocessing.get_context("spawn"),
        )


async def _run(
    pool: ProcessPool, timeout_s: float, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
) -> T:
    future: ProcessFuture[T] = pool.submit(function, timeout_s, *args, **kwargs)
    try:
        return await asyncio.wrap_future(future)
    except TimeoutError:
        raise ImageTimeout(f"the image took longer than {timeout_s:g} s") from None
    except ProcessExpired as exc:
        raise ImageCrashed(f"the image process died (exit code {exc.exitcode})") from None
    except MemoryError:
        raise ImageTooLarge("the picture needs more memory than one image may use") from None


def _stop(pool: ProcessPool) -> None:
    pool.stop()  # type: ignore[no-untyped-call]  # pebble leaves it without types
    pool.join()


# -- inside an image process


def _begin(memory_bytes: int, moderator: Moderator | None, parent: int) -> None:
    global _moderator, _failure  # noqa: PLW0603  # one moderator a process, for all its images
    from PIL import Image

    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    Image.MAX_IMAGE_PIXELS = None  # the source's own limit is checked before anything is decoded
    _moderator = moderator
    if moderator is not None:
        try:
            moderator.prepare()
        except MediagateError as exc:
            _failure = exc
        except Exception as exc:
            _failure = ConfigError(f"the moderator cannot start: {type(exc).__name__}: {exc}")
    limit = _address_space() + memory_bytes
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _ready() -> None:
    if _failure is not None:
        raise _failure


def _render(data: bytes, source: Source, focal: tuple[float, float], timeout_s: float) -> Rendered:
    _ready()
    # The kernel keeps this one, whatever a decoder does to the interpreter: no hung process outlives its parent.
    signal.setitimer(signal.ITIMER_REAL, timeout_s + ALARM_AFTER_S)
    try:
        return render(data, source, focal, _moderator)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _end_with(parent: int) -> None:
    """End this process when its parent has died and can no longer do so."""
    while os.getppid() == parent:
        time.sleep(PARENT_CHECK_S)
    os._exit(1)


def _address_space() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()
