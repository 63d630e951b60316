"""A client's preferences in its ``Accept`` headers (RFC 9110, section 12.5)."""

from __future__ import annotations

import math
from collections.abc import Mapping


def accepts(header: str, media_type: str) -> bool:
    """Return whether an ``Accept`` header allows a media type such as ``application/json``; an empty one allows all."""
    weights = weighted(header)
    if not weights:
        return True
    kind = media_type.partition("/")[0]
    # The most specific range wins.
    return next((weights[name] for name in (media_type, f"{kind}/*", "*/*") if name in weights), 0.0) > 0


def weighted(header: str) -> Mapping[str, float]:
    """Return the lower-case values of a header with their weights from 0 to 1; a malformed weight counts as 0."""
    weights: dict[str, float] = {}
    for item in header.split(","):
        value, *parameters = (part.strip() for part in item.lower().split(";"))
        if value:
            weights[value] = _weight(parameters)
    return weights


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, text = parameter.partition("=")
        if name.strip() == "q":
            try:
                weight = float(text)
            except ValueError:
                return 0.0
            return weight if math.isfinite(weight) else 0.0
    return 1.0
