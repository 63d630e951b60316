"""Whether a ``callbackUrl`` can be accepted."""

from __future__ import annotations

from mediagate.errors import CallbacksUnavailable
from mediagate.parts import Parts


def check_callback(url: str | None, parts: Parts) -> None:
    """Raise ``CallbacksUnavailable`` for a URL that nothing would call."""
    if url is not None and not parts.callbacks:
        raise CallbacksUnavailable(
            "callbackUrl: this service calls no URLs; leave it out and poll statusUrl (its operator enables them with "
            "the plugin webhooks and its option callbacks)"
        )
