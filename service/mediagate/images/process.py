"""What runs inside an image process: it is forked, prepares itself, then answers one request after the other.

Only here are decoders and models loaded; the host process never imports them for an upload.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
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
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from time import process_time
from typing import IO, Any

from mediagate.config import Source
from mediagate.errors import ConfigError, ImageTooLarge, MediagateError, ProcessingError
from mediagate.images import forkserver, sandbox, timelimit, wire
from mediagate.images.cores import Cores
from mediagate.moderation import Moderator
from mediagate.observe import LogFormat, configure_logs
from mediagate.values import ImageInfo, Rendered

log = logging.getLogger("mediagate")

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
RENDERING = "mediagate.images.render"
"""Loaded once, for all image processes."""
MODERATORS_USE = "numpy"
"""Loaded once too. Their other libraries start threads when they are imported, as onnxruntime does: after the fork."""
PR_SET_PDEATHSIG = 1
"""An option of Linux's ``prctl``: which signal a process gets when its parent has died."""

_libc = ctypes.CDLL(None)


@dataclass(frozen=True, slots=True)
class Setup:
    """The first message to an image process: how it is to prepare itself."""

    memory_bytes: int
    """What one image may add to its address space."""
    readable: tuple[sandbox.Readable, ...]
    """All that it may open from then on."""
    moderator: bytes = pickle.dumps(None)
    """Pickled by the host; here it is made, inside the walls."""
    core: int | None = None
    """The number of its own core among ``cores``, ``None`` if it has none."""
    cores: int = 0


@dataclass(frozen=True, slots=True)
class Request:
    """One call; ``with_file``: a descriptor follows, and is the first argument as an open file."""

    function: Callable[..., Rendered | ImageInfo]
    timeout_s: float
    args: tuple[Any, ...]
    with_file: bool = False
    cpu_s: float | None = None
    """After so much CPU time a picture is refused."""


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


def main(channel: int, pulse: int, host: int, log_format: str) -> None:
    """Be the fork server of the process ``host``: load what every image process needs, then fork them.

    ``log_format`` is that of the host, empty if that configures logging itself.
    """
    if log_format:
        configure_logs(LogFormat(log_format))
    os.dup2(2, 1)  # what libraries print belongs to no output of the host's program
    # Ctrl-C reaches the whole foreground group; ending these processes is the host's to do.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.disable()  # nothing that is imported is garbage
    from mediagate.images import pixels

    importlib.import_module(RENDERING)
    with contextlib.suppress(ImportError):
        importlib.import_module(MODERATORS_USE)
    pixels.limit_threads()
    pixels.lift_pixel_limit()
    gc.enable()
    gc.freeze()  # else each collection in a child would copy the pages of all that is shared
    with _lent_file() as _shared.lent:
        forkserver.serve(socket.socket(fileno=channel), socket.socket(fileno=pulse), host, serve)


def serve(pipe: Connection[Any, Any]) -> None:
    """Prepare, say so, and answer requests until the pipe ends.

    The first message is a ``Setup``, each further one a ``Request``; answers are those of ``images.wire``.
    """
    try:
        walls = _prepare(pipe.recv())
    except EOFError:
        return
    except Exception as exc:
        error = exc if isinstance(exc, MediagateError) else ConfigError(f"{type(exc).__name__}: {exc}")
        wire.send(pipe, ConfigError(f"the image processes cannot start: {error.detail}"))
        return
    wire.send(pipe, walls)
    with contextlib.suppress(EOFError, OSError):  # the host has gone
        while True:
            if _holds_much() or not pipe.poll(REST_S):
                _give_memory_back()
            _serve_one(pipe)


def _serve_one(pipe: Connection[Any, Any]) -> None:
    request: Request = pipe.recv()
    with _file(pipe) if request.with_file else contextlib.nullcontext() as file:
        args = request.args if file is None else (file, *request.args)
        with timelimit.kept(request.timeout_s, request.cpu_s):
            answer = _answer(request.function, args)
    wire.send(pipe, answer)


