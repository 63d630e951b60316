"""The header fields ``RateLimit-Policy`` and ``RateLimit`` of draft-ietf-httpapi-ratelimit-headers-11 (May 2026)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from mediagate_plugins.rate_limit.counters import Count
from mediagate_plugins.rate_limit.rules import Rule

UNITS = {"requests": "requests", "bytes": "content-bytes", "jobs": "concurrent-requests"}
"""The draft's quota units (section 3.1.2); a job counts from its request until its end."""


def rate_limit_headers(rules: Iterable[Rule], counts: Mapping[str, Count]) -> dict[str, str]:
    """Return the header fields of the rules that were checked for a request; ``counts`` are by policy."""
    policies, states = [], []
    for rule in rules:
        limit = rule.limit
        window = f";w={limit.window_s}" if limit.window_s else ""
        policies.append(f'"{rule.policy}";q={limit.amount};qu="{UNITS[limit.kind]}"{window}')
        if count := counts.get(rule.policy):
            reset = f";t={math.ceil(count.left_ms / 1000)}" if limit.window_s else ""
            states.append(f'"{rule.policy}";r={max(0, limit.amount - count.used)}{reset}')
    named = {"RateLimit-Policy": ", ".join(policies), "RateLimit": ", ".join(states)}
    return {name: value for name, value in named.items() if value}
