"""strip_metadata: remove all metadata."""

from __future__ import annotations

from dataclasses import replace

from mediagate.images.operations.costs import RATES
from mediagate.images.operations.frames import Credits, Frames
from mediagate.images.operations.operation import Context, Operation, Params


class StripMetadata(Params):
    """Remove all metadata. Files are encoded from pixels and have none, except the texts of set_metadata."""


def strip_metadata(frames: Frames, params: StripMetadata, context: Context) -> Frames:
    """Return the same pictures without texts."""
    return replace(frames, credits=Credits())


STRIP_METADATA = Operation("strip_metadata", "metadata", StripMetadata, strip_metadata, RATES["strip_metadata"])
