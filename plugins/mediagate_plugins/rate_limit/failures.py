"""Addresses from which nobody could be told who asks: after so many failures all their requests are refused unasked.

Each process counts for itself, in memory: this limit is there to spare the store where callers are looked up.
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
"""Windows that a process keeps; the one that began first makes room."""


@dataclass(slots=True)
class Window:
    """What has failed since a first failure."""

    ends_at: float
    """By the monotonic clock."""
    failed: int = 0


class Failures:
    """Keeps the limits on requests whose caller could not be told."""

    def __init__(self, limits: Sequence[Limit], addresses: Addresses) -> None:
        self._limits = limits
        self._addresses = addresses
        self._windows: OrderedDict[tuple[str, Limit], Window] = OrderedDict()

    async def pre_authorize(self, request: Request, action: Action) -> None:
        """Raise ``RateLimited`` for an address whose failures have used up a limit."""
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
                f"the limit for requests of this address that do not prove who sends them is {waits[max(waits)]}; "
                f"there is room again in {wait_s} s",
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
        """Return the window that is not over, forgetting one that is."""
        window = self._windows.get((address, limit))
        if window is None or now < window.ends_at:
            return window
        del self._windows[address, limit]
        return None
