"""When a webhook that was not taken is sent again."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

SECOND, MINUTE, HOUR = 1, 60, 3600
PAUSES_S = (
    0,
    5 * SECOND,
    5 * MINUTE,
    30 * MINUTE,
    2 * HOUR,
    5 * HOUR,
    10 * HOUR,
    14 * HOUR,
    20 * HOUR,
    24 * HOUR,
)
"""The pause before each attempt: ten of them over about three days, as Standard Webhooks suggests."""
JITTER = 0.2
"""A pause is up to this much longer, so that what failed together does not come back together."""
LONGEST_S = 24 * HOUR
"""What a receiver can ask for at most."""


def pause(attempts: int, *, asked_s: float | None = None) -> timedelta | None:
    """Return how long to wait after this many attempts, ``None`` when that was the last.

    ``asked_s`` is what the receiver asked for: it makes a pause longer, never shorter.
    """
    if attempts >= len(PAUSES_S):
        return None
    wanted = max(PAUSES_S[attempts], min(asked_s or 0.0, LONGEST_S))
    return timedelta(milliseconds=round(wanted * 1000 * random.uniform(1, 1 + JITTER)))


def retry_after_s(header: str | None, now: datetime) -> float | None:
    """Return the seconds that a ``Retry-After`` header asks for (RFC 9110, 10.2.3), ``None`` without a readable one."""
    if header is None:
        return None
    if header.isascii() and header.isdigit() and len(header) < 10:
        return float(header)
    try:
        moment = parsedate_to_datetime(header)
    except (ValueError, OverflowError):  # the latter for a year or zone that fits into no integer of C
        return None
    return max(0.0, (moment.replace(tzinfo=moment.tzinfo or UTC) - now).total_seconds())
