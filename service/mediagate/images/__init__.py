"""Image processes as the host uses them; all code that touches pixels is in ``pixels``."""

from collections.abc import Collection
from importlib import import_module
from typing import TYPE_CHECKING, Any

from mediagate.images.forkserver import ForkServer

if TYPE_CHECKING:
    from mediagate.images.pixels import accepted, codecs
    from mediagate.images.pool import ImagePool

_LATER = {"ImagePool": "pool", "accepted": "pixels", "codecs": "pixels"}
"""Loaded lazily: a command starts the fork server first, which loads the same modules concurrently."""

__all__ = ["ForkServer", "ImagePool", "accepted", "check_head", "codecs", "load_formats"]


def check_head(head: bytes, formats: Collection[str]) -> None:
    """Raise ``UnsupportedType`` if the first 64 bytes of a file show that no decoder of these formats accepts it."""
    from mediagate.images.pixels import check_head as check

    check(head, formats)


def load_formats() -> None:
    """Load what ``check_head`` needs; that takes longer than a request may wait."""
    import_module(f"{__name__}.pixels")


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
