"""mirror: swap left and right of a picture."""

from __future__ import annotations

from mediagate.images import pixels
from mediagate.images.operations.costs import RATES
from mediagate.images.operations.frames import Frames
from mediagate.images.operations.operation import Context, Operation, Params


class Mirror(Params):
    """Swap left and right."""


def mirror(frames: Frames, params: Mirror, context: Context) -> Frames:
    """Return the frames with their columns in reverse order."""
    return frames.each(lambda image: image.transpose(pixels.Transpose.FLIP_LEFT_RIGHT))


MIRROR = Operation("mirror", "transform", Mirror, mirror, RATES["mirror"])
