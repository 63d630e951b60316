"""The main loop of an image process: it is forked, prepares itself, then answers one request after another.

Decoders and models are loaded only here; the host process never imports them for an upload.
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
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from multiprocessing.connection import Connection
from time import process_time
from typing import IO, TYPE_CHECKING, Any, TypeAlias, TypeVar

from mediagate.config import Source
from mediagate.errors import ConfigError, ImageTooLarge, MediagateError, ProcessingError
from mediagate.images import forkserver, sandbox, timelimit, wire
from mediagate.images.cores import Cores
from mediagate.images.memory import Memory, address_space, tune_allocator
from mediagate.moderation import Moderator, judging
from mediagate.observe import LogFormat, configure_logs
from mediagate.values import Framing, ImageInfo, Produced, Rendered

if TYPE_CHECKING:
    from mediagate.images.operations import Operations, Recipe
    from mediagate.images.previews import Previewing

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

Made = TypeVar("Made", "Rendered", "Produced")
Answer: TypeAlias = "Rendered | Produced | ImageInfo"

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


@dataclass
class _Shared:
    """State that the images of one process share."""

    moderator: Moderator | None = None
    memory: Memory = field(default_factory=Memory)
    operations: Operations | None = None
    pipe: Connection[Any, Any] | None = None
    cores: Cores | None = None
    lent: IO[bytes] | None = None
    """The lock file of all cores, opened once for all image processes."""


_shared = _Shared()


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
    pixels.has_simd()  # its answer holds for all image processes
    gc.enable()
    gc.freeze()  # otherwise each collection in a child would copy all shared pages
    with _lent_file() as _shared.lent:
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
    _shared.pipe = pipe
    with contextlib.suppress(EOFError, OSError):  # the host has ended
        while True:
            if _shared.memory.is_large() or not pipe.poll(REST_S):
                _shared.memory.give_back()
            _serve_one(pipe)


def _serve_one(pipe: Connection[Any, Any]) -> None:
    request: Request = pipe.recv()
    with _file(pipe) if request.with_file else contextlib.nullcontext() as file:
        args = request.args if file is None else (file, *request.args)
        with timelimit.kept(request.timeout_s, request.cpu_s):
            answer = _answer(request.function, args)
    wire.send(pipe, answer)


def _file(pipe: Connection[Any, Any]) -> IO[bytes]:
    """Receive a descriptor through the pipe and return it as an open file."""
    end = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, pipe.fileno())
    try:
        _, descriptors, _, _ = socket.recv_fds(end, 1, 1)
    finally:
        end.detach()
    return os.fdopen(descriptors[0], "rb")


def probe(file: IO[bytes], source: Source, whole: bool) -> ImageInfo:
    """Read a file's header, or with ``whole`` all of it."""
    from mediagate.images import pixels

    return pixels.probe(file, source, _shared.memory.image_bytes, pixels=whole)


def render(data: bytes, source: Source, framing: Framing, time_s: float, previews: int, files: bool) -> Rendered:
    """Render a file: verdict, and with ``files`` variants and original; timings include the CPU time of all threads.

    Refuses a picture that cannot be judged in ``time_s`` seconds. ``previews`` is the input edge of a remote moderator
    in pixels, 0 without one; if the picture may be published, the judged pictures are returned as JPEGs for it. They
    suit the largest and the smallest input edge of all moderators.
    """
    from mediagate.images import render

    began = process_time()
    moderator, seen = _judging(source, previews)
    limits: dict[str, Any] = {"memory_bytes": _shared.memory.image_bytes, "time_s": time_s}
    make = partial(render.render, data, source, framing.focal, moderator, crop=framing.crop, publish=files, **limits)
    make = partial(make, operations=_shared.operations)
    if files and _shared.pipe is not None:
        make = partial(make, told=partial(wire.send_stage, _shared.pipe))
    if _shared.cores is None:
        rendered = make()
    else:
        with _shared.cores.used():
            rendered = make(threads=2, borrow=_shared.cores.borrow)
    return _completed(rendered, began, seen)


def run_pipeline(
    data: bytes, recipe: Recipe, source: Source, inputs: Mapping[str, bytes], time_s: float, previews: int
) -> Produced:
    """Run a recipe on a file; the host is told at once that the inputs are allowed, and of the end of each step.

    ``previews`` as for ``render``.
    """
    from mediagate.images import pipeline, pipeline_wire

    if _shared.operations is None or _shared.pipe is None:
        raise ConfigError("this gate runs no pipelines: its image processes have no operations")
    began = process_time()
    moderator, seen = _judging(source, previews)
    with contextlib.nullcontext() if _shared.cores is None else _shared.cores.used():
        produced = pipeline.run(
            data,
            recipe,
            source,
            _shared.operations,
            moderator,
            inputs=inputs,
            memory_bytes=_shared.memory.image_bytes,
            time_s=time_s,
            judged=partial(wire.send_stage, _shared.pipe, pipeline_wire.JUDGED),
            told=partial(pipeline_wire.send_step, _shared.pipe),
        )
    return _completed(produced, began, seen)


def _judging(source: Source, previews: int) -> tuple[Moderator | None, Previewing | None]:
    """Return the moderator of a source's pictures, and the same once more if it collects previews."""
    moderator = judging(_shared.moderator, source, required=not previews)
    if not previews:
        return moderator, None
    from mediagate.images.previews import Previewing

    seen = Previewing(moderator, previews)
    return seen, seen


def _completed(answer: Made, began: float, seen: Previewing | None) -> Made:
    """Return an answer with its CPU time, and with previews if its picture may be published."""
    cpu_ms = round((process_time() - began) * 1000, 2)
    jpegs = tuple(seen.jpegs) if seen is not None and answer.verdict.decision == "allow" else ()
    return replace(answer, timings_ms={**answer.timings_ms, "cpu": cpu_ms}, previews=jpegs)


def _answer(function: Callable[..., Answer], args: tuple[Any, ...]) -> Answer | MediagateError:
    try:
        with _shared.memory.limited():
            return function(*args)
    except MediagateError as exc:
        return exc
    except Exception as exc:
        from mediagate.images.pixels.allocation import ran_out_of_memory

        if ran_out_of_memory(exc):
            return ImageTooLarge("the picture needs more memory than one image may use; send a smaller one")
        log.exception("image processing failed")
        return ProcessingError(f"the image could not be processed ({type(exc).__name__})")


def _prepare(setup: Setup) -> sandbox.Walls:
    _shared.memory = Memory(setup.memory_bytes)
    if setup.core is not None and _shared.lent is not None:
        _shared.cores = Cores(_shared.lent, own=setup.core, count=setup.cores)
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
    _shared.moderator = pickle.loads(setup.moderator)
    _shared.operations = pickle.loads(setup.operations)
    if _shared.moderator is not None:
        _shared.moderator.prepare()
    _shared.memory.give_back()
    # There are as many image processes as cores; the host, which serves requests meanwhile, must not queue behind them.
    os.nice(NICENESS)
    return walls


def _lent_file() -> IO[bytes]:
    """Return an empty file for locks, sealed against writes where the system supports that."""
    if not hasattr(os, "memfd_create"):
        return tempfile.TemporaryFile()
    memory = os.memfd_create("mediagate-cores", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    seals = fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL
    with contextlib.suppress(OSError):  # some systems have memory files but cannot seal them
        fcntl.fcntl(memory, fcntl.F_ADD_SEALS, seals)
    return os.fdopen(memory, "r+b", buffering=0)
