"""blur: soften a picture."""

from __future__ import annotations

from typing import Annotated

from PIL import ImageFilter
from pydantic import Field

from mediagate.images.operations.colours import premultiplied
from mediagate.images.operations.costs import RATES
from mediagate.images.operations.frames import Frames
from mediagate.images.operations.operation import Context, Operation, Params


class Blur(Params):
    """Soften the picture by a Gaussian filter."""

    radius: Annotated[float, Field(gt=0, le=250)] = Field(description="standard deviation in pixels, up to 250")


def blur(frames: Frames, params: Blur, context: Context) -> Frames:
    """Return the frames blurred (three box filters, alpha premultiplied)."""
    kernel = ImageFilter.GaussianBlur(params.radius)
    return frames.each(lambda image: premultiplied(image, lambda pixels: pixels.filter(kernel)))


BLUR = Operation("blur", "filter", Blur, blur, RATES["blur"])