def _file(pipe: Connection[Any, Any]) -> IO[bytes]:
    """Return the file whose descriptor comes through the pipe."""
    end = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, pipe.fileno())
    try:
        _, descriptors, _, _ = socket.recv_fds(end, 1, 1)
    finally:
        end.detach()
    return os.fdopen(descriptors[0], "rb")


def probe(file: IO[bytes], source: Source, whole: bool) -> ImageInfo:
    """Read a file's header, or all of it."""
    from mediagate.images import pixels

    return pixels.probe(file, source, _shared.memory_bytes, pixels=whole)


def render(data: bytes, source: Source, focal: tuple[float, float], time_s: float, previews: int) -> Rendered:
    """Take a file to its verdict, variants and original; its timings say what CPU time all threads took.

    What cannot be judged in ``time_s`` seconds is refused. ``previews``: the edge in pixels for which a remote
    moderator is made; it is given, as JPEGs, what was judged of a picture that may be published. 0: there is none.
    """
    from mediagate.images import render

    began = process_time()
    moderator: Moderator | None = _shared.moderator
    if previews:
        from mediagate.images.previews import Previewing

        moderator = seen = Previewing(moderator, previews)
    if _shared.cores is None:
        rendered = render.render(data, source, focal, moderator, memory_bytes=_shared.memory_bytes, time_s=time_s)
    else:
        with _shared.cores.used():
            rendered = render.render(
                data,
                source,
                focal,
                moderator,
                threads=2,
                borrow=_shared.cores.borrow,
                memory_bytes=_shared.memory_bytes,
                time_s=time_s,
            )
    cpu_ms = round((process_time() - began) * 1000, 2)
    if previews and rendered.verdict.decision == "allow":
        rendered = replace(rendered, previews=tuple(seen.jpegs))
    return replace(rendered, timings_ms={**rendered.timings_ms, "cpu": cpu_ms})


def _answer(
    function: Callable[..., Rendered | ImageInfo], args: tuple[Any, ...]
) -> Rendered | ImageInfo | MediagateError:
    try:
        with _limited():
            return function(*args)
    except MediagateError as exc:
        return exc
    except Exception as exc:
        from mediagate.images.pixels.allocation import ran_out_of_memory

        if ran_out_of_memory(exc):
            return ImageTooLarge("the picture needs more memory than one image may use; send a smaller one")
        log.exception("an image could not be processed")
        return ProcessingError(f"the image could not be processed ({type(exc).__name__})")


def _prepare(setup: Setup) -> sandbox.Walls:
    _shared.memory_bytes = setup.memory_bytes
    if setup.core is not None and _shared.lent is not None:
        _shared.cores = Cores(_shared.lent, own=setup.core, count=setup.cores)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.signal(timelimit.CPU_SIGNAL, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if hasattr(_libc, "mallopt"):  # glibc's
        for parameter, value in MALLOC.items():
            _libc.mallopt(parameter, value)
    from mediagate.images import pixels

    pixels.check_pillow()
    pixels.check_libheif()
    limited = sys.platform == "linux" and _address_space() is not None
    walls = sandbox.enclose(setup.readable, memory=limited)
    _shared.moderator = pickle.loads(setup.moderator)
    if _shared.moderator is not None:
        _shared.moderator.prepare()
    _give_memory_back()
    # There are as many of these as cores; the host, which answers requests in between, shall not queue behind them.
    os.nice(NICENESS)
    return walls


def _lent_file() -> IO[bytes]:
    """Return a file of no length, to be locked only: nobody can write to it, where the system can forbid that."""
    if not hasattr(os, "memfd_create"):
        return tempfile.TemporaryFile()
    memory = os.memfd_create("mediagate-cores", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    seals = fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL
    with contextlib.suppress(OSError):  # not every system that has such files can seal them
        fcntl.fcntl(memory, fcntl.F_ADD_SEALS, seals)
    return os.fdopen(memory, "r+b", buffering=0)


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
