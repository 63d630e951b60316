"""denoise: smooth even areas and keep edges."""

from __future__ import annotations

from pydantic import Field

from mediagate.images.operations.colours import in_colours
from mediagate.images.operations.costs import RATES
from mediagate.images.operations.enhance import opencv
from mediagate.images.operations.frames import Frames
from mediagate.images.operations.operation import ENHANCE, Context, Operation, Params
from mediagate.images.operations.parameters import Percent

DIAMETER = 5
"""Of the window, in pixels."""
DISTANCE = 2.0
MOST_LEVELS = 200.0
"""Standard deviation of the levels at full strength, of the sum of three channels."""


class Denoise(Params):
    """Remove noise by a bilateral filter, which smooths even areas and keeps edges."""

    strength: Percent = Field(50.0, description="0-100: 25 for little noise, 50 for that of a dim room, 100 for much")


def denoise(frames: Frames, params: Denoise, context: Context) -> Frames:
    """Return the frames with less noise; alpha stays."""
    if params.strength == 0:
        return frames
    levels = MOST_LEVELS * params.strength / 100
    return frames.each(
        lambda image: in_colours(image, lambda colours: opencv.bilateral(colours, DIAMETER, levels, DISTANCE))
    )


DENOISE = Operation("denoise", "enhance", Denoise, denoise, RATES["denoise"], needs=ENHANCE, load=opencv.ready)
