"""What a client would rather have, as its ``Accept`` header says (RFC 9110, section 12.5)."""

from __future__ import annotations

import math
from collections.abc import Mapping


def accepts(header: str, media_type: str) -> bool:
    """Return whether an ``Accept`` header takes a media type, such as ``application/json``; none takes everything."""
    weights = weighted(header)
    if not weights:
        return True
    kind = media_type.partition("/")[0]
    # The most specific range counts.
    return next((weights[name] for name in (media_type, f"{kind}/*", "*/*") if name in weights), 0.0) > 0


def weighted(header: str) -> Mapping[str, float]:
    """Return the values that a header lists, in lower case, with their weights from 0 to 1; what is no list is none."""
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
