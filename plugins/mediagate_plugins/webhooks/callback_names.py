"""The names of deliveries on record: an endpoint's own, and for callbacks one for each of their hosts."""

from __future__ import annotations

from mediagate.outbound import read_url

CALLBACK = "callback"
"""The name of all callbacks together; endpoints may not use it."""
CALLBACK_PREFIX = f"{CALLBACK}:"
"""No endpoint's name has a colon."""


def callback_name(url: str) -> str:
    """Return the name for a ``callbackUrl``, which distinguishes the deliveries by host."""
    try:
        return CALLBACK_PREFIX + read_url(url).host
    except ValueError:  # accepted before hosts were checked; the attempt reports the error
        return CALLBACK_PREFIX + "?"


def is_callback(name: str) -> bool:
    """Whether deliveries of this name go to the ``callbackUrl`` of their upload."""
    return name.startswith(CALLBACK_PREFIX)
