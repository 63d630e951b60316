"""The part of an upload that is published, as its uploader says it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import NamedTuple

from mediagate.errors import InvalidCrop

ROUNDING = 1e-6
"""How far beyond 1 a sum of two fractions may be: 0.7 and 0.3 are not exact."""


@dataclass(frozen=True, slots=True)
class CropBox:
    """A box of a picture; all in fractions of the upright picture, from its left and top edge."""

    x: float
    y: float
    width: float
    height: float

    def check(self) -> None:
        """Raise ``InvalidCrop`` unless the box has an area and lies within the picture."""
        if not all(0 <= value <= 1 for value in astuple(self)) or not self.width * self.height:  # NaN fails the first
            raise InvalidCrop("crop: use x,y,w,h, four numbers from 0 to 1; the width w and the height h are above 0")
        if max(self.x + self.width, self.y + self.height) > 1 + ROUNDING:
            raise InvalidCrop("crop: the box leaves the picture; x + w and y + h are at most 1")

    def on(self, size: tuple[int, int]) -> tuple[int, int, int, int]:
        """Return left, top, right and bottom on a picture of this size, in whole pixels, at least one each way."""
        left, right = _edges(self.x, self.width, size[0])
        top, bottom = _edges(self.y, self.height, size[1])
        return left, top, right, bottom

    def __str__(self) -> str:
        return ",".join(map(repr, astuple(self)))


class Framing(NamedTuple):
    """How an upload is framed: the part of it that is published, and the focal point of that part."""

    focal: tuple[float, float] = (0.5, 0.5)
    crop: CropBox | None = None


WHOLE = Framing()
"""All of a picture, with the focal point in its middle."""


def read_crop(value: str | Sequence[float] | None) -> CropBox | None:
    """Return the box of ``x,y,w,h``; ``None`` for the whole picture, and one of NaN if it is not four numbers."""
    if value is None or value == "":
        return None
    try:
        parts = value.split(",") if isinstance(value, str) else list(value)
        box = CropBox(*(math.nan if isinstance(part, bool) else float(part) for part in parts))
    except (TypeError, ValueError, OverflowError):
        return CropBox(math.nan, math.nan, math.nan, math.nan)
    return None if box == CropBox(0, 0, 1, 1) else box


def _edges(start: float, length: float, pixels: int) -> tuple[int, int]:
    first = min(round(start * pixels), pixels - 1)
    return first, min(max(round((start + length) * pixels), first + 1), pixels)
