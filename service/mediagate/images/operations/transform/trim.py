"""trim: cut a plain border off."""

from __future__ import annotations

from typing import Annotated

from PIL import Image, ImageChops
from pydantic import Field

from mediagate.images.operations.costs import RATES
from mediagate.images.operations.frames import Frames
from mediagate.images.operations.operation import Context, Operation, Params
from mediagate.images.operations.parameters import Colour, rgba


class Trim(Params):
    """Cut off the border of one colour, or of transparency, that surrounds the picture."""

    tolerance: Annotated[int, Field(ge=0, le=255)] = Field(
        10, description="levels 0-255 by which a channel of the border may differ"
    )
    colour: Colour | None = Field(None, description='of the border, such as "#ffffff"; unset: the top left pixel')


def trim(frames: Frames, params: Trim, context: Context) -> Frames:
    """Return the smallest part that shows all pixels of other colours, in all frames."""
    border = _border(frames.images[0], params.colour)
    boxes = [box for image in frames.images if (box := _content(image, border, params.tolerance))]
    if not boxes:
        context.warn("nothing_to_keep", "the whole picture is border, so it stays as it is")
        return frames
    left, top, right, bottom = zip(*boxes, strict=True)
    box = min(left), min(top), max(right), max(bottom)
    return frames if box == (0, 0, *frames.size) else frames.each(lambda image: image.crop(box))


def _border(image: Image.Image, colour: str | None) -> tuple[int, int, int, int]:
    if colour is not None:
        return rgba(colour)
    red, green, blue, alpha = image.crop((0, 0, 1, 1)).convert("RGBA").tobytes()
    return red, green, blue, alpha


def _content(image: Image.Image, border: tuple[int, int, int, int], tolerance: int) -> tuple[int, int, int, int] | None:
    """Return the box of the pixels that differ from the border; how transparent pixels are coloured does not count."""
    shown = image.convert("RGBa") if image.mode == "RGBA" else image
    red, green, blue, alpha = border
    plain = (red, green, blue) if shown.mode == "RGB" else (*(channel * alpha // 255 for channel in border[:3]), alpha)
    channels = ImageChops.difference(shown, Image.new(shown.mode, shown.size, plain)).split()
    most = channels[0]
    for channel in channels[1:]:
        most = ImageChops.lighter(most, channel)
    return most.point([0] * (tolerance + 1) + [255] * (255 - tolerance)).getbbox()


TRIM = Operation("trim", "transform", Trim, trim, RATES["trim"])
