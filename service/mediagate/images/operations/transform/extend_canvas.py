"""extend_canvas: put a picture on a larger canvas."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from mediagate.images.operations.canvas import placed
from mediagate.images.operations.costs import RATES
from mediagate.images.operations.frames import Frames
from mediagate.images.operations.operation import Context, Operation, Params, Size
from mediagate.images.operations.parameters import CLEAR, Aspect, Colour, Edge, Position, ratio


class ExtendCanvas(Params):
    """Add a plain area until the picture has a width, a height or an aspect ratio; it is neither scaled nor cut."""

    width: Edge | None = Field(None, description="pixels; a wider picture keeps its width")
    height: Edge | None = Field(None, description="pixels; a higher picture keeps its height")
    aspect: Aspect | None = Field(None, description='such as "16:9", instead of width and height')
    position: Position = Field("centre", description="where the picture lies on the canvas")
    background: Colour = Field(CLEAR, description='"#rrggbb", "#rrggbbaa" or "transparent"')

    @model_validator(mode="after")
    def _has_one_size(self) -> Self:
        if (self.aspect is None) == (self.width is None and self.height is None):
            raise ValueError("set width, height or both; or aspect")
        return self


def extend_canvas(frames: Frames, params: ExtendCanvas, context: Context) -> Frames:
    """Return the frames on their canvas."""
    return placed(frames, resized(params, frames.size), params.position, params.background)


def resized(params: ExtendCanvas, size: Size) -> Size:
    """Return the size of the canvas."""
    width, height = size
    if params.aspect is None:
        return max(width, params.width or 0), max(height, params.height or 0)
    wanted = ratio(params.aspect)
    return max(width, round(height * wanted)), max(height, round(width / wanted))


EXTEND_CANVAS = Operation(
    "extend_canvas", "transform", ExtendCanvas, extend_canvas, RATES["extend_canvas"], resized=resized
)
