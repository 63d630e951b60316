"""Limits of time that the kernel keeps for a process, whatever a decoder does to its interpreter."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

ALARM_AFTER_S = 5.0
"""How long after its time limit a process ends by itself, should its host be gone and nobody end it."""
CPU_SIGNAL = signal.SIGPROF
"""What a process dies of that takes more CPU time than it may."""


@contextmanager
def kept(wall_s: float, cpu_s: float | None) -> Iterator[None]:
    """Have this process ended when the block takes ``cpu_s`` of CPU time, or well over ``wall_s`` in all."""
    signal.setitimer(signal.ITIMER_REAL, wall_s + ALARM_AFTER_S)
    signal.setitimer(signal.ITIMER_PROF, cpu_s or 0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
