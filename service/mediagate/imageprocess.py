"""What runs inside an image process: it is forked, prepares itself, then answers one request after the other.

Only here are decoders and models loaded; the host process never imports them for an upload.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import logging
import os
import pickle
import resource
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from time import process_time
from typing import IO, TYPE_CHECKING, Any

from mediagate import forkserver, logs
from mediagate.config import Source
from mediagate.cores import Cores
from mediagate.errors import ConfigError, ImageTooLarge, MediagateError, ProcessingError
from mediagate.media import ImageInfo, Rendered

if TYPE_CHECKING:
    from mediagate.moderation import Moderator

log = logging.getLogger("mediagate")

ALARM_AFTER_S = 5.0
"""How long after its time limit a process ends by itself, should its host be gone and nobody end it."""
NICENESS = 10
MALLOC = {
    -8: 1,  # M_ARENA_MAX: each further arena would reserve 64 MiB of the limited address space
    # Large blocks come from the heap and go back to it: to have the kernel clear their pages anew for each step of an
    # image took a twentieth of its CPU time.
    -3: 1 << 30,  # M_MMAP_THRESHOLD
    -1: 1 << 30,  # M_TRIM_THRESHOLD
}
"""Parameters of glibc's ``mallopt``, under their numbers."""
REST_S = 0.2
"""After so long without work a process gives the memory that it has freed back to the system; at once if it is much."""
MUCH = 4
"""Much is this part of what an image may use."""
RENDERING = "mediagate.rendering"
"""Loaded once, for all image processes."""
MODERATORS_USE = "numpy"
"""Loaded once too. Their other libraries start threads when they are imported, as onnxruntime does: after the fork."""
PR_SET_PDEATHSIG = 1
"""An option of Linux's ``prctl``: which signal a process gets when its parent has died."""

_libc = ctypes.CDLL(None)


@dataclass
class _Shared:
    """What the images of one process share."""

    moderator: Moderator | None = None
    memory_bytes: int | None = None
    idle_bytes: int | None = None
    """The address space of this process when it last had nothing to do."""
    cores: Cores | None = None
    lent: IO[bytes] | None = None
    """The file of all cores, opened once for all image processes."""


_shared = _Shared()


def begin(channel: int, host: int, log_format: str) -> None:
    """Be the fork server of the process ``host``: load what every image process needs, then fork them.

    ``log_format`` is that of the host, empty if that configures logging itself.
    """
    if log_format:
        logs.configure(logs.LogFormat(log_format))
    # Ctrl-C reaches the whole foreground group; ending these processes is the host's to do.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.disable()  # nothing that is imported is garbage
    from mediagate import images

    importlib.import_module(RENDERING)
    with contextlib.suppress(ImportError):
        importlib.import_module(MODERATORS_USE)
    images.limit_threads()
    images.lift_pixel_limit()
    gc.enable()
    gc.freeze()  # else each collection in a child would copy the pages of all that is shared
    with tempfile.TemporaryFile() as _shared.lent:
        forkserver.serve(socket.socket(fileno=channel), host, serve)


def serve(pipe: Connection[Any, Any]) -> None:
    """Prepare, say so, and answer requests until the pipe ends.

    The first message is ``(memory_bytes, moderator, core, cores)``: the moderator is pickled, ``core`` the number of
    this process's own among ``cores``, ``None`` if it has none. A request is ``(function, timeout_s, args)``, an answer
    ``(True, result)`` or ``(False, an error of ours)``.
    """
    try:
        _prepare(*pipe.recv())
    except EOFError:
        return
    except Exception as exc:
        error = exc if isinstance(exc, MediagateError) else ConfigError(f"{type(exc).__name__}: {exc}")
        pipe.send((False, ConfigError(f"the image processes cannot start: {error.detail}")))
        return
    pipe.send((True, None))
    with contextlib.suppress(EOFError, OSError):  # the host has gone
        while True:
            if _holds_much() or not pipe.poll(REST_S):
                _give_memory_back()
            _serve_one(pipe)


