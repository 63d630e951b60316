"""The memory of an image process: its allocator, its limit for each image, and when freed memory is returned."""

from __future__ import annotations

import ctypes
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
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


@dataclass(slots=True)
class Memory:
    """The limit of one image in bytes, and the address space of this process when it was last idle."""

    image_bytes: int | None = None
    idle_bytes: int | None = None

    def give_back(self) -> None:
        """Return freed memory to the system, and note the address space of the idle process."""
        if hasattr(_libc, "malloc_trim"):  # glibc's
            _libc.malloc_trim(0)
        self.idle_bytes = address_space()

    def is_large(self) -> bool:
        """Whether this process may hold a large amount of freed memory."""
        if self.image_bytes is None or self.idle_bytes is None:
            return True
        now = address_space()
        return now is None or now > self.idle_bytes + self.image_bytes // MUCH

    @contextmanager
    def limited(self) -> Iterator[None]:
        """Limit the address space in the block to the idle one plus ``image_bytes``; beyond is ``MemoryError``.

        Enforced on Linux only. Memory left allocated by earlier images counts, which bounds a sequence of images.
        """
        if self.image_bytes is None or self.idle_bytes is None or sys.platform != "linux":
            yield
            return
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        limit = self.idle_bytes + self.image_bytes
        resource.setrlimit(resource.RLIMIT_AS, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_AS, (hard, hard))

    @contextmanager
    def lifted(self) -> Iterator[None]:
        """Suspend the limit in the block; what is allocated there does not count for the image afterwards."""
        if self.image_bytes is None or self.idle_bytes is None or sys.platform != "linux":
            yield
            return
        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        before = address_space() or 0
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
        try:
            yield
        finally:
            grown = max(0, (address_space() or 0) - before)
            if soft != resource.RLIM_INFINITY:
                soft = soft + grown if hard == resource.RLIM_INFINITY else min(soft + grown, hard)
            resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def address_space() -> int | None:
    """Return the bytes of this process's address space, ``None`` where the system does not tell."""
    pages = Path("/proc/self/statm")
    return int(pages.read_text().split()[0]) * resource.getpagesize() if pages.exists() else None
