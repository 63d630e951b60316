"""Names of deliveries as they are stored: those of events that release 0.1.0 does not know have a prefix.

To that release these are names of endpoints that only a newer process knows, so it leaves such deliveries alone.
"""

from __future__ import annotations

from collections.abc import Collection

from mediagate import EventType

LATER_PREFIX = "later:"
"""No endpoint's name has a colon."""
LATER_TYPES = (EventType.BATCH_COMPLETED,)


def stored_name(endpoint: str, kind: EventType) -> str:
    """Return the stored name of an endpoint in the delivery of an event of this type."""
    return LATER_PREFIX + endpoint if kind in LATER_TYPES else endpoint


def endpoint_of(stored: str) -> str:
    """Return the endpoint of a stored name."""
    return stored.removeprefix(LATER_PREFIX)


def stored_names(endpoints: Collection[str]) -> list[str]:
    """Return all names under which deliveries to these endpoints are stored."""
    return [*endpoints, *(LATER_PREFIX + endpoint for endpoint in endpoints)]
