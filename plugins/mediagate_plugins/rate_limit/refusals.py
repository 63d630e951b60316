"""What was refused a moment ago, so that a caller who keeps on asking costs the store nothing."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace

from mediagate_plugins.rate_limit.counters import Charge, Charged, Count

KEPT = 4096
"""Counters that are remembered; the oldest makes room."""
MAX_AGE_S = 1.0
"""For so long at most: what others gave back meanwhile is noticed after that."""


class Refusals:
    """Counters that had no room, in this process."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[float, int, Count]] = OrderedDict()

    def note(self, charges: Sequence[Charge], charged: Charged) -> None:
        """Remember which of the charges were refused."""
        for charge in charges:
            if charge.id in charged.refused and (count := charged.counts.get(charge.id)):
                self._kept[charge.id] = (time.monotonic(), charge.amount, count)
                self._kept.move_to_end(charge.id)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)

    def known(self, charges: Sequence[Charge]) -> Charged | None:
        """Return what the store would say, if a charge of that size was refused a moment ago."""
        counts = {}
        for charge in charges:
            if charge.id not in self._kept:
                continue
            noted, amount, count = self._kept[charge.id]
            age_s = time.monotonic() - noted
            if age_s >= min(MAX_AGE_S, count.left_ms / 1000):
                del self._kept[charge.id]
            elif charge.amount >= amount:
                counts[charge.id] = replace(count, left_ms=count.left_ms - int(age_s * 1000))
        return Charged(counts, frozenset(counts)) if counts else None
