"""grain: the noise of a film."""

from __future__ import annotations

from hashlib import shake_128
from typing import Annotated

from PIL import Image, ImageChops
from pydantic import Field

from mediagate.images.operations.colours import in_colours
from mediagate.images.operations.costs import RATES
from mediagate.images.operations.frames import Frames
from mediagate.images.operations.operation import Context, Operation, Params
from mediagate.images.operations.parameters import Percent

MOST_LEVELS = 64
"""How far the strongest grain moves a channel at most."""
MIDDLE = 128


class Grain(Params):
    """Add the noise of a film. The same seed gives the same noise, on every machine."""

    strength: Percent = Field(25.0, description="0-100")
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = Field(0, description="selects the noise")


def grain(frames: Frames, params: Grain, context: Context) -> Frames:
    """Return the frames with noise of one value for all channels of a pixel; each frame of an animation has its own."""
    if params.strength == 0:
        return frames
    grains = (_noise(frames.size, f"{params.seed}:{number}", params.strength) for number in range(len(frames.images)))
    return frames.each(lambda image: in_colours(image, lambda colours: _with(colours, next(grains))))


def _noise(size: tuple[int, int], seed: str, strength: float) -> Image.Image:
    """Return noise around ``MIDDLE``: the mean of two even distributions."""
    length = size[0] * size[1]
    # A hash with output of any length is the same on every machine and in every release of Python.
    drawn = shake_128(seed.encode()).digest(2 * length)
    first, second = (Image.frombytes("L", size, drawn[start : start + length]) for start in (0, length))
    share = 2 * MOST_LEVELS * strength / 100 / 255
    scaled = [round(MIDDLE + (value - 127.5) * share) for value in range(256)]
    return ImageChops.add(first, second, scale=2.0).point(scaled)


def _with(colours: Image.Image, noise: Image.Image) -> Image.Image:
    return Image.merge("RGB", [ImageChops.add(channel, noise, offset=-MIDDLE) for channel in colours.split()])


GRAIN = Operation("grain", "filter", Grain, grain, RATES["grain"])
