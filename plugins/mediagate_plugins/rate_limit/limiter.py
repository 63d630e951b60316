"""The limiter: asks the counters and slots before an upload is received, and puts right what was charged afterwards."""

from __future__ import annotations

import logging
import math
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Literal, TypeVar
from weakref import WeakSet

from starlette.requests import Request

from mediagate import Incoming, Job, Principal, Source
from mediagate.errors import LengthRequired, MediagateError, RateLimited, Unavailable, UploadTooLarge
from mediagate_plugins.rate_limit.addresses import Addresses
from mediagate_plugins.rate_limit.counters import Charge, Charged, Correction, Count, Counters
from mediagate_plugins.rate_limit.headers import rate_limit_headers
from mediagate_plugins.rate_limit.refusals import Refusals
from mediagate_plugins.rate_limit.rules import Rule, Rules
from mediagate_plugins.rate_limit.slots import Slots

log = logging.getLogger("mediagate.rate_limit")

T = TypeVar("T")

BESIDES = 1024 * 1024
"""Bytes of a body that are not the file's, at most; about half of it is what the gate allows."""
JOB_S = 5.0
"""When to come back for a slot: nobody knows when a job will end."""
DOWN_S = 1.0
"""A store that did not answer is not asked again for this long."""


@dataclass(slots=True, weakref_slot=True, eq=False)
class Held:
    """What one request has been charged so far."""

    caller: str
    declared: int | None
    token: str = field(default_factory=lambda: secrets.token_hex(16))
    rules: list[Rule] = field(default_factory=list)
    charges: list[Charge] = field(default_factory=list)
    counts: dict[str, Count] = field(default_factory=dict)
    """By policy."""
    places: dict[str, int] = field(default_factory=dict)
    """The counters of jobs in which it has a slot, and of how many."""


