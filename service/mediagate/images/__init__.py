"""Image processes as the host uses them; all code that touches pixels is in ``pixels`` and ``operations``."""

from collections.abc import Collection
from importlib import import_module
from typing import TYPE_CHECKING, Any

from mediagate.images.forkserver import ForkServer

if TYPE_CHECKING:
    from mediagate.images.operations import (
        MOST_OUTPUTS,
        MOST_STEPS,
        Context,
        Cost,
        Credits,
        Engine,
        Extra,
        File,
        Frames,
        Item,
        Operation,
        Operations,
        Page,
        PageRate,
        Params,
        Place,
        Rate,
        Recipe,
        Step,
        StepEstimate,
        check_pages,
        did_you_mean,
        estimate,
        files_made,
        item,
        join,
        joined_outputs,
        pages_of,
        parse,
        password_of,
        size_at_entry,
        standard,
        watermark_in,
    )
    from mediagate.images.pixels import accepted, codecs
    from mediagate.images.pool import ImagePool
    from mediagate.images.variant_steps import check_steps, look_of

_LATER = {
    "Context": "operations",
    "Cost": "operations",
    "Credits": "operations",
    "Engine": "operations",
    "Extra": "operations",
    "File": "operations",
    "Frames": "operations",
    "ImagePool": "pool",
    "Item": "operations",
    "MOST_OUTPUTS": "operations",
    "MOST_STEPS": "operations",
    "Operation": "operations",
    "Operations": "operations",
    "Page": "operations",
    "PageRate": "operations",
    "Params": "operations",
    "Place": "operations",
    "Rate": "operations",
    "Recipe": "operations",
    "Step": "operations",
    "StepEstimate": "operations",
    "estimate": "operations",
    "files_made": "operations",
    "accepted": "pixels",
    "check_pages": "operations",
    "check_steps": "variant_steps",
    "codecs": "pixels",
    "did_you_mean": "operations",
    "item": "operations",
    "join": "operations",
    "joined_outputs": "operations",
    "look_of": "variant_steps",
    "pages_of": "operations",
    "parse": "operations",
    "password_of": "operations",
    "size_at_entry": "operations",
    "standard": "operations",
    "watermark_in": "operations",
}
"""Loaded lazily: a command starts the fork server first, which loads the same modules concurrently."""

__all__ = [
    "MOST_OUTPUTS",
    "MOST_STEPS",
    "Context",
    "Cost",
    "Credits",
    "Engine",
    "Extra",
    "File",
    "ForkServer",
    "Frames",
    "ImagePool",
    "Item",
    "Operation",
    "Operations",
    "Page",
    "PageRate",
    "Params",
    "Place",
    "Rate",
    "Recipe",
    "Step",
    "StepEstimate",
    "accepted",
    "check_head",
    "check_pages",
    "check_steps",
    "codecs",
    "did_you_mean",
    "estimate",
    "files_made",
    "item",
    "join",
    "joined_outputs",
    "load_formats",
    "look_of",
    "pages_of",
    "parse",
    "password_of",
    "size_at_entry",
    "standard",
    "watermark_in",
]


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
