"""The limiter: charges the counters and slots before an upload is received, and corrects the charges afterwards."""

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

from mediagate import Erasure, Incoming, Job, Principal, Source
from mediagate.errors import LengthRequired, MediagateError, RateLimited, Unavailable, UploadTooLarge
from mediagate_plugins.rate_limit.addresses import Addresses
from mediagate_plugins.rate_limit.counters import Charge, Charged, Correction, Count, Counters
from mediagate_plugins.rate_limit.headers import rate_limit_headers
from mediagate_plugins.rate_limit.refusals import Refusals
from mediagate_plugins.rate_limit.rules import Rule, Rules
from mediagate_plugins.rate_limit.slots import Slots

log = logging.getLogger("mediagate.rate_limit")

T = TypeVar("T")

OVERHEAD = 1024 * 1024
"""Maximum bytes of a body outside the file; the gate allows about half of that."""
JOB_S = 5.0
"""Retry delay for a slot, in seconds; the end of a job cannot be predicted."""
COUNTERS, SLOTS = "rate limit counters", "rate limit slots"
"""What an erasure reports."""
DOWN_S = 1.0
"""Pause before an unavailable store is queried again, in seconds."""


@dataclass(slots=True, weakref_slot=True, eq=False)
class Held:
    """The charges of one request so far."""

    caller: str
    declared: int | None
    token: str = field(default_factory=lambda: secrets.token_hex(16))
    rules: list[Rule] = field(default_factory=list)
    charges: list[Charge] = field(default_factory=list)
    counts: dict[str, Count] = field(default_factory=dict)
    """By policy."""
    places: dict[str, int] = field(default_factory=dict)
    """Number of slots by job counter in which the request holds one."""


class Limiter:
    """Enforces the rules. ``slots`` is set if and only if a rule limits jobs."""

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
        # Weak, so that a request whose end was not reported stops holding its slots.
        self._receiving: WeakSet[Held] = WeakSet()

    async def pre_receive(self, request: Incoming, principal: Principal | None) -> None:
        """Charge the key and the address; raises ``RateLimited``, ``LengthRequired`` or ``UploadTooLarge``."""
        address = self._addresses.of(request)
        key = None if principal is None else _key_caller(principal.id, principal.key)
        held = Held(key or f"address {address}", request.declared)
        request.state.rate_limit = held
        asked = [(rule, f"address {address}") for rule in self._rules.address]
        if key is not None:
            asked += [(rule, key) for rule in self._rules.key]
        await self._take(request, held, asked, largest=max(self._max_bytes.values()))

    async def pre_file(self, request: Request, source_type: str) -> None:
        """Charge the source's limits of the caller, its key or else its address; raises like ``pre_receive``."""
        held: Held | None = getattr(request.state, "rate_limit", None)
        if held is not None:
            asked = [(rule, held.caller) for rule in self._rules.source.get(source_type, ())]
            await self._take(request, held, asked, largest=self._max_bytes[source_type])

    async def on_received(self, request: Request, received: int, job: Job | None) -> None:
        """Correct the charge to the received bytes, and bind the slots to the job until it ends."""
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
                log.warning("job %s: not counted in the limits on jobs, because its slot expired and was taken", job.id)
        except Unavailable as exc:
            log.warning(
                "could not update a slot; it stays taken for up to a minute, or its job is not counted: %s", exc
            )

    async def erase(self, erasure: Erasure) -> None:
        """Delete the counters and slots of an owner's keys; raises ``Unavailable``. Registered as a hook.

        Those of keys without a job on record are not found; they are hashes, and end with their windows.
        """
        rules = [*self._rules.key, *(rule for rules in self._rules.source.values() for rule in rules)]
        for key in (None, *sorted(erasure.keys)):
            caller = _key_caller(erasure.owner, key)
            if ids := [rule.counter(caller) for rule in rules if rule.limit.window_s]:
                erasure.add(COUNTERS, await self._counters.delete(ids))
                self._refusals.forget(ids)
            if slots := [rule.counter(caller) for rule in rules if not rule.limit.window_s]:
                assert self._slots is not None  # set if a rule limits jobs
                erasure.add(SLOTS, await self._slots.delete(slots))

    async def renew(self) -> None:
        """Renew the slots of all uploads that this process is receiving; raises ``RecordsUnavailable``."""
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
        """Return the counted charges, none if the store is unavailable; raises ``RateLimited``."""
        charged = self._refusals.known(charges)
        if charged is None and charges:
            charged = await self._query("counters", lambda: self._counters.charge(charges))
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
            if await self._query("slots", take) is False:
                held.counts[rule.policy] = Count(rule.limit.amount, 0, 0)
                raise RateLimited(f"{rule.words} at once; wait until one has ended", retry_after_s=JOB_S)

    async def _query(self, store: str, query: Callable[[], Awaitable[T]]) -> T | None:
        """Return the result of a store, or ``None`` if it is unavailable and uploads are allowed then."""
        try:
            if time.monotonic() < self._down_until.get(store, 0):
                raise Unavailable("the store of the limits is unavailable; try again in a moment", retry_after_s=DOWN_S)
            try:
                return await query()
            except Unavailable:
                self._down_until[store] = time.monotonic() + DOWN_S
                raise
        except Unavailable as exc:
            if self._store_down == "refuse":
                raise
            log.warning("limits not enforced for an upload: %s", exc)
            return None

    async def _correct(self, held: Held, more: Mapping[Charge, int]) -> None:
        try:
            await self._counters.correct(
                [Correction(c.id, held.counts[c.rule.policy].ends_at_ms, amount) for c, amount in more.items()]
            )
        except Unavailable as exc:
            log.warning("could not correct a charge, so its counter stays wrong until the window ends: %s", exc)


def _key_caller(owner: str, key: str | None) -> str:
    # Neither contains a line break, so the combination is unique.
    return f"key {owner}\n{key or ''}"


def _charge_of(rule: Rule, caller: str, declared: int | None, largest: int) -> Charge:
    """Return the charge of an unread request: its declared length, else the largest that its source allows."""
    limit = rule.limit
    if limit.kind == "requests":
        return Charge(rule, rule.counter(caller), 1)
    amount = largest + OVERHEAD if declared is None else declared
    if amount > limit.amount:
        if declared is None:
            raise LengthRequired(f"{rule.words}; send a Content-Length, so that it can be enforced")
        raise UploadTooLarge(f"{rule.words}, which this upload alone exceeds; send a smaller one")
    return Charge(rule, rule.counter(caller), amount)


def _refusal(charges: Sequence[Charge], charged: Charged) -> RateLimited:
    # A counter whose window has just ended has no count.
    left = {
        c.rule.words: charged.counts[c.id].left_ms if c.id in charged.counts else 0
        for c in charges
        if c.id in charged.refused
    }
    words, left_ms = max(left.items(), key=lambda item: item[1])
    wait_s = max(1, math.ceil(left_ms / 1000))
    return RateLimited(f"{words}; try again in {wait_s} s", retry_after_s=wait_s)
