"""What runs inside an image process: it prepares itself, then answers one request after the other.

Only here are decoders and models loaded; the host process never imports them for an upload.
"""

from __future__ import annotations

import ctypes
import logging
import multiprocessing
import os
import pickle
import resource
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mediagate.config import Source
from mediagate.errors import ConfigError, ImageTooLarge, MediagateError, ProcessingError
from mediagate.media import ImageInfo, Rendered

if TYPE_CHECKING:
    from mediagate.moderation import Moderator

log = logging.getLogger("mediagate")

PARENT_CHECK_S = 2.0
ALARM_AFTER_S = 5.0
"""How long after its time limit a process ends by itself, should its parent be gone and unable to end it."""
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
M_ARENA_MAX = -8
"""A parameter of glibc's ``mallopt``: each further arena would reserve 64 MiB of the limited address space."""

_moderator: Moderator | None = None
_memory_bytes: int | None = None


def serve(pipe: Connection, memory_bytes: int, moderator: bytes) -> None:
    """Prepare, say so, and answer requests until the pipe or the parent ends.

    A request is ``(function, timeout_s, args)``, an answer ``(True, result)`` or ``(False, an error of ours)``.
    """
    try:
        _prepare(memory_bytes, moderator)
    except Exception as exc:
        error = exc if isinstance(exc, MediagateError) else ConfigError(f"{type(exc).__name__}: {exc}")
        pipe.send((False, ConfigError(f"the image processes cannot start: {error.detail}")))
        return
    pipe.send((True, None))
    while True:
        try:
            function, timeout_s, args = pipe.recv()
        except (EOFError, OSError):
            return
        # The kernel keeps this one, whatever a decoder does to the interpreter: no hung process outlives its parent.
        signal.setitimer(signal.ITIMER_REAL, timeout_s + ALARM_AFTER_S)
        answer = _answer(function, args)
        signal.setitimer(signal.ITIMER_REAL, 0)
        try:
            pipe.send(answer)
        except OSError:
            return


def probe(path: Path, source: Source) -> ImageInfo:
    """Read a file's header."""
    from mediagate import images

    return images.probe(path, source, _memory_bytes)


def render(data: bytes, source: Source, focal: tuple[float, float], threads: int) -> Rendered:
    """Take a file to its verdict, variants and original."""
    from mediagate import rendering

    return rendering.render(data, source, focal, _moderator, threads=threads, memory_bytes=_memory_bytes)


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


def _prepare(memory_bytes: int, pickled: bytes) -> None:
    global _moderator, _memory_bytes  # noqa: PLW0603  # the same for all images of a process
    _memory_bytes = memory_bytes
    # Ctrl-C reaches the whole foreground group; ending these processes is the parent's to do.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # glibc's
    if mallopt is not None:
        mallopt(M_ARENA_MAX, 1)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    for variable in THREAD_VARIABLES:
        os.environ.setdefault(variable, "1")

    from mediagate import images, rendering  # noqa: F401  # loaded now, before the first image waits for it

    images.check_pillow()
    images.limit_threads()
    images.lift_pixel_limit()
    _moderator = pickle.loads(pickled)
    if _moderator is not None:
        _moderator.prepare()


@contextmanager
def _limited() -> Iterator[None]:
    """Let the block add so much to the address space; ``MemoryError`` beyond. Enforced on Linux only."""
    pages = Path("/proc/self/statm")
    if _memory_bytes is None or sys.platform != "linux" or not pages.exists():
        yield
        return
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    limit = int(pages.read_text().split()[0]) * resource.getpagesize() + _memory_bytes
    resource.setrlimit(resource.RLIMIT_AS, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))


def _end_with_parent() -> None:
    """End this process when its parent has died and can no longer do so, whatever it is working on."""
    parent = multiprocessing.parent_process()
    while parent is not None and os.getppid() == parent.pid:
        parent.join(PARENT_CHECK_S)
        time.sleep(0.05)
    os._exit(1)
