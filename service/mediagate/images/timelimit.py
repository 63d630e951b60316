"""Time limits that the kernel enforces on a process, whatever a decoder does to its interpreter."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

ALARM_AFTER_S = 5.0
"""How long after its time limit a process ends itself, in case the host has died and cannot kill it."""
CPU_SIGNAL = signal.SIGPROF
"""The signal that kills a process for exceeding its CPU time."""


@contextmanager
def kept(wall_s: float, cpu_s: float | None) -> Iterator[None]:
    """Have the kernel kill this process when the block exceeds ``cpu_s`` of CPU time, or well over ``wall_s``."""
    signal.setitimer(signal.ITIMER_REAL, wall_s + ALARM_AFTER_S)
    signal.setitimer(signal.ITIMER_PROF, cpu_s or 0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
