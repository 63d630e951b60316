"""straighten: turn a picture by a small angle and cut its corners off."""

from __future__ import annotations

from typing import Annotated

from PIL import Image
from pydantic import Field

from mediagate.images.operations.costs import RATES
from mediagate.images.operations.frames import Frames
from mediagate.images.operations.operation import Context, Operation, Params, Size
from mediagate.images.operations.rotation import inner, turned


class Straighten(Params):
    """Turn the picture clockwise and keep the largest upright rectangle that shows no corner."""

    degrees: Annotated[float, Field(ge=-45, le=45)] = Field(description="clockwise, -45 to 45")


def straighten(frames: Frames, params: Straighten, context: Context) -> Frames:
    """Return the inner rectangle of the turned frames, of the same mode."""
    if params.degrees == 0:
        return frames
    return frames.each(lambda image: _straightened(image, params.degrees))


def _straightened(image: Image.Image, degrees: float) -> Image.Image:
    whole = turned(image, degrees, expand=True)
    width, height = _inner(image.size, degrees)
    left, top = (whole.width - width) // 2, (whole.height - height) // 2
    part = whole.crop((left, top, left + width, top + height))
    return part if image.mode == "RGBA" else part.convert("RGB")


def _inner(size: Size, degrees: float) -> Size:
    width, height = inner(size, degrees)
    return max(1, int(width)), max(1, int(height))


def resized(params: Straighten, size: Size) -> Size:
    """Return the size of the result."""
    return size if params.degrees == 0 else _inner(size, params.degrees)


STRAIGHTEN = Operation("straighten", "transform", Straighten, straighten, RATES["straighten"], resized=resized)
