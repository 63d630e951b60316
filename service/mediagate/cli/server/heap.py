"""The heap of a process that serves many connections: the GNU C library's, where it is that."""

from __future__ import annotations

import ctypes

M_ARENA_MAX = -8
"""The parameter of ``mallopt`` (``malloc.h``)."""
ARENAS = 2
"""In place of eight for each core, each of which keeps what its threads have freed."""


def limit_arenas() -> None:
    """Let all threads share few arenas, so that memory which one of them frees serves the others."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(M_ARENA_MAX, ARENAS)
