"""Waiting for something that other tasks or processes bring about."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from inspect import isawaitable

from tests.support.load import stretched

PAUSE_S = 0.005


async def until(condition: Callable[[], object | Awaitable[object]], timeout_s: float = 5) -> None:
    """Wait until a condition holds; it may be asynchronous. Raises ``AssertionError`` when the time runs out."""
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + timeout_s
    while loop.time() < ends_at:
        held = condition()
        if await held if isawaitable(held) else held:
            return
        await asyncio.sleep(PAUSE_S)
    raise AssertionError(f"it did not hold within {timeout_s:g} s")


def wait_until(condition: Callable[[], object], what: str, timeout_s: float = 60) -> None:
    """Wait until other processes have made a condition hold. Raises ``AssertionError`` when the time runs out."""
    ends_at = time.monotonic() + stretched(timeout_s)
    while not condition():
        assert time.monotonic() < ends_at, what
        time.sleep(0.1)
