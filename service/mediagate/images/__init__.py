"""Image processes, as the host sees them; all that touches pixels is in ``pixels``."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mediagate.images.forkserver import ForkServer

if TYPE_CHECKING:
    from mediagate.images.pixels import accepted, check_head, codecs
    from mediagate.images.pool import ImagePool

_LATER = {"ImagePool": "pool", "accepted": "pixels", "check_head": "pixels", "codecs": "pixels"}
"""Loaded on first use: a command starts the fork server first, which loads the same beside it."""

__all__ = ["ForkServer", "ImagePool", "accepted", "check_head", "codecs"]


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
