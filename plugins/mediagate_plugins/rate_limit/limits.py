"""The notation of limits: ``100/minute``, ``2 GB/day``, ``5 jobs``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["requests", "bytes", "jobs"]

WINDOWS = {"second": 1, "minute": 60, "hour": 3600, "day": 24 * 3600, "week": 7 * 24 * 3600}
BYTES = {
    name: base**power
    for base, names in ((1000, ("B", "KB", "MB", "GB", "TB")), (1024, ("B", "KiB", "MiB", "GiB", "TiB")))
    for power, name in enumerate(names)
}
MAX_JOBS = 1000
MAX_AMOUNT = 10**15
"""The stores count exactly up to 2^53."""
HOW = "write limits as '100/minute', '10/30 seconds', '2 GB/day' or '5 jobs'"

_RATE = re.compile(r"([\d_]+(?:\.\d+)?) ?([A-Za-z]*) ?/ ?(\d*) ?([a-z]+?)s?")
_JOBS = re.compile(r"(\d+) jobs?")


@dataclass(frozen=True, slots=True)
class Limit:
    """A number of requests or bytes in ``window_s`` seconds from the first one on, or of concurrent jobs."""

    text: str
    kind: Kind
    amount: int
    window_s: int = 0
    """0 for jobs."""


def parse(text: str) -> Limit:
    """Parse a limit; raises ``ValueError`` with the correct notation.

    ``KB`` is 1,000 bytes and ``KiB`` 1,024 (IEC 80000-13).
    """
    if jobs := _JOBS.fullmatch(text):
        if not 1 <= int(jobs[1]) <= MAX_JOBS:
            raise ValueError(f"{text!r}: use 1 to {MAX_JOBS:,} jobs")
        return Limit(text, "jobs", int(jobs[1]))
    rate = _RATE.fullmatch(text)
    if rate is None:
        raise ValueError(f"{text!r}: {HOW}")
    number, unit, count, window = rate.groups()
    if window not in WINDOWS:
        raise ValueError(f"{text!r}: use one of these windows: {', '.join(WINDOWS)}")
    window_s = int(count or 1) * WINDOWS[window]
    if unit and unit.rstrip("s") != "request":
        if unit not in BYTES:
            raise ValueError(f"{text!r}: use one of these units: {', '.join(BYTES)}")
        kind: Kind = "bytes"
        amount = int(float(number) * BYTES[unit])
    elif "." in number:
        raise ValueError(f"{text!r}: the number of requests must be an integer")
    else:
        kind, amount = "requests", int(number)
    if not (1 <= amount <= MAX_AMOUNT and 1 <= window_s <= 366 * WINDOWS["day"]):
        raise ValueError(f"{text!r}: {HOW}, with positive numbers and windows of at most a year")
    return Limit(text, kind, amount, window_s)


def parse_all(texts: str | Sequence[str]) -> list[Limit]:
    """Parse the limits of one scope; raises ``ValueError``, also for two limits of the same kind and window."""
    limits = [parse(text) for text in ([texts] if isinstance(texts, str) else texts)]
    seen: dict[tuple[Kind, int], str] = {}
    for limit in limits:
        if (other := seen.setdefault((limit.kind, limit.window_s), limit.text)) is not limit.text:
            raise ValueError(f"{limit.text!r}: {other!r} has the same kind and window; keep one of them")
    return limits
