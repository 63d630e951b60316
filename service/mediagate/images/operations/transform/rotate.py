"""rotate: turn a picture by any angle."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from mediagate.images.operations.canvas import behind
from mediagate.images.operations.costs import RATES
from mediagate.images.operations.frames import Frames
from mediagate.images.operations.operation import Context, Cost, Operation, Params, Size
from mediagate.images.operations.parameters import CLEAR, Colour
from mediagate.images.operations.rotation import expanded, turned


class Rotate(Params):
    """Turn the picture clockwise. Multiples of 90 degrees only move pixels, unless some are cut off."""

    degrees: Annotated[float, Field(ge=-360, le=360)] = Field(description="clockwise, -360 to 360")
    expand: bool = Field(True, description="whether the result grows to hold the whole picture")
    background: Colour = Field(CLEAR, description='of the corners: "#rrggbb", "#rrggbbaa" or "transparent"')

    @property
    def exact(self) -> bool:
        """Whether pixels only move."""
        return self.degrees % 90 == 0 and (self.expand or self.degrees % 180 == 0)


def rotate(frames: Frames, params: Rotate, context: Context) -> Frames:
    """Return the frames turned."""
    if params.exact:
        return frames.each(lambda image: turned(image, params.degrees, expand=True))
    return frames.each(lambda image: behind(turned(image, params.degrees, expand=params.expand), params.background))


def resized(params: Rotate, size: Size) -> Size:
    """Return an upper bound of the size of the result."""
    if not params.expand or params.degrees % 180 == 0:
        return size
    return size[::-1] if params.degrees % 90 == 0 else expanded(size, params.degrees)


def cost(params: Rotate, count: int) -> Cost:
    """Return the cost, which is small if pixels only move."""
    return RATES["flip" if params.exact else "rotate"].cost(count)


ROTATE = Operation("rotate", "transform", Rotate, rotate, cost, resized=resized)
