"""A group: image processes that share the work, each behind a pipe of its own, replaced when they end."""

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
"""How long a process may take to start and to load the model."""


class Group:
    """Image processes that share the work; each does one thing at a time."""

    def __init__(self, server: ForkServer, setups: Sequence[Setup], observer: Observer) -> None:
        self._processes = [_Process(server, setup, observer) for setup in setups]
        self._idle: SimpleQueue[_Process] = SimpleQueue()
        self._threads = ThreadPoolExecutor(len(setups), thread_name_prefix="mediagate-image")

    async def start(self) -> Walls:
        """Start all, wait until the last one is ready, and return what holds of it."""
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
    ) -> T:
        """Have a request answered by the next free process; its time limit starts there.

        ``read`` takes the answer from the pipe; the process gets the file at ``path`` opened. One of the errors
        ``again`` may be the fault of whoever ended or stopped the process, so a new process is asked once more. Raises
        ``TimeoutError`` when no process is free within ``wait_s``.
        """
        try:
            called = self._threads.submit(self._call, request, read, path, again)
        except RuntimeError:
            raise closing() from None
        answer = asyncio.wrap_future(called)
        if wait_s is not None:
            try:
                await asyncio.wait([answer], timeout=wait_s)
            except asyncio.CancelledError:
                answer.cancel()
                raise
            if called.cancel():  # which nothing that has begun can be
                raise TimeoutError
        return await answer

    def _call(
        self, request: Request, read: Callable[[Pipe], T], path: Path | None, again: tuple[type[Exception], ...]
    ) -> T:
        process = self._idle.get()
        try:
            with contextlib.suppress(*again):
                return self._ask(process, request, read, path)
            return self._ask(process, request, read, path)  # after such an error it has been forked anew
        finally:
            self._idle.put(process)

    @staticmethod
    def _ask(process: _Process, request: Request, read: Callable[[Pipe], T], path: Path | None) -> T:
        if path is None:
            return process.call(request, read)
        with path.open("rb") as file:
            return process.call(request, read, file)

    def close(self) -> None:
        """End all at once; what waits for them is told so."""
        for process in self._processes:
            process.close()
        self._threads.shutdown()


class _Process:
    """One image process and the pipe to it. Used by one thread at a time, except for ``close``."""

    _process: Forked

    def __init__(self, server: ForkServer, setup: Setup, observer: Observer) -> None:
        self._server = server
        self._setup = setup
        self._observer = observer
        self._changing = threading.Lock()
        self._forked = self._ready = self._closed = False

    def start(self) -> Walls:
        """Start the process and wait until it is ready; raises ``ConfigError`` when it will not be."""
        try:
            self._fork()
            return self._await_ready()
        except (ImageCrashed, ImageTimeout) as exc:
            raise ConfigError(f"an image process does not start: {exc.detail}") from exc

    def call(self, request: Request, read: Callable[[Pipe], T], file: IO[bytes] | None = None) -> T:
        """Return what the process answers; raises its error, ``ImageTimeout`` or ``ImageCrashed``.

        Raises ``UndecodableImage`` for a picture that took more CPU time than the request allows.
        """
        if self._closed:
            raise closing()
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
                log.error("an image process does not start again: %s", exc.detail)
                raise ModerationFailed("the image process does not start again; the log says why") from exc
        return self._exchange(request, request.timeout_s, read, file)

    def close(self) -> None:
        """End the process, whatever it does, for good."""
        with self._changing:
            self._closed = True
            self._end()

    def _fork(self) -> None:
        with self._changing:
            self._end()
            if self._closed:
                raise closing()
            self._process = self._server.fork()
            self._forked, self._ready = True, False

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
        # Whatever the process hangs in, also one that was stopped: killed, it ends the waiting on this side.
        deadline = threading.Timer(timeout_s, self._process.kill)
        deadline.daemon = True
        deadline.start()
        error: MediagateError | Malformed | None = None
        try:
            if self._process.pipe.poll():
                self._process.pipe.recv_bytes(HEAD_BYTES)  # raises for a process that has just ended
                raise Malformed("an answer that nothing was asked for")
            self._process.send(request, file)
            answer = read(self._process.pipe)
            answered = True
        except (MediagateError, Malformed) as exc:
            error, answered = exc, isinstance(exc, MediagateError)
        except Exception:
            answered = False  # the process is gone
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
            raise UndecodableImage("the picture takes too much time to read; export it again")
        if error is not None:
            log.error("an image process was ended, for it may have been taken over: it sent %s", error)
            raise ImageCrashed("the image process sent no answer of ours, and was ended")
        raise ImageCrashed(f"the image process died ({_reason(exit_code)})")


def closing() -> ShuttingDown:
    return ShuttingDown("the image processes are ending")


def _reason(exit_code: int | None) -> str:
    if exit_code is None:
        return "its end was not seen; standard error may say why"
    if exit_code < 0:
        return signal.Signals(-exit_code).name
    return f"exit code {exit_code}"
