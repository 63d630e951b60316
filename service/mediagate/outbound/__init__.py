"""Outbound requests: the check of addresses, and a POST to a checked address. Public API for plugins."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mediagate.outbound.addresses import Network, may_be_reached
from mediagate.outbound.target import Target, read_url

if TYPE_CHECKING:
    from mediagate.outbound.client import Answer, NotSent, Poster, tls_context

_OF_THE_CLIENT = ("Answer", "NotSent", "Poster", "tls_context")

__all__ = ["Answer", "Network", "NotSent", "Poster", "Target", "may_be_reached", "read_url", "tls_context"]


def __getattr__(name: str) -> Any:
    # Imported lazily: the HTTP client is an extra.
    if name not in _OF_THE_CLIENT:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("mediagate.outbound.client"), name)
