"""resize: fit a picture into a size."""

from __future__ import annotations

from math import sqrt
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from mediagate.images import pixels
from mediagate.images.operations.canvas import placed
from mediagate.images.operations.costs import RATES
from mediagate.images.operations.frames import Frames
from mediagate.images.operations.operation import Context, Operation, Params, Size
from mediagate.images.operations.parameters import CLEAR, Colour, Edge, Fraction


class Resize(Params):
    """Resize the picture by width and height, by percent, or to a number of megapixels."""

    width: Edge | None = Field(None, description="pixels; with height alone the proportions decide")
    height: Edge | None = Field(None, description="pixels")
    percent: Annotated[float, Field(gt=0, le=1000)] | None = Field(None, description="of each edge, up to 1000")
    megapixels: Annotated[float, Field(gt=0, le=1000)] | None = Field(None, description="millions of pixels in all")
    fit: Literal["inside", "cover", "contain", "fill"] = Field(
        "inside",
        description="inside: the whole picture, within the size; cover: fills the size and is cropped; "
        "contain: the whole picture on a background of the size; fill: stretched to the size",
    )
    focal_x: Fraction = Field(0.5, description="of cover: the point to keep in the middle, from the left, 0-1")
    focal_y: Fraction = Field(0.5, description="of cover: from the top, 0-1")
    background: Colour = Field(CLEAR, description='of contain: "#rrggbb", "#rrggbbaa" or "transparent"')
    enlarge: bool = Field(False, description="whether the picture may get more pixels than it has")

    @model_validator(mode="after")
    def _has_one_size(self) -> Self:
        edges = self.width is not None or self.height is not None
        if edges + (self.percent is not None) + (self.megapixels is not None) != 1:
            raise ValueError("set width, height or both; or percent; or megapixels")
        if self.fit != "inside" and (self.width is None or self.height is None):
            raise ValueError(f'fit="{self.fit}" needs both width and height')
        return self


def resize(frames: Frames, params: Resize, context: Context) -> Frames:
    """Return the frames at another size (Lanczos, alpha premultiplied)."""
    size, whole = shown_size(params, frames.size), frames.size
    box = (0.0, 0.0, float(whole[0]), float(whole[1]))
    if params.fit == "cover":
        box = _window(whole, size, (params.focal_x, params.focal_y))
    crop = pixels.Crop(whole, size, box)
    sized = frames.each(lambda image: pixels.cut(image, crop))
    if params.fit == "contain":
        return placed(sized, (params.width or size[0], params.height or size[1]), "centre", params.background)
    return sized


def shown_size(params: Resize, size: Size) -> Size:
    """Return the size of the picture after resizing, without the background of ``contain``."""
    width, height = size
    if params.percent is not None:
        scale = params.percent / 100
    elif params.megapixels is not None:
        scale = sqrt(params.megapixels * 1e6 / (width * height))
    elif params.width and params.height and params.fit in ("cover", "fill"):
        # Too small a picture keeps the proportions that were asked for.
        scale = 1.0 if params.enlarge else min(1.0, width / params.width, height / params.height)
        return max(1, round(params.width * scale)), max(1, round(params.height * scale))
    else:
        scale = min((params.width or 10**9) / width, (params.height or 10**9) / height)
    if not params.enlarge:
        scale = min(1.0, scale)
    return max(1, round(width * scale)), max(1, round(height * scale))


def resized(params: Resize, size: Size) -> Size:
    """Return the size of the whole result."""
    if params.fit == "contain" and params.width and params.height:
        return params.width, params.height
    return shown_size(params, size)


def _window(whole: Size, size: Size, focal: tuple[float, float]) -> tuple[float, float, float, float]:
    """Return the largest box of these proportions, its middle as near to the focal point as the edges allow."""
    zoom = min(whole[0] / size[0], whole[1] / size[1])
    across, down = min(whole[0], size[0] * zoom), min(whole[1], size[1] * zoom)
    left = min(max(focal[0] * whole[0] - across / 2, 0.0), whole[0] - across)
    top = min(max(focal[1] * whole[1] - down / 2, 0.0), whole[1] - down)
    return left, top, left + across, top + down


RESIZE = Operation("resize", "transform", Resize, resize, RATES["resize"], resized=resized)
