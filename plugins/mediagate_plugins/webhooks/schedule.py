"""The retry schedule of webhooks."""

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
"""The pause before each attempt: ten attempts over about three days, as Standard Webhooks suggests."""
JITTER = 0.2
"""A pause is up to this share longer, so that deliveries that failed together are not retried together."""
LONGEST_S = 24 * HOUR
"""The longest pause that a receiver can request."""


def pause(attempts: int, *, asked_s: float | None = None) -> timedelta | None:
    """Return the pause after this many attempts, ``None`` after the last one.

    ``asked_s`` is the pause that the receiver requested, which can only lengthen the pause.
    """
    if attempts >= len(PAUSES_S):
        return None
    wanted = max(PAUSES_S[attempts], min(asked_s or 0.0, LONGEST_S))
    return timedelta(milliseconds=round(wanted * 1000 * random.uniform(1, 1 + JITTER)))


def retry_after_s(header: str | None, now: datetime) -> float | None:
    """Return the seconds in a ``Retry-After`` header (RFC 9110, 10.2.3), ``None`` if it is missing or malformed."""
    if header is None:
        return None
    if header.isascii() and header.isdigit() and len(header) < 10:
        return float(header)
    try:
        moment = parsedate_to_datetime(header)
    except (ValueError, OverflowError):  # OverflowError for a year or zone beyond the integers of C
        return None
    return max(0.0, (moment.replace(tzinfo=moment.tzinfo or UTC) - now).total_seconds())
