"""What is on record for a name that a request holds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reservation:
    """What is on record for an ``Idempotency-Key``; ``job_id`` and ``fingerprint`` are ``None`` while in flight."""

    key: str
    job_id: str | None
    fingerprint: str | None
