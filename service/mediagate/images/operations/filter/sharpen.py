"""sharpen: make edges clearer."""

from __future__ import annotations

from typing import Annotated

from PIL import ImageFilter
from pydantic import Field

from mediagate.images.operations.colours import in_colours
from mediagate.images.operations.costs import RATES
from mediagate.images.operations.frames import Frames
from mediagate.images.operations.operation import Context, Operation, Params


class Sharpen(Params):
    """Make edges clearer by an unsharp mask."""

    radius: Annotated[float, Field(gt=0, le=20)] = Field(1.0, description="pixels on each side of an edge, up to 20")
    percent: Annotated[int, Field(ge=1, le=500)] = Field(100, description="strength, up to 500")
    threshold: Annotated[int, Field(ge=0, le=255)] = Field(2, description="levels below which a difference is noise")


def sharpen(frames: Frames, params: Sharpen, context: Context) -> Frames:
    """Return the frames sharpened; alpha stays."""
    mask = ImageFilter.UnsharpMask(params.radius, params.percent, params.threshold)
    return frames.each(lambda image: in_colours(image, lambda colours: colours.filter(mask)))


SHARPEN = Operation("sharpen", "filter", Sharpen, sharpen, RATES["sharpen"])
