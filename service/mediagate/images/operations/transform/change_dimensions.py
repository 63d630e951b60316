"""change_dimensions: give a picture exactly these dimensions."""

from __future__ import annotations

from pydantic import Field

from mediagate.images import pixels
from mediagate.images.operations.costs import RATES
from mediagate.images.operations.frames import Frames
from mediagate.images.operations.operation import Context, Operation, Params, Size
from mediagate.images.operations.parameters import Edge


class ChangeDimensions(Params):
    """Stretch the picture to exactly this width and height; it may be enlarged."""

    width: Edge = Field(description="pixels")
    height: Edge = Field(description="pixels")


def change_dimensions(frames: Frames, params: ChangeDimensions, context: Context) -> Frames:
    """Return the frames at this size (Lanczos, alpha premultiplied)."""
    whole = frames.size
    crop = pixels.Crop(whole, (params.width, params.height), (0.0, 0.0, float(whole[0]), float(whole[1])))
    return frames.each(lambda image: pixels.cut(image, crop))


def resized(params: ChangeDimensions, size: Size) -> Size:
    """Return the size of the result."""
    return params.width, params.height


CHANGE_DIMENSIONS = Operation(
    "change_dimensions",
    "transform",
    ChangeDimensions,
    change_dimensions,
    RATES["change_dimensions"],
    resized=resized,
)
