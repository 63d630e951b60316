"""Query parameters: read from a request and validated."""

from __future__ import annotations

import math
import re
from datetime import date

from starlette.requests import Request

from mediagate.errors import InvalidParameter
from mediagate.intake import find_unknown
from mediagate.values import JobStatus

_DAY = re.compile(r"2\d{3}-\d\d-\d\d", re.ASCII)


def ignored(request: Request, *known: str, strict: bool) -> dict[str, list[str]]:
    """Return ``{"ignored": […]}`` with the unknown parameters, for the response, and ``{}`` if there are none.

    Raises ``InvalidParameter`` for a name that resembles a known one, and, if ``strict``, for any unknown name.
    """
    names = find_unknown(request.query_params, known, strict=strict)
    return {"ignored": names} if names else {}


def number(request: Request, name: str, *, default: float, low: float, high: float) -> float:
    """Return a number from ``low`` to ``high``; raises ``InvalidParameter``."""
    text = request.query_params.get(name)
    if text is None:
        return default
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not low <= value <= high:
        raise InvalidParameter(f"{name}: use a number from {low:g} to {high:g}")
    return value


def day(request: Request, name: str, *, default: date) -> date:
    """Return a day from 2000 to 2999 in the form ``2026-01-31``; raises ``InvalidParameter``."""
    text = request.query_params.get(name)
    if text is None:
        return default
    try:
        if not _DAY.fullmatch(text):
            raise ValueError(text)
        return date.fromisoformat(text)
    except ValueError:
        raise InvalidParameter(f"{name}: use a UTC day in the form 2026-01-31") from None


def job_status(request: Request, name: str) -> JobStatus | None:
    """Return a job status, ``None`` if the parameter is missing; raises ``InvalidParameter``."""
    text = request.query_params.get(name)
    if text is None:
        return None
    try:
        return JobStatus(text)
    except ValueError:
        raise InvalidParameter(f"{name}: use one of {', '.join(JobStatus)}") from None
