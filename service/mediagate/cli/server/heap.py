"""The heap of a process with many connections, under the GNU C library."""

from __future__ import annotations

import ctypes

M_ARENA_MAX = -8
"""The parameter of ``mallopt`` (``malloc.h``)."""
ARENAS = 2
"""Instead of eight per core, each of which holds the memory that its threads have freed."""


def limit_arenas() -> None:
    """Make all threads share few arenas, so that memory freed by one of them can be used by the others."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(M_ARENA_MAX, ARENAS)
