"""A cache of recent refusals, so that a caller who keeps retrying costs no queries."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace

from mediagate_plugins.rate_limit.counters import Charge, Charged, Count

KEPT = 4096
"""Maximum number of cached counters; the oldest is evicted."""
MAX_AGE_S = 1.0
"""Maximum age of a cached refusal, after which refunds are noticed."""


class Refusals:
    """The exhausted counters, as cached by this process."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[float, int, Count]] = OrderedDict()

    def note(self, charges: Sequence[Charge], charged: Charged) -> None:
        """Cache the refused charges."""
        for charge in charges:
            if charge.id in charged.refused and (count := charged.counts.get(charge.id)):
                self._kept[charge.id] = (time.monotonic(), charge.amount, count)
                self._kept.move_to_end(charge.id)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)

    def forget(self, ids: Sequence[str]) -> None:
        """Forget the refusals of these counters, which were deleted."""
        for one in ids:
            self._kept.pop(one, None)

    def known(self, charges: Sequence[Charge]) -> Charged | None:
        """Return the cached refusal if a charge of at most this size was refused recently, else ``None``."""
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
