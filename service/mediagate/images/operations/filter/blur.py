"""blur: soften a picture."""

from __future__ import annotations

from typing import Annotated

from PIL import Image, ImageFilter
from pydantic import Field

from mediagate.images import pixels
from mediagate.images.operations.colours import premultiplied
from mediagate.images.operations.costs import RATES
from mediagate.images.operations.frames import Frames
from mediagate.images.operations.operation import Context, Operation, Params

LEAST_RADIUS = 2.5
"""Of the filter at a smaller scale, in its pixels."""
LARGE = 1_000_000
"""Pixels from which that is worth it."""


class Blur(Params):
    """Soften the picture by a Gaussian filter."""

    radius: Annotated[float, Field(gt=0, le=250)] = Field(description="standard deviation in pixels, up to 250")


def blur(frames: Frames, params: Blur, context: Context) -> Frames:
    """Return the frames blurred (three box filters, alpha premultiplied).

    In a large picture a wide filter is applied at a smaller scale: it leaves no details that this could lose.
    """
    return frames.each(lambda image: premultiplied(image, lambda bands: _blurred(bands, params.radius)))


def _blurred(image: Image.Image, radius: float) -> Image.Image:
    scale = radius / LEAST_RADIUS
    if scale <= 1 or image.width * image.height < LARGE:
        return image.filter(ImageFilter.GaussianBlur(radius))
    size = max(1, round(image.width / scale)), max(1, round(image.height / scale))
    radii = radius * size[0] / image.width, radius * size[1] / image.height
    small = _scaled(image, size).filter(ImageFilter.GaussianBlur(radii))
    return _scaled(small, image.size)


def _scaled(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Return a picture at another size; one with premultiplied alpha channel by channel, as it is."""
    if image.mode == "RGB":
        return pixels.resized(image, size)
    return Image.merge(image.mode, [pixels.resized(channel, size) for channel in image.split()])


BLUR = Operation("blur", "filter", Blur, blur, RATES["blur"])
