"""The record of a reserved name."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reservation:
    """The record of an ``Idempotency-Key``; ``job_id`` and ``fingerprint`` are ``None`` while in flight."""

    key: str
    job_id: str | None
    fingerprint: str | None
