"""Idempotency keys in memory."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from mediagate.records.reservation import Reservation


class IdempotencyKeys:
    """Reservations by key, each with its expiry."""

    def __init__(self) -> None:
        self.held: dict[str, tuple[Reservation, datetime]] = {}

    def reserve(self, key: str, now: datetime, expires_at: datetime) -> Reservation | None:
        """Reserve a key; returns the existing reservation, or ``None`` when the key is now ours."""
        held = self.held.get(key)
        if held is not None and held[1] > now:
            return held[0]
        self.held[key] = (Reservation(key, None, None), expires_at)
        return None

    def in_flight(self, key: str) -> bool:
        """Return whether a key is reserved and not bound to a job yet."""
        return key in self.held and self.held[key][0].job_id is None

    def keep(self, key: str, expires_at: datetime) -> None:
        """Extend the reservation of a key in flight."""
        if self.in_flight(key):
            self.held[key] = (self.held[key][0], expires_at)

    def release(self, key: str) -> None:
        """Delete a key in flight."""
        if self.in_flight(key):
            del self.held[key]

    def bind(self, reservation: Reservation, expires_at: datetime) -> bool:
        """Bind a key in flight to a job; ``False`` when it is not in flight."""
        if not self.in_flight(reservation.key):
            return False
        self.held[reservation.key] = (reservation, expires_at)
        return True

    def forget_expired(self, now: datetime) -> int:
        """Delete expired keys and return their number."""
        expired = [key for key, (_, until) in self.held.items() if until <= now]
        for key in expired:
            del self.held[key]
        return len(expired)

    def erase(self, job_ids: Collection[str]) -> None:
        """Delete the keys of jobs."""
        self.held = {key: held for key, held in self.held.items() if held[0].job_id not in job_ids}
