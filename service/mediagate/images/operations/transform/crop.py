"""crop: keep a part of a picture."""

from __future__ import annotations

from math import ceil, floor
from typing import Annotated, Literal, Self

from PIL import Image, ImageFilter
from pydantic import Field, model_validator

from mediagate.errors import OperationFailed
from mediagate.images.operations.costs import RATES
from mediagate.images.operations.frames import Frames
from mediagate.images.operations.operation import Context, Operation, Params, Size
from mediagate.images.operations.parameters import Aspect, Fraction, ratio

CONTENT_EDGE = 128
"""Edge in pixels of the reduced picture in which details are looked for."""
SLACK = 0.01
"""A box of fractions may miss whole pixels by this much."""

Number = Annotated[float, Field(ge=0, le=65_500)]


class Crop(Params):
    """Keep a box, given in pixels or in fractions of the picture, or the largest part with an aspect ratio."""

    x: Number | None = Field(None, description="left edge of the box")
    y: Number | None = Field(None, description="top edge of the box")
    width: Annotated[float, Field(gt=0, le=65_500)] | None = Field(None, description="width of the box")
    height: Annotated[float, Field(gt=0, le=65_500)] | None = Field(None, description="height of the box")
    unit: Literal["px", "fraction"] = Field("px", description="of the box: whole pixels, or fractions 0-1")
    aspect: Aspect | None = Field(None, description='such as "16:9", instead of a box')
    to: Literal["focal", "content"] = Field(
        "focal", description="of aspect: keeps the focal point, or the part with most details, in the middle"
    )
    focal_x: Fraction = Field(0.5, description="of aspect: from the left, 0-1")
    focal_y: Fraction = Field(0.5, description="of aspect: from the top, 0-1")

    @model_validator(mode="after")
    def _has_one_part(self) -> Self:
        box = (self.x, self.y, self.width, self.height)
        if (self.aspect is None) == all(value is None for value in box):
            raise ValueError("set x, y, width and height; or aspect")
        if self.aspect is None and None in box:
            raise ValueError("a box needs x, y, width and height")
        numbers = [value for value in box if value is not None]
        if self.unit == "px" and any(value != int(value) for value in numbers):
            raise ValueError('a box in pixels has whole numbers; set unit="fraction" for 0-1')
        if self.unit == "fraction" and any(value > 1 for value in numbers):
            raise ValueError("a box in fractions has numbers within 0-1")
        return self


def crop(frames: Frames, params: Crop, context: Context) -> Frames:
    """Return a part of the frames, at least a pixel; a box that reaches beyond the picture is cut at its edges.

    Raises ``OperationFailed`` for a box outside of the picture.
    """
    box = _box(params, frames.size) if params.aspect is None else _window(params, frames)
    if box == (0, 0, *frames.size):
        return frames
    return frames.each(lambda image: image.crop(box))


def _box(params: Crop, size: Size) -> tuple[int, int, int, int]:
    x, y, width, height = (value or 0.0 for value in (params.x, params.y, params.width, params.height))
    across, down = size if params.unit == "fraction" else (1, 1)
    left, top = floor(x * across + SLACK), floor(y * down + SLACK)
    if left >= size[0] or top >= size[1]:
        raise OperationFailed(f"the box lies outside of the picture, which has {size[0]} x {size[1]} pixels")
    right, bottom = ceil((x + width) * across - SLACK), ceil((y + height) * down - SLACK)
    return left, top, min(size[0], max(right, left + 1)), min(size[1], max(bottom, top + 1))


def resized(params: Crop, size: Size) -> Size:
    """Return the size of the result; raises ``OperationFailed`` for a box outside of the picture."""
    if params.aspect is not None:
        return _largest(params.aspect, size)
    left, top, right, bottom = _box(params, size)
    return right - left, bottom - top


def _largest(aspect: str, size: Size) -> Size:
    """Return the largest size with an aspect ratio within a size."""
    width, height = size
    wanted = ratio(aspect)
    return min(width, max(1, round(height * wanted))), min(height, max(1, round(width / wanted)))


def _window(params: Crop, frames: Frames) -> tuple[int, int, int, int]:
    """Return the largest box with the aspect ratio."""
    width, height = frames.size
    across, down = _largest(params.aspect or "1:1", frames.size)
    middle = (params.focal_x, params.focal_y) if params.to == "focal" else _content(frames.images[0])
    left = round(min(max(middle[0] * width - across / 2, 0), width - across))
    top = round(min(max(middle[1] * height - down / 2, 0), height - down))
    return left, top, left + across, top + down


def _content(image: Image.Image) -> tuple[float, float]:
    """Return the centre of the details of a picture, 0-1 from left and top: edges count, flat areas do not."""
    small = image.convert("RGBa").convert("RGBA") if image.mode == "RGBA" else image
    small = small.convert("RGB").resize((CONTENT_EDGE, CONTENT_EDGE), Image.Resampling.BOX).convert("L")
    edges = small.filter(ImageFilter.FIND_EDGES).crop((1, 1, CONTENT_EDGE - 1, CONTENT_EDGE - 1))
    lines = [
        edges.resize((edges.width, 1), Image.Resampling.BOX),
        edges.resize((1, edges.height), Image.Resampling.BOX),
    ]
    return _centre(lines[0].tobytes()), _centre(lines[1].tobytes())


def _centre(weights: bytes) -> float:
    total = sum(weights)
    return sum((at + 0.5) * weight for at, weight in enumerate(weights)) / total / len(weights) if total else 0.5


CROP = Operation("crop", "transform", Crop, crop, RATES["crop"], resized=resized)
