"""Image processes, as the host sees them; all that touches pixels is in ``pixels``."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mediagate.images.forkserver import ForkServer
from mediagate.images.pool import ImagePool

if TYPE_CHECKING:
    from mediagate.images.pixels import accepted, check_head, codecs

__all__ = ["ForkServer", "ImagePool", "accepted", "check_head", "codecs"]


def __getattr__(name: str) -> Any:
    # Loaded on first use: the fork server loads Pillow beside the host, which starts sooner without it.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("mediagate.images.pixels"), name)
