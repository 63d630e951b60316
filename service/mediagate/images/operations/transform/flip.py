"""flip: turn a picture upside down, as in water."""

from __future__ import annotations

from mediagate.images import pixels
from mediagate.images.operations.costs import RATES
from mediagate.images.operations.frames import Frames
from mediagate.images.operations.operation import Context, Operation, Params


class Flip(Params):
    """Swap top and bottom."""


def flip(frames: Frames, params: Flip, context: Context) -> Frames:
    """Return the frames with their rows in reverse order."""
    return frames.each(lambda image: image.transpose(pixels.Transpose.FLIP_TOP_BOTTOM))


FLIP = Operation("flip", "transform", Flip, flip, RATES["flip"])
