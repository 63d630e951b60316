"""The names under which deliveries are on record: an endpoint's own, and for callbacks one for each of their hosts."""

from __future__ import annotations

from mediagate.outbound import read_url

CALLBACK = "callback"
"""What stands for all callbacks together; no endpoint may be called so."""
CALLBACK_PREFIX = f"{CALLBACK}:"
"""No endpoint's name has a colon."""


def callback_name(url: str) -> str:
    """Return the name for a ``callbackUrl``: by it, one host's deliveries can be told from another's."""
    try:
        return CALLBACK_PREFIX + read_url(url).host
    except ValueError:  # taken in while nobody asked for its host; the attempt says what is wrong with it
        return CALLBACK_PREFIX + "?"


def is_callback(name: str) -> bool:
    """Whether a delivery of this name goes to its upload's ``callbackUrl``."""
    return name.startswith(CALLBACK_PREFIX)
