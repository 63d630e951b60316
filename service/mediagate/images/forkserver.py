"""The fork server: a process with one thread that has loaded all decoders, and forks an image process in milliseconds.

The host itself has threads, so a fork of it might inherit locks that are never released; a process started from scratch
would load everything again. Neither the fork server nor its children import the host's program.
"""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import signal
import socket
import struct
import subprocess
import sys
import threading
import traceback
from dataclasses import dataclass
from itertools import count
from multiprocessing.connection import Connection, wait
from multiprocessing.spawn import get_executable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NoReturn

from mediagate.errors import ImageCrashed, ShuttingDown
from mediagate.images.pulse import Pulse
from mediagate.observe import configured_format

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

FORK, KILL = 0, 1
_REQUEST = struct.Struct("!BI")
"""The operation, and the number of the image process that it applies to."""
_EXIT_CODE = struct.Struct("!i")
END_S = 10.0
"""How long to wait for a killed process to end."""
HOST_CHECK_S = 1.0
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""Read when libraries are loaded. Without them, each of as many processes as cores would start as many threads."""
INHERITED = re.compile(
    "PATH|LANG|LANGUAGE|LC_[A-Z]+|TZ|TZDIR|LD_LIBRARY_PATH|LD_PRELOAD|DYLD_[A-Z_]+|MALLOC_[A-Z_]+"
    "|PYTHON(HOME|PATH|PLATLIBDIR|UTF8|WARNINGS|MALLOC|FAULTHANDLER|NOUSERSITE|PYCACHEPREFIX|DONTWRITEBYTECODE|"
    "UNBUFFERED|IOENCODING|HASHSEED|DEVMODE)|COVERAGE_(PROCESS_START|RCFILE|FILE)"
    "|(OMP|OPENBLAS|MKL|GOMP|KMP)_[A-Z_]+|(CUDA|NVIDIA|ORT)_[A-Z_]+"
)
"""The environment variables that image processes inherit from the host; all others may be secrets."""
PROGRAM = (
    "import sys; sys.path[:] = sys.argv[5:]; from mediagate.images.process import main; "
    "main(*map(int, sys.argv[1:4]), sys.argv[4])"
)


def environment(host: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of the image processes: variables in ``INHERITED``, one thread, no telemetry."""
    inherited = {name: value for name, value in host.items() if INHERITED.fullmatch(name)}
    return {**dict.fromkeys(THREAD_VARIABLES, "1"), **inherited, "ORT_DISABLE_TELEMETRY": "1"}


