"""The protocol of the shared counters, and its values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from mediagate_plugins.rate_limit.rules import Rule


@dataclass(frozen=True, slots=True)
class Charge:
    """An amount (requests or bytes) to count against one caller's limit."""

    rule: Rule
    id: str
    """The id of the counter."""
    amount: int


@dataclass(frozen=True, slots=True)
class Count:
    """The state of a counter: the used amount, and the milliseconds until its window ends."""

    used: int
    left_ms: int
    ends_at_ms: int
    """By the store's clock; identifies the window."""


@dataclass(frozen=True, slots=True)
class Charged:
    """The result of charges: if any was refused, none was counted."""

    counts: dict[str, Count] = field(default_factory=dict)
    """By the id of the counter."""
    refused: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Correction:
    """An amount to add to a charge, or to refund if negative, unless its window has ended."""

    id: str
    ends_at_ms: int
    amount: int


class Counters(Protocol):
    """Counters that all processes share. A window begins with its first charge.

    Each method raises ``Unavailable`` when the store is unavailable.
    """

    async def charge(self, charges: Sequence[Charge]) -> Charged:
        """Count all charges, each in one atomic step that never exceeds its limit; or none if one does not fit."""

    async def correct(self, corrections: Sequence[Correction]) -> None:
        """Adjust earlier charges to their actual amounts."""

    async def delete(self, ids: Sequence[str]) -> int:
        """Delete these counters; returns the number of those that existed."""

    async def clean(self) -> int:
        """Remove expired counters, unless the store does so itself; return their number."""

    async def close(self) -> None:
        """Close the counters' own connections to the store."""
