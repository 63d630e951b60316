"""The walls around an image process: a hostile picture may compromise the process, but must not reach beyond it.

The process sets up all walls itself, before it has a second thread: Landlock and seccomp restrict the calling thread
and those that it starts later, and loading onnxruntime starts some.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import struct
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from mediagate.images.sandbox import landlock, seccomp
from mediagate.images.sandbox.reading import Readable, readable

__all__ = ["Readable", "Walls", "enclose", "readable"]

_PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 4, 38
_CAPABILITY_VERSION_3 = 0x20080522
_CAP_DAC_READ_SEARCH = 1 << 2
"""The only capability left to a process of root: reading the libraries of other users."""
_PROC = ("/proc/self/maps", "/proc/self/statm", "/proc/self/status")
"""Readable information about itself: glibc and libffi look here for mapped memory, its size, and usable cores."""


@dataclass(frozen=True, slots=True)
class Walls:
    """The restrictions of an image process, as verified by the process itself."""

    memory: bool = False
    landlock: int = 0
    """The version of the kernel's Landlock interface, 0 if unavailable."""
    seccomp: bool = False
    network: bool = True
    """Whether it could open a socket."""
    missing: str = ""
    """The restrictions that could not be set up, with reasons; empty if there are none."""

    def __str__(self) -> str:
        held = ["memory"] if self.memory else []
        held.append("time")
        held += [f"Landlock {self.landlock}"] if self.landlock else []
        held += ["seccomp"] if self.seccomp else []
        held += [] if self.network else ["no network"]
        return ", ".join(held) + (f" (missing: {self.missing})" if self.missing else "")


def enclose(readable: Iterable[Readable], *, memory: bool) -> Walls:
    """Restrict this process permanently, as far as its kernel supports that; raises nothing and returns the result.

    ``memory`` says whether the memory of each image is limited, which happens elsewhere.
    """
    if sys.platform != "linux":
        return Walls(memory=memory, missing=f"{sys.platform} has no Landlock and no seccomp")
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    _drop_capabilities(libc)
    # Open for the life of the process: the kernel recreates the inodes of /proc after evicting them, and the rules
    # apply to the inodes that are open here.
    for path in _PROC:
        with contextlib.suppress(OSError):  # there may be no /proc
            os.open(path, os.O_PATH | os.O_CLOEXEC)
    files = landlock.restrict(libc, [*readable, *map(Readable, _PROC)])
    unfiltered = seccomp.restrict(libc, may_open_to_write=bool(files))
    missing = [] if files else ["Landlock, which this kernel lacks or has switched off"]
    missing += [] if unfiltered is None else [f"seccomp ({unfiltered})"]
    missing += [] if memory else ["a limit of memory"]
    walls = Walls(memory=memory, landlock=files, seccomp=unfiltered is None, missing="; ".join(missing))
    return replace(walls, network=not _refused(lambda: socket.socket().close()))


def _drop_capabilities(libc: ctypes.CDLL) -> None:
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    held = ctypes.create_string_buffer(24)
    if libc.capget(header, held):
        return
    effective, permitted, _, *_ = struct.unpack("=6I", held.raw)
    kept = effective & permitted & _CAP_DAC_READ_SEARCH
    libc.capset(header, struct.pack("=6I", kept, kept, 0, 0, 0, 0))


def _refused(attempt: Callable[[], None]) -> bool:
    try:
        attempt()
    except OSError:
        return True
    return False
