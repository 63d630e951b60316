"""The database's clock, which decides about leases, estimated without a query each time."""

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
"""The pause before a failed measurement is retried."""
STEP_S = 1.0
"""If the wall clock moved by this much against the monotonic one, it was set, or the machine was suspended."""
DRIFT = 0.0005
"""How far two clocks may diverge per second: Linux corrects its clock by at most 500 millionths (adjtimex(2))."""


class DatabaseClock:
    """Computes the database's time from this process's monotonic clock and the measured offset.

    ``ask`` returns the database's time in milliseconds since 1970. That time lies between request and answer; the
    intersection of several measurements is narrower than any of them (Marzullo 1984, "Maintaining the Time in a
    Distributed System"). The wall clock of this machine only invalidates a measurement: a step of it shows that it was
    set or that the machine was suspended.
    """

    def __init__(self, ask: Callable[[], Awaitable[int]]) -> None:
        self._ask = ask
        self._measuring = asyncio.Lock()
        self._known: tuple[float, float] | None = None
        """The bounds of the offset from the monotonic clock to the database's clock, in ms."""
        self._measured_at = 0.0
        self._due_at = 0.0
        self._wall_ahead = 0.0
        self._last_ms = 0

    async def now(self) -> datetime:
        """Return the database's time in UTC at millisecond precision; corrections below a second never step it back.

        Raises ``RecordsUnavailable`` if it was never measured and the database does not answer.
        """
        if self._stepped():
            self._known = None
        # A caller during a measurement need not wait if the previous one is still valid.
        if self._known is None or (self._due() and not self._measuring.locked()):
            async with self._measuring:
                if self._known is None:
                    # The first answer may be delayed by opening the connection; the second is not.
                    await self._measure()
                    await self._measure()
                elif self._due():
                    await self._measure()
        now_ms = int(_monotonic_ms() + sum(self._known or ()) / 2)
        if not 0 < self._last_ms - now_ms < 1000:
            self._last_ms = now_ms
        return datetime.fromtimestamp(self._last_ms // 1000, UTC).replace(microsecond=self._last_ms % 1000 * 1000)

    def _due(self) -> bool:
        return time.monotonic() >= self._due_at

    def _stepped(self) -> bool:
        elapsed = time.monotonic() - self._measured_at
        # A measurement that is too old, or from the future, is invalid.
        if not 0 <= elapsed <= 4 * MEASURE_EVERY_S:
            return True
        return abs(time.time() - time.monotonic() - self._wall_ahead) > STEP_S

    async def _measure(self) -> None:
        wall_ahead, asked = time.time() - time.monotonic(), _monotonic_ms()
        try:
            answer = await self._ask()
        except RecordsUnavailable as exc:
            if self._known is None:
                raise
            log.warning("could not measure the database's clock, continuing with the last measurement: %s", exc)
            self._due_at = time.monotonic() + ASK_AGAIN_S
            return
        # The answer is truncated to whole milliseconds, so the time was up to one later.
        low, high = answer - _monotonic_ms(), answer + 1 - asked
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
