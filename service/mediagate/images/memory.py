"""The memory of an image process: its allocator, its limit for each image, and when freed memory is returned."""

from __future__ import annotations

import contextlib
import ctypes
import resource
import sys
from collections.abc import Iterator
from pathlib import Path

MALLOC = {
    -8: 1,  # M_ARENA_MAX: each further arena would reserve 64 MiB of the limited address space
    # Large blocks come from the heap: having the kernel clear fresh pages for each step took a twentieth of the time.
    -3: 1 << 30,  # M_MMAP_THRESHOLD
    -1: 1 << 30,  # M_TRIM_THRESHOLD
}
"""Parameters of glibc's ``mallopt`` by their numbers."""
MUCH = 4
"""Freed memory counts as large from 1 / ``MUCH`` of an image's memory on."""

_libc = ctypes.CDLL(None)


def tune_allocator() -> None:
    """Set the parameters of glibc's allocator, where it is used."""
    if hasattr(_libc, "mallopt"):
        for parameter, value in MALLOC.items():
            _libc.mallopt(parameter, value)


def address_space() -> int | None:
    """Return the address space of this process in bytes, ``None`` where that is unknown."""
    pages = Path("/proc/self/statm")
    return int(pages.read_text().split()[0]) * resource.getpagesize() if pages.exists() else None


class Memory:
    """The limit of one process; ``limit_bytes`` is how much one image may add to its address space."""

    def __init__(self, limit_bytes: int | None = None) -> None:
        self.limit_bytes = limit_bytes
        self._idle_bytes: int | None = None

    def give_back(self) -> None:
        """Return freed memory to the system, and note the address space of the idle process."""
        if hasattr(_libc, "malloc_trim"):  # glibc's
            _libc.malloc_trim(0)
        self._idle_bytes = address_space()

    def holds_much(self) -> bool:
        """Whether much more is held than when the process was last idle, or whether that is unknown."""
        if self.limit_bytes is None or self._idle_bytes is None:
            return True
        now = address_space()
        return now is None or now > self._idle_bytes + self.limit_bytes // MUCH

    @contextlib.contextmanager
    def limited(self) -> Iterator[None]:
        """Limit the address space in the block to that of the idle process plus the limit; beyond is ``MemoryError``.

        Enforced on Linux only. Memory left allocated by earlier images counts, which bounds a sequence of images.
        """
        if self.limit_bytes is None or self._idle_bytes is None or sys.platform != "linux":
            yield
            return
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        limit = self._idle_bytes + self.limit_bytes
        resource.setrlimit(resource.RLIMIT_AS, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
