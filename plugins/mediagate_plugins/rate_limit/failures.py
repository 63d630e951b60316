"""Failed authentications per address; beyond the limit, all requests of the address are refused unauthenticated.

Each process counts in its own memory: a shared counter would cost the very query that the limit is meant to save.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from starlette.requests import Request

from mediagate import Action
from mediagate.errors import RateLimited
from mediagate_plugins.rate_limit.addresses import Addresses
from mediagate_plugins.rate_limit.limits import Limit

KEPT = 10_000
"""Maximum number of windows per process; the oldest is evicted."""


@dataclass(slots=True)
class Window:
    """The failures since the first one of a window."""

    ends_at: float
    """By the monotonic clock."""
    failed: int = 0


class Failures:
    """Enforces the limits on failed authentications."""

    def __init__(self, limits: Sequence[Limit], addresses: Addresses) -> None:
        self._limits = limits
        self._addresses = addresses
        self._windows: OrderedDict[tuple[str, Limit], Window] = OrderedDict()

    async def pre_authorize(self, request: Request, action: Action) -> None:
        """Raise ``RateLimited`` for an address whose failures have exhausted a limit."""
        if not self._windows:
            return
        address, now = self._addresses.of(request), time.monotonic()
        waits = {
            window.ends_at - now: limit.text
            for limit in self._limits
            if (window := self._window(address, limit, now)) is not None and window.failed >= limit.amount
        }
        if waits:
            wait_s = max(1, math.ceil(max(waits)))
            raise RateLimited(
                f"the limit for failed authentications of this address is {waits[max(waits)]}; try again in {wait_s} s",
                retry_after_s=wait_s,
            )

    async def on_unauthorized(self, request: Request, action: Action) -> None:
        """Count a failure."""
        address, now = self._addresses.of(request), time.monotonic()
        for limit in self._limits:
            window = self._window(address, limit, now)
            if window is None:
                window = self._windows[address, limit] = Window(now + limit.window_s)
            window.failed += 1
        while len(self._windows) > KEPT:
            self._windows.popitem(last=False)

    def _window(self, address: str, limit: Limit, now: float) -> Window | None:
        """Return the current window; delete an expired one."""
        window = self._windows.get((address, limit))
        if window is None or now < window.ends_at:
            return window
        del self._windows[address, limit]
        return None
