"""clahe: more contrast in each part of a picture."""

from __future__ import annotations

from typing import Annotated

from PIL import Image
from pydantic import Field

from mediagate.images.operations.colours import in_colours
from mediagate.images.operations.costs import RATES
from mediagate.images.operations.enhance import opencv
from mediagate.images.operations.frames import Frames
from mediagate.images.operations.operation import ENHANCE, Context, Operation, Params


class Clahe(Params):
    """Raise the contrast within each part of the picture, so that shadows and lights show their details."""

    clip: Annotated[float, Field(ge=1, le=10)] = Field(
        2.0, description="how much contrast may grow: 1 hardly, 2 moderately, up to 10, which shows noise too"
    )
    tiles: Annotated[int, Field(ge=1, le=32)] = Field(8, description="parts along each edge, up to 32")


def clahe(frames: Frames, params: Clahe, context: Context) -> Frames:
    """Return the frames with their luma equalised, each frame by itself; colour differences and alpha stay."""
    return frames.each(lambda image: in_colours(image, lambda colours: equalised(colours, params.clip, params.tiles)))


def equalised(colours: Image.Image, clip: float, tiles: int) -> Image.Image:
    """Return an ``RGB`` picture with its luma equalised (Y'CbCr of JPEG)."""
    luma, blue, red = colours.convert("YCbCr").split()
    # A part needs two pixels along each edge.
    tiles = max(1, min(tiles, min(colours.size) // 2))
    return Image.merge("YCbCr", (opencv.equalised(luma, clip, tiles), blue, red)).convert("RGB")


CLAHE = Operation("clahe", "enhance", Clahe, clahe, RATES["clahe"], needs=ENHANCE, load=opencv.ready)
