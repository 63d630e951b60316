"""Limits on uploads per key, address and source: requests and bytes per window, and concurrent jobs.

In addition, limits on failed authentications per address. The limits on uploads apply to all processes of a service
together: the counters are rows of the records' database, or are kept in Redis. A window begins with its first upload
and is counted exactly, so a caller can exhaust one window at its end and the next at its beginning. An upload that is
refused before its body is read does not count.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Literal

from mediagate import RECORDS, MediaGate, plugin
from mediagate.errors import ConfigError, Unavailable
from mediagate.records import Database
from mediagate_plugins.rate_limit.addresses import Addresses
from mediagate_plugins.rate_limit.counters import Counters
from mediagate_plugins.rate_limit.database_counters import DatabaseCounters
from mediagate_plugins.rate_limit.failures import Failures
from mediagate_plugins.rate_limit.limiter import Limiter
from mediagate_plugins.rate_limit.rules import read_rules
from mediagate_plugins.rate_limit.slots import RECEIVING_S, Slots

log = logging.getLogger("mediagate.rate_limit")

CLEAN_EVERY_S = 60.0
RENEW_EVERY_S = RECEIVING_S / 3
NO_SOURCES: Mapping[str, str | Sequence[str]] = MappingProxyType({})


@plugin("rate_limit")
async def rate_limit(
    gate: MediaGate,
    *,
    per_key: str | Sequence[str] = (),
    per_address: str | Sequence[str] = (),
    per_source: Mapping[str, str | Sequence[str]] = NO_SOURCES,
    failures_per_address: str | Sequence[str] | None = None,
    redis_url: str | None = None,
    trusted_proxies: Sequence[str] = (),
    store_down: Literal["allow", "refuse"] = "allow",
) -> None:
    """Answer 429 to uploads over HTTP beyond these limits, before their bodies are read.

    A limit is ``"100/minute"``, ``"2 GB/day"`` (bytes of request bodies) or ``"5 jobs"`` (received or processed
    concurrently). ``per_key`` applies to each authenticated key, ``per_address`` to each IPv4 address and each IPv6
    network of 64 bits, and ``per_source`` (source type → limits) to the uploads of each caller, a key or else an
    address, to that source. All applicable limits are enforced.

    ``failures_per_address`` limits the failed authentications (401) of an address on any route. Beyond it, all
    requests of the address are answered 429 without authentication. Each process counts separately. Unset: 60 a minute
    if ``per_address`` is set, else no limit; ``()``: no limit.

    ``redis_url`` keeps the counters of requests and bytes in Redis; jobs are always counted in the records' database.
    ``trusted_proxies`` are addresses or networks (``unix``: a Unix socket) whose ``X-Forwarded-For`` is trusted;
    without them the peer's address counts. ``store_down`` decides about uploads while the store is unavailable:
    ``allow``, because limits exist to prevent overload, an upload itself needs the database, and the queue's length is
    limited anyway; or ``refuse`` (503), if a limit matters more than availability. Raises ``ConfigError``.
    """
    rules = read_rules(per_key, per_address, per_source, gate.sources, failures_per_address)
    try:
        addresses = Addresses(trusted_proxies)
    except ValueError as exc:
        raise ConfigError(f"rate_limit.trusted_proxies: {exc}; use addresses, networks or 'unix'") from None
    if store_down not in ("allow", "refuse"):
        raise ConfigError(f"rate_limit.store_down: use 'allow' or 'refuse', not {store_down!r}")
    counters = _redis(redis_url) if redis_url is not None else None
    jobs = any(rule.limit.kind == "jobs" for rule in rules.all)

    async def ready(gate: MediaGate) -> None:
        slots = None
        store = counters
        if jobs or store is None:
            try:
                database = Database.of(gate[RECORDS], "rate_limit")
            except ConfigError:
                raise ConfigError(
                    "rate_limit: limits are counted in the database of Prisma records, which this gate does not use; "
                    "set redis_url for limits on requests and bytes, and remove limits on jobs"
                ) from None
            slots = Slots(database) if jobs else None
            store = store or DatabaseCounters(database)
        await gate.enter(_cleaned(store, slots))
        limiter = Limiter(rules, addresses, gate.sources, store, slots, store_down=store_down)
        if slots is not None:
            await gate.enter(_repeated(limiter.renew, RENEW_EVERY_S, "could not renew the slots of running uploads"))
        gate.add_hook("pre_receive", limiter.pre_receive)
        gate.add_hook("pre_file", limiter.pre_file)
        gate.add_hook("on_received", limiter.on_received)
        gate.add_hook("pre_erase", limiter.erase)

    if rules.all:
        gate.add_hook("on_ready", ready)
    if rules.failures:
        failures = Failures(rules.failures, addresses)
        gate.add_hook("pre_authorize", failures.pre_authorize)
        gate.add_hook("on_unauthorized", failures.on_unauthorized)


def _redis(url: str) -> Counters:
    try:
        from mediagate_plugins.rate_limit.redis_counters import RedisCounters
    except ImportError:
        raise ConfigError('rate_limit: redis_url needs redis-py; pip install "mediagate[redis]"') from None
    return RedisCounters(url)


@asynccontextmanager
async def _cleaned(counters: Counters, slots: Slots | None) -> AsyncIterator[None]:
    """Remove expired counters and slots at once and every minute within the block; then close the counters."""

    async def clean() -> None:
        await counters.clean()
        if slots is not None:
            await slots.clean()

    try:
        await clean()
    except Unavailable as exc:
        # Otherwise a missing table would look like an unavailable store, and every upload would be admitted.
        raise ConfigError(
            "rate_limit: its tables are unavailable; migrate the database with `mediagate migrate`"
        ) from exc
    try:
        async with _repeated(clean, CLEAN_EVERY_S, "could not remove expired counters"):
            yield
    finally:
        await counters.close()


@asynccontextmanager
async def _repeated(step: Callable[[], Awaitable[None]], every_s: float, failed: str) -> AsyncIterator[None]:
    """Run a step every ``every_s`` seconds within the block; log a warning if the store is unavailable."""

    async def repeat() -> None:
        while True:
            await asyncio.sleep(every_s)
            try:
                await step()
            except Unavailable as exc:
                log.warning("%s: %s", failed, exc)

    running = asyncio.create_task(repeat())
    try:
        yield
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
