"""How much longer things take now than on an idle machine, by the processes that wait for its cores."""

from __future__ import annotations

import os


def stretched(idle_s: float) -> float:
    """Return how long something may take now that is given so many seconds on a machine with little to do.

    Up to two processes a core, that is the time itself; with more of them, each gets a smaller share of the machine.
    """
    waiting = os.getloadavg()[0] / len(os.sched_getaffinity(0))
    return round(idle_s * max(1.0, waiting / 2), 1)