class ForkServer:
    """The host's handle on the fork server, which the next fork restarts if it died. Thread-safe.

    An unresponsive fork server is killed, which bounds all waiting for it.
    """

    def __init__(self) -> None:
        self._changing = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None
        self._pulse: Pulse | None = None
        self._closed = False
        self._numbers = count()

    def start(self) -> None:
        """Start the fork server if it is not running; do not wait until it is ready."""
        with self._changing:
            self._running()

    def fork(self) -> Forked:
        """Return a new image process; raises ``ImageCrashed`` if that fails, ``ShuttingDown`` once closed."""
        number = next(self._numbers)
        pipe, theirs = socket.socketpair()
        watch, report = socket.socketpair()
        with theirs, report:
            try:
                self._send(_REQUEST.pack(FORK, number), [theirs.fileno(), report.fileno()])
            except BaseException as exc:
                pipe.close()
                watch.close()
                if not isinstance(exc, OSError):
                    raise
                raise ImageCrashed(f"the fork server of the image processes is not running ({exc})") from exc
        return Forked(self, number, Connection(pipe.detach()), watch)

    def kill(self, number: int) -> None:
        """Have the parent kill an image process unless it has ended; only the parent knows that its pid is valid."""
        with self._changing, contextlib.suppress(OSError):
            if self._channel is not None:
                self._channel.sendall(_REQUEST.pack(KILL, number))

    def close(self) -> None:
        """End the fork server and every image process permanently."""
        with self._changing:
            self._closed = True
            self._end()

    def _send(self, request: bytes, descriptors: list[int]) -> None:
        with self._changing:
            try:
                socket.send_fds(self._running(), [request], descriptors)
            except ConnectionError:  # the fork server is dying
                self._end()
                socket.send_fds(self._running(), [request], descriptors)

    def _running(self) -> socket.socket:
        if self._closed:
            raise ShuttingDown("the image processes are ending")
        if self._channel is not None and self._process is not None and self._process.poll() is None:
            return self._channel
        self._end()
        self._channel, theirs = socket.socketpair()
        ours, pulse = socket.socketpair()
        path = [str(Path(entry).absolute()) for entry in sys.path]
        with theirs, pulse:
            self._process = subprocess.Popen(
                [
                    get_executable(),
                    "-c",
                    PROGRAM,
                    str(theirs.fileno()),
                    str(pulse.fileno()),
                    str(os.getpid()),
                    configured_format() or "",
                    *path,
                ],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno(), pulse.fileno()],
                env=environment(os.environ),
            )
        self._pulse = Pulse(self._process, ours)
        return self._channel

    def _end(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        if self._process is not None:
            try:
                self._process.wait(END_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        if self._pulse is not None:
            self._pulse.stop()
            self._pulse = None


class Forked:
    """The host's handle on an image process: its pipe and its exit."""

    def __init__(self, server: ForkServer, number: int, pipe: Connection[Any, Any], watch: socket.socket) -> None:
        self.pipe = pipe
        self._server = server
        self._number = number
        self._watch = watch

    def send(self, message: object, file: IO[bytes] | None = None) -> None:
        """Send a message, and then a file's descriptor."""
        self.pipe.send(message)
        if file is not None:
            end = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, self.pipe.fileno())
            try:
                socket.send_fds(end, [b"f"], [file.fileno()])
            finally:
                end.detach()

    def ended(self, timeout_s: float) -> bool:
        """Wait up to ``timeout_s`` for the process to end; return whether it has ended."""
        return bool(wait([self._watch], timeout_s))

    def exit_code(self) -> int | None:
        """Return the exit code of an ended process, a signal as a negative number; ``None`` if it was not reported."""
        with contextlib.suppress(OSError):
            report = self._watch.recv(_EXIT_CODE.size)
            if len(report) == _EXIT_CODE.size:
                return int(_EXIT_CODE.unpack(report)[0])
        return None

    def kill(self) -> None:
        """Kill the process without waiting for its end."""
        self._server.kill(self._number)

    def close(self) -> None:
        """Kill the process, wait for its end and close the pipe."""
        self.kill()
        self.ended(END_S)
        self.pipe.close()
        self._watch.close()


def serve(
    channel: socket.socket, pulse: socket.socket, host: int, child: Callable[[Connection[Any, Any]], None]
) -> None:
    """Fork a process for each request, which calls ``child`` with its pipe, until the host ends.

    Bytes from ``pulse`` are echoed as a sign of life.
    """
    children: dict[int, _Child] = {}
    woken, wakes = socket.socketpair()
    wakes.setblocking(False)
    signal.set_wakeup_fd(wakes.fileno())
    signal.signal(signal.SIGCHLD, lambda *_: None)
    with selectors.DefaultSelector() as selector:
        for end in (channel, pulse, woken):
            selector.register(end, selectors.EVENT_READ)
        # The host's end of the channel may be open in other processes that it has forked.
        while os.getppid() == host:
            ready = {key.fileobj for key, _ in selector.select(HOST_CHECK_S)}
            if woken in ready:
                woken.recv(4096)
                _report_ends(children)
            if pulse in ready and not _sent_back(pulse):
                selector.unregister(pulse)
            if channel not in ready:
                continue
            request, descriptors, _, _ = socket.recv_fds(channel, _REQUEST.size, 2)
            if not request:
                break
            kind, number = _REQUEST.unpack(request)
            if kind == FORK:
                pipe: Connection[Any, Any] = Connection(descriptors[0])
                report = socket.socket(fileno=descriptors[1])
                pid = os.fork()
                if not pid:
                    ends: list[Any] = [selector, channel, pulse, woken, wakes, report]
                    for end in (*ends, *(sibling.report for sibling in children.values())):
                        end.close()
                    _run_child(child, pipe)
                pipe.close()
                children[number] = _Child(pid, report)
            elif number in children:
                os.kill(children[number].pid, signal.SIGKILL)
    for ending in children.values():
        os.kill(ending.pid, signal.SIGKILL)
    for ending in children.values():
        os.waitpid(ending.pid, 0)


def _sent_back(pulse: socket.socket) -> bool:
    """Echo the pending bytes; return ``False`` at the end of the socket."""
    with contextlib.suppress(OSError):
        return pulse.send(pulse.recv(64)) > 0
    return False


@dataclass(frozen=True, slots=True)
class _Child:
    pid: int
    report: socket.socket
    """The socket that reports the exit code to the host."""


def _run_child(child: Callable[[Connection[Any, Any]], None], pipe: Connection[Any, Any]) -> NoReturn:
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        child(pipe)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _report_ends(children: dict[int, _Child]) -> None:
    for number, child in list(children.items()):
        ended, status = os.waitpid(child.pid, os.WNOHANG)
        if ended:
            del children[number]
            with contextlib.suppress(OSError):  # the host has closed its end
                child.report.send(_EXIT_CODE.pack(os.waitstatus_to_exitcode(status)))
            child.report.close()
