"""pixelate: replace blocks by their mean colour."""

from __future__ import annotations

from typing import Annotated

from PIL import Image
from pydantic import Field

from mediagate.images.operations.costs import RATES
from mediagate.images.operations.frames import Frames
from mediagate.images.operations.operation import Context, Operation, Params


class Pixelate(Params):
    """Replace each square block of pixels by its mean colour."""

    size: Annotated[int, Field(ge=2, le=1000)] = Field(description="edge of a block in pixels, 2 to 1000")


def pixelate(frames: Frames, params: Pixelate, context: Context) -> Frames:
    """Return the frames in blocks from the top left corner on; the last ones may be smaller."""
    return frames.each(lambda image: _pixelated(image, params.size))


def _pixelated(image: Image.Image, edge: int) -> Image.Image:
    blocks = image.reduce(edge)
    whole = blocks.width * edge, blocks.height * edge
    if whole[0] * whole[1] <= 2 * image.width * image.height:
        return blocks.resize(whole, Image.Resampling.NEAREST).crop((0, 0, *image.size))
    # Blocks that are much larger than the picture would make a large picture on the way.
    box = (0.0, 0.0, image.width / edge, image.height / edge)
    return blocks.resize(image.size, Image.Resampling.NEAREST, box=box)


PIXELATE = Operation("pixelate", "filter", Pixelate, pixelate, RATES["pixelate"])
