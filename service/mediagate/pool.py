"""The image processes: hostile bytes are decoded in them alone, under limits of time and memory.

They never touch the database, and nothing but a result or an error of ours comes back. Each has a pipe of its own, so
that one that crashes, hangs or outgrows its memory ends its own image only; it is replaced at once.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar, TypeVarTuple, Unpack, cast

from mediagate import imageprocess
from mediagate.config import Source
from mediagate.errors import (
    ConfigError,
    ImageCrashed,
    ImageTimeout,
    MediagateError,
    ModerationFailed,
    ShuttingDown,
    UndecodableImage,
)
from mediagate.forkserver import Forked, ForkServer
from mediagate.media import ImageInfo, Rendered
from mediagate.moderation import Moderator
from mediagate.observe import Observer

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
Setup = tuple[int, bytes, int | None, int]
"""The first message to an image process; ``imageprocess.serve`` names its parts."""

START_S = 120.0
"""How long a process may take to start and to load the model."""
PROBE_S = 10.0
"""How long the reading of a header may take."""
NOBODY = Observer()


class ImagePool:
    """Image processes: ``processes`` that render, and one that only reads headers, so that uploads never wait behind.

    ``memory_bytes`` is what one image may add to its process, ``timeout_s`` its wall clock. With ``processes=0``
    nothing can be rendered. ``server`` is what they are forked from, if it has been started already.
    """

    def __init__(
        self,
        *,
        processes: int,
        memory_bytes: int,
        timeout_s: float,
        moderator: Moderator | None,
        server: ForkServer | None = None,
        observer: Observer = NOBODY,
    ) -> None:
        self._processes = processes
        self._memory_bytes = memory_bytes
        self._timeout_s = timeout_s
        self._moderator = moderator
        self._server = server
        self._observer = observer
        self._probing: _Crew | None = None
        self._rendering: _Crew | None = None

    async def open(self) -> None:
        """Start the processes and load the model in each; repeating it does nothing.

        Raises ``ConfigError`` when Pillow is too old, or the moderator cannot be sent to a process or prepared there.
        """
        if self._probing is not None:
            return
        try:
            if type(self._moderator).__module__ == "__main__":
                raise TypeError("its class belongs to the program itself")
            moderator = pickle.dumps(self._moderator)
        except Exception as exc:
            raise ConfigError(
                f"the moderator cannot be sent to the image processes ({type(exc).__name__}: {exc}); "
                "define its class in a module, and open sessions and files in prepare()"
            ) from exc
        self._server = self._server or ForkServer()
        self._probing = _Crew(self._server, [(self._memory_bytes, pickle.dumps(None), None, 0)], self._observer)
        if self._processes:
            own_core = self._processes <= len(os.sched_getaffinity(0))
            self._rendering = _Crew(
                self._server,
                [
                    (self._memory_bytes, moderator, number if own_core else None, self._processes)
                    for number in range(self._processes)
                ],
                self._observer,
            )
        try:
            await asyncio.gather(*(crew.start() for crew in (self._probing, self._rendering) if crew))
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """End the processes, and with ``ShuttingDown`` whatever they work on; can be repeated."""
        crews = [crew for crew in (self._probing, self._rendering) if crew]
        self._probing = self._rendering = None
        await asyncio.gather(*(asyncio.to_thread(crew.close) for crew in crews))
        server, self._server = self._server, None
        if server is not None:
            await asyncio.to_thread(server.close)

    async def probe(self, path: Path, source: Source) -> ImageInfo:
        """Return what a file's header says, checked against the limits of its source.

        Raises ``UnsupportedType``, ``UndecodableImage``, ``ImageTooLarge``, ``AnimationRefused``; ``ShuttingDown`` when
        the pool is not open.
        """
        crew = _opened(self._probing)
        try:
            return await crew.run(imageprocess.probe, PROBE_S, path, source)
        except ImageCrashed:
            pass  # once may be the fault of whoever ended the process
        except ImageTimeout as exc:
            raise UndecodableImage("the picture's header takes too long to read; export it again") from exc
        try:
            return await crew.run(imageprocess.probe, PROBE_S, path, source)
        except (ImageCrashed, ImageTimeout) as exc:
            raise UndecodableImage("the picture's header cannot be read; export it again") from exc

    async def render(self, data: bytes, source: Source, *, focal: tuple[float, float] = (0.5, 0.5)) -> Rendered:
        """Take a file to its verdict, variants and cleaned original.

        Raises ``UnsupportedType``, ``UndecodableImage``, ``ImageTooLarge``, ``AnimationRefused``, ``ModerationFailed``,
        ``ImageCrashed`` and ``ImageTimeout``; ``ShuttingDown`` when the pool is not open, or closes meanwhile.
        """
        if not self._processes:
            raise ConfigError("this gate has no image processes that render, since worker=False")
        crew = _opened(self._rendering)
        return await crew.run(imageprocess.render, self._timeout_s, data, source, focal, self._timeout_s)


def _opened(crew: _Crew | None) -> _Crew:
    if crew is None:
        raise ShuttingDown("the image processes are not running")
    return crew


class _Crew:
    """Image processes that share the work; each does one thing at a time."""

    def __init__(self, server: ForkServer, setups: Sequence[Setup], observer: Observer) -> None:
        self._members = [_Member(server, setup, observer) for setup in setups]
        self._idle: SimpleQueue[_Member] = SimpleQueue()
        self._threads = ThreadPoolExecutor(len(setups), thread_name_prefix="mediagate-image")

    async def start(self) -> None:
        """Start all, and wait until the last one is ready."""
        starting = [asyncio.wrap_future(self._threads.submit(member.start)) for member in self._members]
        await asyncio.gather(*starting)
        for member in self._members:
            self._idle.put(member)

    async def run(self, function: Callable[[Unpack[Ts]], T], timeout_s: float, *args: *Ts) -> T:
        """Call a function in the next free process; its time limit starts there."""
        try:
            called = self._threads.submit(self._call, function, timeout_s, args)
        except RuntimeError:
            raise _closing() from None
        return cast("T", await asyncio.wrap_future(called))

    def _call(self, function: Callable[..., Any], timeout_s: float, args: tuple[Any, ...]) -> Any:
        member = self._idle.get()
        try:
            return member.call(function, timeout_s, args)
        finally:
            self._idle.put(member)

    def close(self) -> None:
        """End all at once; what waits for them is told so."""
        for member in self._members:
            member.close()
        self._threads.shutdown()


class _Member:
    """One image process and the pipe to it. Used by one thread at a time, except for ``close``."""

    _process: Forked

    def __init__(self, server: ForkServer, setup: Setup, observer: Observer) -> None:
        self._server = server
        self._setup = setup
        self._observer = observer
        self._changing = threading.Lock()
        self._forked = self._ready = self._closed = False

    def start(self) -> None:
        """Start the process and wait until it is ready; raises ``ConfigError`` when it will not be."""
        try:
            self._fork()
            self._await_ready()
        except (ImageCrashed, ImageTimeout) as exc:
            raise ConfigError(f"an image process does not start: {exc.detail}") from exc

    def call(self, function: Callable[..., Any], timeout_s: float, args: tuple[Any, ...]) -> Any:
        """Return what the function returns in the process; raises its error, ``ImageTimeout`` or ``ImageCrashed``."""
        if self._closed:
            raise _closing()
        if not self._forked or self._process.ended(0):
            if self._forked:
                self._observer.image_process_ended("idle")
            self._fork()  # it was ended while it had nothing to do
        if not self._ready:
            try:
                self._await_ready()
            except (ConfigError, ImageTimeout) as exc:
                if isinstance(exc, ConfigError):
                    self._observer.image_process_ended("start")
                self._fork()
                raise ModerationFailed(f"the image process does not start again: {exc.detail}") from exc
        return self._exchange((function, timeout_s, args), timeout_s)

    def close(self) -> None:
        """End the process, whatever it does, for good."""
        with self._changing:
            self._closed = True
            self._end()

    def _fork(self) -> None:
        with self._changing:
            self._end()
            if self._closed:
                raise _closing()
            self._process = self._server.fork()
            self._forked, self._ready = True, False

    def _end(self) -> None:
        if self._forked:
            self._process.close()
            self._forked = False

    def _await_ready(self) -> None:
        self._exchange(self._setup, START_S)
        self._ready = True

    def _exchange(self, request: Any, timeout_s: float) -> Any:
        started = time.monotonic()
        # Whatever the process hangs in, also one that was stopped: killed, it ends the waiting on this side.
        deadline = threading.Timer(timeout_s, self._process.kill)
        deadline.daemon = True
        deadline.start()
        try:
            self._process.pipe.send(request)
            succeeded, value = self._process.pipe.recv()
        except Exception:
            succeeded, value = False, None  # the process is gone, or what it sent is no answer
        finally:
            deadline.cancel()
        if time.monotonic() - started >= timeout_s:
            self._observer.image_process_ended("timeout")
            self._fork()
            raise ImageTimeout(f"it took longer than {timeout_s:g} s")
        if succeeded:
            return value
        if isinstance(value, MediagateError):
            raise value
        ended = self._process.ended(1)
        exit_code = self._process.exit_code() if ended else None
        if not self._closed:
            self._observer.image_process_ended("crashed")
        self._fork()
        raise ImageCrashed(f"the image process died ({_reason(exit_code)})")


def _closing() -> ShuttingDown:
    return ShuttingDown("the image processes are ending")


def _reason(exit_code: int | None) -> str:
    if exit_code is None:
        return "its end was not seen; standard error may say why"
    if exit_code < 0:
        return signal.Signals(-exit_code).name
    return f"exit code {exit_code}"
