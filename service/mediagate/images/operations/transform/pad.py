"""pad: add a plain border."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from mediagate.images.operations.canvas import placed
from mediagate.images.operations.costs import RATES
from mediagate.images.operations.frames import Frames
from mediagate.images.operations.operation import Context, Operation, Params, Size
from mediagate.images.operations.parameters import CLEAR, LONGEST_EDGE, Colour

Border = Annotated[int, Field(ge=0, le=LONGEST_EDGE)]


class Pad(Params):
    """Add a border of one colour; ``all`` sets the sides that are not set themselves."""

    all: Border = Field(0, description="pixels on each side")
    top: Border | None = Field(None, description="pixels")
    right: Border | None = Field(None, description="pixels")
    bottom: Border | None = Field(None, description="pixels")
    left: Border | None = Field(None, description="pixels")
    background: Colour = Field(CLEAR, description='"#rrggbb", "#rrggbbaa" or "transparent"')

    @model_validator(mode="after")
    def _adds_something(self) -> Self:
        if not any(self.sides):
            raise ValueError("set all, top, right, bottom or left to the width of a border")
        return self

    @property
    def sides(self) -> tuple[int, int, int, int]:
        """Top, right, bottom and left in pixels."""
        top, right, bottom, left = (
            self.all if side is None else side for side in (self.top, self.right, self.bottom, self.left)
        )
        return top, right, bottom, left


def pad(frames: Frames, params: Pad, context: Context) -> Frames:
    """Return the frames with a border."""
    top, _, _, left = params.sides
    return placed(frames, resized(params, frames.size), (left, top), params.background)


def resized(params: Pad, size: Size) -> Size:
    """Return the size of the result."""
    top, right, bottom, left = params.sides
    return size[0] + left + right, size[1] + top + bottom


PAD = Operation("pad", "transform", Pad, pad, RATES["pad"], resized=resized)
