"""What is counted: the protocol of the shared counters, and the values that go in and out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from mediagate_plugins.rate_limit.rules import Rule


@dataclass(frozen=True, slots=True)
class Charge:
    """An amount (requests or bytes) that is to be counted against one caller's limit."""

    rule: Rule
    id: str
    """Names the counter."""
    amount: int


@dataclass(frozen=True, slots=True)
class Count:
    """Where a counter stands: what is used, and in how many milliseconds its window ends."""

    used: int
    left_ms: int
    ends_at_ms: int
    """By the store's clock; tells one window from the next."""


@dataclass(frozen=True, slots=True)
class Charged:
    """What came of charges: nothing was counted if any was refused."""

    counts: dict[str, Count] = field(default_factory=dict)
    """By the id of the counter."""
    refused: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Correction:
    """Bytes or requests to add to what was charged, or with a minus to give back, if the window is still that one."""

    id: str
    ends_at_ms: int
    amount: int


class Counters(Protocol):
    """Counters that all processes share. A window begins with its first charge.

    Each method raises ``Unavailable`` when the store does not answer.
    """

    async def charge(self, charges: Sequence[Charge]) -> Charged:
        """Count all charges, each by one atomic step that never exceeds its limit; or none if one does not fit."""

    async def correct(self, corrections: Sequence[Correction]) -> None:
        """Put right what was charged before its true amount was known."""

    async def clean(self) -> int:
        """Remove the counters whose windows are over, where the store does not do so itself; returns how many."""

    async def close(self) -> None:
        """Close the connections to the store, if they are the counters' own."""
