"""orient: turn a picture upright."""

from __future__ import annotations

from mediagate.images.operations.costs import RATES
from mediagate.images.operations.frames import Frames
from mediagate.images.operations.operation import Context, Operation, Params


class Orient(Params):
    """Turn the picture upright by its EXIF orientation. Every picture is decoded upright, so this changes nothing."""


def orient(frames: Frames, params: Orient, context: Context) -> Frames:
    """Return the same frames: decoding has turned them."""
    return frames


ORIENT = Operation("orient", "transform", Orient, orient, RATES["orient"])
