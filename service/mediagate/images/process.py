"""The main loop of an image process: it is forked, prepares itself, then answers one request after another.

Decoders and models are loaded only here; the host process never imports them for an upload.
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
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import IO, TYPE_CHECKING, Any

from mediagate.errors import ConfigError, ImageTooLarge, MediagateError, ProcessingError
from mediagate.images import forkserver, sandbox, timelimit, wire
from mediagate.images.calls import Answer, shared
from mediagate.images.cores import Cores, lock_file
from mediagate.images.memory import Memory, address_space, tune_allocator
from mediagate.observe import LogFormat, configure_logs

if TYPE_CHECKING:
    from mediagate.images.operations import Recipe

log = logging.getLogger("mediagate")

NICENESS = 10
REST_S = 0.2
"""Idle time after which a process returns freed memory to the system; it returns large amounts at once."""
RENDERING, PIPELINES = "mediagate.images.render", "mediagate.images.pipeline"
"""Loaded once for all image processes."""
MODERATORS_USE = "numpy"
"""Loaded once too. Other libraries of moderators, such as onnxruntime, start threads on import: after the fork."""
PR_SET_PDEATHSIG = 1
"""An option of Linux's ``prctl``: which signal a process gets when its parent has died."""

_libc = ctypes.CDLL(None)


@dataclass(frozen=True, slots=True)
class Setup:
    """The first message to an image process: its configuration."""

    memory_bytes: int
    """How much one image may add to the address space."""
    readable: tuple[sandbox.Readable, ...]
    """The only files that it may open afterwards."""
    moderator: bytes = pickle.dumps(None)
    """Pickled by the host and unpickled here, inside the walls."""
    operations: bytes = pickle.dumps(None)
    """Pickled likewise: the operations of pipelines, ``None`` if this process runs none."""
    core: int | None = None
    """The index of its own core among ``cores``, ``None`` if it has none."""
    cores: int = 0


@dataclass(frozen=True, slots=True)
class Request:
    """One call; with ``with_file`` a descriptor follows, and the open file is the first argument."""

    function: Callable[..., Answer]
    timeout_s: float
    args: tuple[Any, ...]
    with_file: bool = False
    cpu_s: float | None = None
    """The CPU time after which a picture is refused."""
    recipe: Recipe | None = None
    """The steps whose libraries and models it needs."""


def main(channel: int, pulse: int, host: int, log_format: str) -> None:
    """Run the fork server of the process ``host``: load the shared modules, then fork image processes.

    ``log_format`` is the host's, empty if the host configures logging itself.
    """
    if log_format:
        configure_logs(LogFormat(log_format))
    os.dup2(2, 1)  # output of libraries must not mix with the host's standard output
    # Ctrl-C reaches the whole foreground group, but the host ends these processes itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.disable()  # imports leave no garbage
    from mediagate.images import pixels

    importlib.import_module(RENDERING)
    importlib.import_module(PIPELINES)
    with contextlib.suppress(ImportError):
        importlib.import_module(MODERATORS_USE)
    pixels.limit_threads()
    pixels.lift_pixel_limit()
    # The answers of these trials hold for all image processes.
    pixels.has_simd()
    pixels.has_libwebp()
    pixels.has_igzip()
    gc.enable()
    gc.freeze()  # otherwise each collection in a child would copy all shared pages
    with lock_file() as shared.lent:
        forkserver.serve(socket.socket(fileno=channel), socket.socket(fileno=pulse), host, serve)


def serve(pipe: Connection[Any, Any]) -> None:
    """Prepare, report readiness, and answer requests until the pipe ends.

    The first message is a ``Setup``, each further one a ``Request``; answers are encoded by ``images.wire``.
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
    shared.pipe = pipe
    with contextlib.suppress(EOFError, OSError):  # the host has ended
        while True:
            if shared.memory.is_large() or not pipe.poll(REST_S):
                shared.memory.give_back()
            _serve_one(pipe)


def _serve_one(pipe: Connection[Any, Any]) -> None:
    request: Request = pipe.recv()
    with _file(pipe) if request.with_file else contextlib.nullcontext() as file:
        args = request.args if file is None else (file, *request.args)
        with timelimit.kept(request.timeout_s, request.cpu_s):
            answer = _answer(request, args)
    wire.send(pipe, answer)
    if isinstance(answer, MediagateError):
        # The traceback holds the pictures, and may be part of a cycle.
        del answer
        gc.collect()


def _file(pipe: Connection[Any, Any]) -> IO[bytes]:
    """Receive a descriptor through the pipe and return it as an open file."""
    end = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, pipe.fileno())
    try:
        _, descriptors, _, _ = socket.recv_fds(end, 1, 1)
    finally:
        end.detach()
    return os.fdopen(descriptors[0], "rb")


def _answer(request: Request, args: tuple[Any, ...]) -> Answer | MediagateError:
    try:
        _load(request.recipe)
        with shared.memory.limited():
            return request.function(*args)
    except MediagateError as exc:
        return exc
    except Exception as exc:
        from mediagate.images.pixels.allocation import ran_out_of_memory

        if ran_out_of_memory(exc):
            return ImageTooLarge("the picture needs more memory than one image may use; send a smaller one")
        log.exception("image processing failed")
        return ProcessingError(f"the image could not be processed ({type(exc).__name__})")


def _load(recipe: Recipe | None) -> None:
    """Load libraries and models of steps, outside of the memory limit of one image."""
    if recipe is None or shared.operations is None:
        return
    from mediagate.images import pipeline

    before = address_space()
    pipeline.load(recipe, shared.operations)
    if address_space() != before:
        shared.memory.give_back()


def _prepare(setup: Setup) -> sandbox.Walls:
    shared.memory = Memory(setup.memory_bytes)
    if setup.core is not None and shared.lent is not None:
        shared.cores = Cores(shared.lent, own=setup.core, count=setup.cores)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.signal(timelimit.CPU_SIGNAL, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    tune_allocator()
    from mediagate.images import pixels

    pixels.check_pillow()
    pixels.check_libheif()
    limited = sys.platform == "linux" and address_space() is not None
    walls = sandbox.enclose(setup.readable, memory=limited)
    shared.moderator = pickle.loads(setup.moderator)
    shared.operations = pickle.loads(setup.operations)
    if shared.moderator is not None:
        shared.moderator.prepare()
    shared.memory.give_back()
    # There are as many image processes as cores; the host, which serves requests meanwhile, must not queue behind them.
    os.nice(NICENESS)
    return walls
