"""low_light: make a dark photo lighter."""

from __future__ import annotations

from math import log

from pydantic import Field

from mediagate.images.operations.colours import in_colours
from mediagate.images.operations.costs import RATES
from mediagate.images.operations.enhance import opencv
from mediagate.images.operations.enhance.clahe import equalised
from mediagate.images.operations.enhance.levels import histogram, mean, with_table
from mediagate.images.operations.frames import Frames
from mediagate.images.operations.operation import ENHANCE, Context, Operation, Params
from mediagate.images.operations.parameters import Percent

TARGET = 0.45
"""The mean luma of an ordinary photo, 0-1."""
LEAST_GAMMA = 0.3
"""Of the darkest photos: beyond it, noise and the steps between levels show."""
CLIP, TILES = 2.0, 8
"""Of the local contrast that a gamma curve takes away."""


class LowLight(Params):
    """Make a dark photo lighter: a gamma curve up to an ordinary mean, and then local contrast."""

    strength: Percent = Field(75.0, description="0 leaves the picture as it is, 100 makes it as light as other photos")


def low_light(frames: Frames, params: LowLight, context: Context) -> Frames:
    """Return the frames lighter, with one curve for all of them; alpha stays."""
    light = mean(histogram(frames, luma=True))
    if light is None or light >= TARGET * 255:
        context.warn("not_dark", "the picture is as light as other photos, so it stays as it is")
        return frames
    if params.strength == 0:
        return frames
    share = params.strength / 100
    gamma = max(LEAST_GAMMA, log(TARGET) / log(max(light, 1.0) / 255)) ** share
    lighter = with_table(frames, [round(255 * (level / 255) ** gamma) for level in range(256)])
    clip = 1 + (CLIP - 1) * share
    return lighter.each(lambda image: in_colours(image, lambda colours: equalised(colours, clip, TILES)))


LOW_LIGHT = Operation("low_light", "enhance", LowLight, low_light, RATES["low_light"], needs=ENHANCE, load=opencv.ready)
