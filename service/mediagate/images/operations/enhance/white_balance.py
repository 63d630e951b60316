"""white_balance: remove a cast of colour."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageChops
from pydantic import Field

from mediagate.images import pixels
from mediagate.images.operations.costs import RATES
from mediagate.images.operations.enhance.levels import visible, with_table
from mediagate.images.operations.frames import Frames
from mediagate.images.operations.operation import Context, Operation, Params
from mediagate.images.operations.parameters import Percent

NORM = 6
"""Of Shades of Grey (Finlayson and Trezzi 2004), who found it the best between grey world (1) and white patch."""
MEASURED_EDGE = 500
"""Longer edge in pixels of the reduced picture whose light is measured."""
CLIPPED = 250
"""Levels from which a channel may have lost its colour."""
MOST_GAIN = 4.0


class WhiteBalance(Params):
    """Remove the cast of coloured light, so that grey becomes grey."""

    strength: Percent = Field(100.0, description="0 leaves the picture as it is, 100 removes all of the cast")


def white_balance(frames: Frames, params: WhiteBalance, context: Context) -> Frames:
    """Return the frames with each channel multiplied in linear light (von Kries), alike in all frames; alpha stays.

    The colour of the light is estimated by Shades of Grey, without pixels that are clipped or mostly transparent. The
    smallest factor is 1, so white stays white and a picture never gets darker.
    """
    light = _light(frames)
    if params.strength == 0 or min(light) <= 0:
        return frames
    gains = [min(max(light) / channel, MOST_GAIN) ** (params.strength / 100) for channel in light]
    return with_table(frames, [level for gain in gains for level in _table(gain)])


def _light(frames: Frames) -> list[float]:
    """Return the Minkowski norm of each channel in linear light, 0 if no pixel counts."""
    counts = [0] * 768
    for image in frames.images:
        small = pixels.within(image, MEASURED_EDGE)
        counts = [sum(pair) for pair in zip(counts, small.convert("RGB").histogram(_measured(small)), strict=True)]
    channels = [counts[start : start + 256] for start in (0, 256, 512)]
    powers = [_linear(level) ** NORM for level in range(256)]
    number = max(1, sum(channels[0]))
    return [_norm(channel, powers, number) for channel in channels]


def _norm(levels: Sequence[int], powers: Sequence[float], number: int) -> float:
    total = sum(count * power for count, power in zip(levels, powers, strict=True))
    return float((total / number) ** (1 / NORM))


def _measured(image: Image.Image) -> Image.Image:
    """Return a mask of the pixels that tell the colour of the light."""
    red, green, blue = image.convert("RGB").split()
    lightest = ImageChops.lighter(ImageChops.lighter(red, green), blue)
    mask = lightest.point([255] * CLIPPED + [0] * (256 - CLIPPED))
    return ImageChops.darker(mask, visible(image)) if image.mode == "RGBA" else mask


def _table(gain: float) -> list[int]:
    return [round(255 * _encoded(min(1.0, gain * _linear(level)))) for level in range(256)]


def _linear(level: int) -> float:
    """Return the light of a level, 0-1 (IEC 61966-2-1, sRGB)."""
    share = level / 255
    return share / 12.92 if share <= 0.04045 else float(((share + 0.055) / 1.055) ** 2.4)


def _encoded(light: float) -> float:
    return light * 12.92 if light <= 0.0031308 else float(1.055 * light ** (1 / 2.4) - 0.055)


WHITE_BALANCE = Operation("white_balance", "enhance", WhiteBalance, white_balance, RATES["white_balance"])
