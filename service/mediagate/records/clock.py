"""The database's clock, which decides about leases: known to this process without asking each time."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from mediagate.errors import RecordsUnavailable

log = logging.getLogger("mediagate.records")

MEASURE_EVERY_S = 15.0
ASK_AGAIN_S = 1.0
"""How soon a measurement that failed is tried again."""
STEP_S = 1.0
"""A clock of ours that moved by this much against the other was set, or the machine was paused."""
DRIFT = 0.0005
"""How far two clocks may part in a second: Linux corrects its own by at most 500 millionths (adjtimex(2))."""


class DatabaseClock:
    """Tells the database's time from this process's monotonic clock and what lies between the two.

    ``ask`` returns the database's time in milliseconds since 1970. It lies between the moments at which it was asked
    and answered; what several measurements agree on is closer than any one of them (Marzullo 1984, "Maintaining the
    Time in a Distributed System"). The wall clock of this machine has no part in it: it only shows that a measurement
    no longer holds, because it was set or the machine was paused.
    """

    def __init__(self, ask: Callable[[], Awaitable[int]]) -> None:
        self._ask = ask
        self._measuring = asyncio.Lock()
        self._known: tuple[float, float] | None = None
        """Between what bounds the database's clock is ahead of our monotonic one, in ms."""
        self._measured_at = 0.0
        self._due_at = 0.0
        self._wall_ahead = 0.0
        self._told_ms = 0

    async def now(self) -> datetime:
        """Return the database's time in UTC at millisecond precision; never runs backwards by less than a second.

        Raises ``RecordsUnavailable`` if it was never measured and the database does not answer.
        """
        if self._stepped():
            self._known = None
        # Who comes while somebody measures needs not wait, if what is known still holds.
        if self._known is None or (self._due() and not self._measuring.locked()):
            async with self._measuring:
                if self._known is None:
                    # The first answer may come late, over a connection that was opened for it; the second does not.
                    await self._measure()
                    await self._measure()
                elif self._due():
                    await self._measure()
        told = int(_monotonic_ms() + sum(self._known or ()) / 2)
        if not 0 < self._told_ms - told < 1000:
            self._told_ms = told
        return datetime.fromtimestamp(self._told_ms // 1000, UTC).replace(microsecond=self._told_ms % 1000 * 1000)

    def _due(self) -> bool:
        return time.monotonic() >= self._due_at

    def _stepped(self) -> bool:
        elapsed = time.monotonic() - self._measured_at
        # One that is long past says as little as one that is still to come.
        if not 0 <= elapsed <= 4 * MEASURE_EVERY_S:
            return True
        return abs(time.time() - time.monotonic() - self._wall_ahead) > STEP_S

    async def _measure(self) -> None:
        wall_ahead, asked = time.time() - time.monotonic(), _monotonic_ms()
        try:
            told = await self._ask()
        except RecordsUnavailable as exc:
            if self._known is None:
                raise
            log.warning("the database's clock was not measured, and is reckoned on: %s", exc)
            self._due_at = time.monotonic() + ASK_AGAIN_S
            return
        # It says whole milliseconds, so it stood up to one later.
        low, high = told - _monotonic_ms(), told + 1 - asked
        if self._known is not None:
            drift = (asked / 1000 - self._measured_at) * 1000 * DRIFT
            before = (self._known[0] - drift, self._known[1] + drift)
            if max(low, before[0]) <= min(high, before[1]):
                low, high = max(low, before[0]), min(high, before[1])
            else:
                log.warning("the database's clock was set by about %.0f ms", (low + high - sum(before)) / 2)
        self._known = (low, high)
        self._wall_ahead, self._measured_at = wall_ahead, asked / 1000
        self._due_at = self._measured_at + MEASURE_EVERY_S


def _monotonic_ms() -> float:
    return time.monotonic() * 1000
