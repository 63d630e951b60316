"""The price of a job in credits, fixed when the job is accepted."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from mediagate.errors import ConfigError
from mediagate.parts import Parts

UPLOAD = "upload"
"""The name of the price of an upload; all others are those of operations."""
HIGHEST = 1_000_000
"""The sum of all prices of a job fits into a column of 32 bits."""


def check_credits(credits: Mapping[str, int], operations: Collection[str]) -> None:
    """Raise ``ConfigError`` for a name that is not one of these operations or ``upload``, and for an invalid price."""
    known = (UPLOAD, *operations)
    problems = []
    for name, price in credits.items():
        if name not in known:
            hint = "" if operations else "; operations need the plugin pipelines"
            problems.append(f"credits: {name!r} has no price; use {', '.join(known)}{hint}")
        elif not isinstance(price, int) or isinstance(price, bool) or not 0 <= price <= HIGHEST:
            problems.append(f"credits: the price of {name!r} is {price!r}; use an integer from 0 to {HIGHEST:,}")
    if problems:
        raise ConfigError(problems)


def upload_price(parts: Parts) -> int:
    """Return the price of an upload."""
    return parts.credits.get(UPLOAD, 0)


def pipeline_price(ops: Iterable[str], pictures: int, parts: Parts) -> int:
    """Return the price of a pipeline: the sum of its operations, for each picture on which they run."""
    return pictures * sum(parts.credits.get(op, 0) for op in ops)