class Limiter:
    """Keeps the rules. ``slots`` is there exactly when a rule limits jobs."""

    def __init__(
        self,
        rules: Rules,
        addresses: Addresses,
        sources: Mapping[str, Source],
        counters: Counters,
        slots: Slots | None,
        *,
        store_down: Literal["allow", "refuse"],
    ) -> None:
        self._rules = rules
        self._addresses = addresses
        self._max_bytes = {name: source.max_bytes for name, source in sources.items()}
        self._counters = counters
        self._slots = slots
        self._store_down = store_down
        self._refusals = Refusals()
        self._down_until: dict[str, float] = {}
        # Weak, so that a request whose end nobody told us of holds its slots no longer.
        self._receiving: WeakSet[Held] = WeakSet()

    async def pre_receive(self, request: Incoming, principal: Principal | None) -> None:
        """Charge the key and the address; raises ``RateLimited``, ``LengthRequired`` or ``UploadTooLarge``."""
        address = self._addresses.of(request)
        # Neither has a line break, so that no two keys make the same.
        key = None if principal is None else f"key {principal.id}\n{principal.key or ''}"
        held = Held(key or f"address {address}", request.declared)
        request.state.rate_limit = held
        asked = [(rule, f"address {address}") for rule in self._rules.address]
        if key is not None:
            asked += [(rule, key) for rule in self._rules.key]
        await self._take(request, held, asked, largest=max(self._max_bytes.values()))

    async def pre_file(self, request: Request, source_type: str) -> None:
        """Charge what the source allows the caller: its key, else its address."""
        held: Held | None = getattr(request.state, "rate_limit", None)
        if held is not None:
            asked = [(rule, held.caller) for rule in self._rules.source.get(source_type, ())]
            await self._take(request, held, asked, largest=self._max_bytes[source_type])

    async def on_received(self, request: Request, received: int, job: Job | None) -> None:
        """Charge the bytes that came, no more and no less, and keep the slots for as long as the job is live."""
        held: Held | None = getattr(request.state, "rate_limit", None)
        if held is None:
            return
        self._receiving.discard(held)
        more = {c: received - c.amount for c in held.charges if c.rule.limit.kind == "bytes" and received != c.amount}
        await self._correct(held, more)
        if self._slots is None or not held.places:
            return
        try:
            if job is None:
                await self._slots.release(held.token)
            elif not await self._slots.bind(held.token, job.id, held.places):
                log.warning("job %s counts for no limit on jobs: its place lapsed, and others have taken it", job.id)
        except Unavailable as exc:
            log.warning("a place stays taken for up to a minute, or its job counts for no limit: %s", exc)

    async def renew(self) -> None:
        """Keep the slots of all uploads that are being received here; raises ``RecordsUnavailable``."""
        if self._slots is not None:
            await self._slots.renew([held.token for held in self._receiving if held.places])

    async def _take(self, request: Request, held: Held, asked: Sequence[tuple[Rule, str]], *, largest: int) -> None:
        held.rules += [rule for rule, _ in asked]
        try:
            rates = [_charge_of(*one, held.declared, largest) for one in asked if one[0].limit.window_s]
            charges = await self._charge(held, rates)
            try:
                await self._take_slots(held, [one for one in asked if not one[0].limit.window_s])
            except MediagateError:
                await self._correct(held, {charge: -charge.amount for charge in charges})
                raise
            held.charges += charges
        finally:
            others = getattr(request.state, "answer_headers", {})
            request.state.answer_headers = {**others, **rate_limit_headers(held.rules, held.counts)}

    async def _charge(self, held: Held, charges: list[Charge]) -> list[Charge]:
        """Return what was charged: all, or nothing where there is nothing to charge or the store is down."""
        charged = self._refusals.known(charges)
        if charged is None and charges:
            charged = await self._asked("counters", lambda: self._counters.charge(charges))
            self._refusals.note(charges, charged or Charged())
        if charged is None:
            return []
        held.counts |= {c.rule.policy: charged.counts[c.id] for c in charges if c.id in charged.counts}
        if charged.refused:
            raise _refusal(charges, charged)
        return charges

    async def _take_slots(self, held: Held, asked: Sequence[tuple[Rule, str]]) -> None:
        slots = self._slots
        if slots is None:
            return
        for rule, caller in asked:
            held.places[rule.counter(caller)] = rule.limit.amount
            self._receiving.add(held)
            take = partial(slots.take, rule.counter(caller), held.token, of=rule.limit.amount)
            if await self._asked("slots", take) is False:
                held.counts[rule.policy] = Count(rule.limit.amount, 0, 0)
                raise RateLimited(f"{rule.words} at once; wait until one has ended", retry_after_s=JOB_S)

    async def _asked(self, store: str, question: Callable[[], Awaitable[T]]) -> T | None:
        """Return a store's answer, or ``None`` when it is down and uploads are let in all the same."""
        try:
            if time.monotonic() < self._down_until.get(store, 0):
                raise Unavailable("the limits could not be read a moment ago; try again", retry_after_s=DOWN_S)
            try:
                return await question()
            except Unavailable:
                self._down_until[store] = time.monotonic() + DOWN_S
                raise
        except Unavailable as exc:
            if self._store_down == "refuse":
                raise
            log.warning("an upload is let in without its limits: %s", exc)
            return None

    async def _correct(self, held: Held, more: Mapping[Charge, int]) -> None:
        try:
            await self._counters.correct(
                [Correction(c.id, held.counts[c.rule.policy].ends_at_ms, amount) for c, amount in more.items()]
            )
        except Unavailable as exc:
            log.warning("what was counted too much or too little stays so until its window ends: %s", exc)


def _charge_of(rule: Rule, caller: str, declared: int | None, largest: int) -> Charge:
    """Charge a request, before its body is read, the length that it declares, else the longest that it may have."""
    limit = rule.limit
    if limit.kind == "requests":
        return Charge(rule, rule.counter(caller), 1)
    amount = largest + BESIDES if declared is None else declared
    if amount > limit.amount:
        if declared is None:
            raise LengthRequired(f"{rule.words}; send a Content-Length, so that it can be kept")
        raise UploadTooLarge(f"{rule.words}, and this upload has more than that by itself; send a smaller one")
    return Charge(rule, rule.counter(caller), amount)


def _refusal(charges: Sequence[Charge], charged: Charged) -> RateLimited:
    # A counter whose window ended in this moment has no count any more.
    left = {
        c.rule.words: charged.counts[c.id].left_ms if c.id in charged.counts else 0
        for c in charges
        if c.id in charged.refused
    }
    words, left_ms = max(left.items(), key=lambda item: item[1])
    wait_s = max(1, math.ceil(left_ms / 1000))
    return RateLimited(f"{words}; there is room again in {wait_s} s", retry_after_s=wait_s)
