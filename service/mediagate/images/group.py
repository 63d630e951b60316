"""A group: image processes that share the work, each with its own pipe, replaced when they end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import IO, TypeVar

from mediagate.errors import (
    ConfigError,
    ImageCrashed,
    ImageTimeout,
    MediagateError,
    ModerationFailed,
    ShuttingDown,
    UndecodableImage,
)
from mediagate.images.forkserver import Forked, ForkServer
from mediagate.images.json_shapes import Malformed
from mediagate.images.process import Request, Setup
from mediagate.images.sandbox import Walls
from mediagate.images.timelimit import CPU_SIGNAL
from mediagate.images.wire import HEAD_BYTES, Pipe, receive_walls
from mediagate.observe import Observer

T = TypeVar("T")

log = logging.getLogger("mediagate")

START_S = 120.0
"""Time limit of a process to start and to load the model."""
MOST_WEAR = 300
"""Frames after which a process is replaced whose library keeps memory (RapidOCR issues 43 and 187)."""


class Group:
    """Image processes that share the work; each handles one request at a time."""

    def __init__(self, server: ForkServer, setups: Sequence[Setup], observer: Observer) -> None:
        self._processes = [_Process(server, setup, observer) for setup in setups]
        self._idle: SimpleQueue[_Process] = SimpleQueue()
        self._threads = ThreadPoolExecutor(len(setups), thread_name_prefix="mediagate-image")

    async def start(self) -> Walls:
        """Start all processes, wait until all are ready, and return the walls of the last one."""
        starting = [asyncio.wrap_future(self._threads.submit(process.start)) for process in self._processes]
        walls = await asyncio.gather(*starting)
        for process in self._processes:
            self._idle.put(process)
        return walls[-1]

    async def run(
        self,
        request: Request,
        read: Callable[[Pipe], T],
        path: Path | None = None,
        *,
        wait_s: float | None = None,
        again: tuple[type[Exception], ...] = (),
        wear: Callable[[T], int] = lambda _: 0,
    ) -> T:
        """Send a request to the next free process and return its answer; the time limit starts there.

        ``read`` reads the answer from the pipe; the process gets an open file of ``path``. After one of the errors in
        ``again``, which may have been caused by an external kill or stop of the process, the request is retried once in
        a new process. ``wear`` tells how much an answer has worn its process, which is replaced after ``MOST_WEAR``.
        Raises ``TimeoutError`` when no process is free within ``wait_s``.
        """
        try:
            called = self._threads.submit(self._call, request, read, path, again, wear)
        except RuntimeError:
            raise closing() from None
        answer = asyncio.wrap_future(called)
        if wait_s is not None:
            try:
                await asyncio.wait([answer], timeout=wait_s)
            except asyncio.CancelledError:
                answer.cancel()
                raise
            if called.cancel():  # only a call that has not begun can be cancelled
                raise TimeoutError
        return await answer

    def _call(
        self,
        request: Request,
        read: Callable[[Pipe], T],
        path: Path | None,
        again: tuple[type[Exception], ...],
        wear: Callable[[T], int],
    ) -> T:
        process = self._idle.get()
        try:
            try:
                answer = self._ask(process, request, read, path)
            except again:
                answer = self._ask(process, request, read, path)  # such an error leaves a newly forked process
            process.wear(wear(answer))
            return answer
        finally:
            self._idle.put(process)

    @staticmethod
    def _ask(process: _Process, request: Request, read: Callable[[Pipe], T], path: Path | None) -> T:
        if path is None:
            return process.call(request, read)
        with path.open("rb") as file:
            return process.call(request, read, file)

    def close(self) -> None:
        """End all processes immediately; pending calls raise ``ShuttingDown``."""
        for process in self._processes:
            process.close()
        self._threads.shutdown()


class _Process:
    """One image process and its pipe. Used by one thread at a time, except for ``close``."""

    _process: Forked

    def __init__(self, server: ForkServer, setup: Setup, observer: Observer) -> None:
        self._server = server
        self._setup = setup
        self._observer = observer
        self._changing = threading.Lock()
        self._forked = self._ready = self._closed = False
        self._worn = 0

    def start(self) -> Walls:
        """Start the process and wait until it is ready; raises ``ConfigError`` when it fails to start."""
        try:
            self._fork()
            return self._await_ready()
        except (ImageCrashed, ImageTimeout) as exc:
            raise ConfigError(f"an image process failed to start: {exc.detail}") from exc

    def call(self, request: Request, read: Callable[[Pipe], T], file: IO[bytes] | None = None) -> T:
        """Return the answer of the process; raises the error it reports, ``ImageTimeout`` or ``ImageCrashed``.

        Raises ``UndecodableImage`` for a picture that took more CPU time than the request allows.
        """
        if self._closed:
            raise closing()
        if not self._forked or self._process.ended(0):
            if self._forked:
                self._observer.image_process_ended("idle")
            self._fork()  # it was killed while idle
        if not self._ready:
            try:
                self._await_ready()
            except (ConfigError, ImageTimeout) as exc:
                if isinstance(exc, ConfigError):
                    self._observer.image_process_ended("start")
                self._fork()
                log.error("image process failed to restart: %s", exc.detail)
                raise ModerationFailed("the image process failed to restart; see the log") from exc
        return self._exchange(request, request.timeout_s, read, file)

    def wear(self, by: int) -> None:
        """Count what a library keeps in memory for ever, and replace the process when that may be much."""
        self._worn += by
        if self._worn >= MOST_WEAR and not self._closed:
            self._observer.image_process_ended("worn")
            with contextlib.suppress(ImageCrashed, ShuttingDown):  # the next call forks again
                self._fork()

    def close(self) -> None:
        """End the process permanently, even during a call."""
        with self._changing:
            self._closed = True
            self._end()

    def _fork(self) -> None:
        with self._changing:
            self._end()
            if self._closed:
                raise closing()
            self._process = self._server.fork()
            self._forked, self._ready, self._worn = True, False, 0

    def _end(self) -> None:
        if self._forked:
            self._process.close()
            self._forked = False

    def _await_ready(self) -> Walls:
        walls = self._exchange(self._setup, START_S, receive_walls)
        self._ready = True
        return walls

    def _exchange(
        self, request: Setup | Request, timeout_s: float, read: Callable[[Pipe], T], file: IO[bytes] | None = None
    ) -> T:
        started = time.monotonic()
        # The kill also ends a hung or stopped process, and so the wait on this side.
        deadline = threading.Timer(timeout_s, self._process.kill)
        deadline.daemon = True
        deadline.start()
        error: MediagateError | Malformed | None = None
        try:
            if self._process.pipe.poll():
                self._process.pipe.recv_bytes(HEAD_BYTES)  # raises for a process that has just ended
                raise Malformed("an unrequested answer")
            self._process.send(request, file)
            answer = read(self._process.pipe)
            answered = True
        except (MediagateError, Malformed) as exc:
            error, answered = exc, isinstance(exc, MediagateError)
        except Exception:
            answered = False  # the process has ended
        finally:
            deadline.cancel()
        if time.monotonic() - started >= timeout_s:  # it has been killed, or is about to be
            self._observer.image_process_ended("timeout")
            self._fork()
            raise ImageTimeout(f"it took longer than {timeout_s:g} s")
        if answered:
            if error is not None:
                raise error
            return answer
        ended = error is None and self._process.ended(1)
        exit_code = self._process.exit_code() if ended else None
        slow = exit_code == -CPU_SIGNAL
        if not self._closed:
            self._observer.image_process_ended("timeout" if slow else "crashed")
        self._fork()
        if slow:
            raise UndecodableImage("the picture takes too long to decode; export it again")
        if error is not None:
            log.error("image process killed: it may be compromised, since it sent a malformed answer: %s", error)
            raise ImageCrashed("the image process sent a malformed answer and was killed")
        raise ImageCrashed(f"the image process died ({_reason(exit_code)})")


def closing() -> ShuttingDown:
    return ShuttingDown("the image processes are ending")


def _reason(exit_code: int | None) -> str:
    if exit_code is None:
        return "exit code unknown; see standard error"
    if exit_code < 0:
        return signal.Signals(-exit_code).name
    return f"exit code {exit_code}"
