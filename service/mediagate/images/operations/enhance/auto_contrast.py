"""auto_contrast: use all levels between black and white."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from mediagate.images.operations.costs import RATES
from mediagate.images.operations.enhance.levels import histogram, with_table
from mediagate.images.operations.frames import Frames
from mediagate.images.operations.operation import Context, Operation, Params


class AutoContrast(Params):
    """Stretch the contrast from black to white; all channels alike, so that colours keep their tone."""

    cutoff: Annotated[float, Field(ge=0, le=20)] = Field(
        0.5, description="percent of the darkest and of the lightest pixels that may become black and white, 0-20"
    )


def auto_contrast(frames: Frames, params: AutoContrast, context: Context) -> Frames:
    """Return the frames with the darkest luma at 0 and the lightest at 255; an animation has one table for all frames.

    Each end leaves out ``cutoff`` percent of the pixels.
    """
    low, high = _ends(histogram(frames, luma=True), params.cutoff / 100)
    if high <= low or (low, high) == (0, 255):
        return frames
    scale = 255 / (high - low)
    return with_table(frames, [round(min(max((level - low) * scale, 0), 255)) for level in range(256)])


def _ends(levels: Sequence[int], cutoff: float) -> tuple[int, int]:
    """Return the lowest and the highest level of what is left."""
    most = sum(levels) * cutoff
    return _first(levels, most), 255 - _first(levels[::-1], most)


def _first(levels: Sequence[int], most: float) -> int:
    """Return the first level up to which there are more than ``most`` pixels."""
    count = 0
    for level, number in enumerate(levels):
        count += number
        if count > most:
            return level
    return 0


AUTO_CONTRAST = Operation("auto_contrast", "enhance", AutoContrast, auto_contrast, RATES["auto_contrast"])
