"""vignette: darken the corners."""

from __future__ import annotations

from PIL import Image, ImageChops
from pydantic import Field

from mediagate.images.operations.colours import in_colours
from mediagate.images.operations.costs import RATES
from mediagate.images.operations.frames import Frames
from mediagate.images.operations.operation import Context, Operation, Params
from mediagate.images.operations.parameters import Percent


class Vignette(Params):
    """Darken the picture towards its corners."""

    strength: Percent = Field(50.0, description="0-100: how much darker the corners are")


def vignette(frames: Frames, params: Vignette, context: Context) -> Frames:
    """Return the frames darkened by the square of the distance from their middle."""
    if params.strength == 0:
        return frames
    shade = _shade(frames.size, params.strength / 100)
    return frames.each(lambda image: in_colours(image, lambda colours: _shaded(colours, shade)))


def _shade(size: tuple[int, int], strength: float) -> Image.Image:
    """Return by how much of 255 each pixel is multiplied."""
    curve = [round(255 * (1 - strength * (distance / 255) ** 2)) for distance in range(256)]
    return Image.radial_gradient("L").point(curve).resize(size, Image.Resampling.BICUBIC)


def _shaded(colours: Image.Image, shade: Image.Image) -> Image.Image:
    return Image.merge("RGB", [ImageChops.multiply(channel, shade) for channel in colours.split()])


VIGNETTE = Operation("vignette", "filter", Vignette, vignette, RATES["vignette"])