def _serve_one(pipe: Connection[Any, Any]) -> None:
    function, timeout_s, args = pipe.recv()
    # The kernel keeps this one, whatever a decoder does to the interpreter: no hung process outlives its host.
    signal.setitimer(signal.ITIMER_REAL, timeout_s + ALARM_AFTER_S)
    answer = _answer(function, args)
    signal.setitimer(signal.ITIMER_REAL, 0)
    pipe.send(answer)


def probe(path: Path, source: Source) -> ImageInfo:
    """Read a file's header."""
    from mediagate import images

    return images.probe(path, source, _shared.memory_bytes)


def render(data: bytes, source: Source, focal: tuple[float, float], time_s: float) -> Rendered:
    """Take a file to its verdict, variants and original; its timings say what CPU time all threads took.

    What cannot be judged in ``time_s`` seconds is refused.
    """
    from mediagate import rendering

    began = process_time()
    if _shared.cores is None:
        rendered = rendering.render(
            data, source, focal, _shared.moderator, memory_bytes=_shared.memory_bytes, time_s=time_s
        )
    else:
        with _shared.cores.used():
            rendered = rendering.render(
                data,
                source,
                focal,
                _shared.moderator,
                threads=2,
                borrow=_shared.cores.borrow,
                memory_bytes=_shared.memory_bytes,
                time_s=time_s,
            )
    cpu_ms = round((process_time() - began) * 1000, 2)
    return replace(rendered, timings_ms={**rendered.timings_ms, "cpu": cpu_ms})


def _answer(function: Any, args: tuple[Any, ...]) -> tuple[bool, Any]:
    try:
        with _limited():
            return True, function(*args)
    except MediagateError as exc:
        return False, exc
    except MemoryError:
        return False, ImageTooLarge("the picture needs more memory than one image may use; send a smaller one")
    except Exception as exc:
        log.exception("an image could not be processed")
        return False, ProcessingError(f"the image could not be processed ({type(exc).__name__})")


def _prepare(memory_bytes: int, pickled: bytes, core: int | None, cores: int) -> None:
    _shared.memory_bytes = memory_bytes
    if core is not None and _shared.lent is not None:
        _shared.cores = Cores(_shared.lent, own=core, count=cores)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if hasattr(_libc, "mallopt"):  # glibc's
        for parameter, value in MALLOC.items():
            _libc.mallopt(parameter, value)
    from mediagate import images

    images.check_pillow()
    _shared.moderator = pickle.loads(pickled)
    if _shared.moderator is not None:
        _shared.moderator.prepare()
    _give_memory_back()
    # There are as many of these as cores; the host, which answers requests in between, shall not queue behind them.
    os.nice(NICENESS)


def _give_memory_back() -> None:
    if hasattr(_libc, "malloc_trim"):  # glibc's
        _libc.malloc_trim(0)
    _shared.idle_bytes = _address_space()


def _holds_much() -> bool:
    if _shared.memory_bytes is None or _shared.idle_bytes is None:
        return True
    now = _address_space()
    return now is None or now > _shared.idle_bytes + _shared.memory_bytes // MUCH


def _address_space() -> int | None:
    pages = Path("/proc/self/statm")
    return int(pages.read_text().split()[0]) * resource.getpagesize() if pages.exists() else None


@contextlib.contextmanager
def _limited() -> Iterator[None]:
    """Let the block bring the address space to what an idle process has and so much more, ``MemoryError`` beyond.

    Enforced on Linux only. What earlier images left behind counts, else a row of them could grow without end.
    """
    if _shared.memory_bytes is None or _shared.idle_bytes is None or sys.platform != "linux":
        yield
        return
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    limit = _shared.idle_bytes + _shared.memory_bytes
    resource.setrlimit(resource.RLIMIT_AS, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
