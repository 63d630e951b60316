"""The part of the picture that a variant shows, and its size."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from math import gcd

from mediagate.config import Source, VariantSpec
from mediagate.images.pixels.formats import MAX_EDGE

Box = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels."""
MODERATED_EDGE = 640
"""The longest edge of a moderator's picture has at least this many pixels, unless the file has fewer, and less than
twice as many: models use inputs of 224 to 640."""
MIDDLE = (0.5, 0.5)
LARGEST_TERM = 21
RATIO_TOLERANCE = Fraction(1, 100)


@dataclass(frozen=True, slots=True)
class Crop:
    """A variant's part of a picture of ``whole`` pixels: a ``box`` of it, resized to ``size`` pixels."""

    whole: tuple[int, int]
    size: tuple[int, int]
    box: Box

    @property
    def scale(self) -> float:
        """The smallest scale of the whole picture from which the variant needs no enlargement."""
        left, top, right, bottom = self.box
        return max(self.size[0] / (right - left), self.size[1] / (bottom - top))

    @property
    def shows_all(self) -> bool:
        """Whether nothing is cropped."""
        return self.box == (0.0, 0.0, float(self.whole[0]), float(self.whole[1]))

    def box_on(self, extent: Box) -> Box:
        """Return the same box on the whole picture at another size, where it fills ``extent``."""
        x, y, end_x, end_y = extent
        across, down = (end_x - x) / self.whole[0], (end_y - y) / self.whole[1]
        left, top, right, bottom = self.box
        return x + left * across, y + top * down, min(x + right * across, end_x), min(y + bottom * down, end_y)


def shown(whole: tuple[int, int], spec: VariantSpec, focal: tuple[float, float]) -> Crop:
    """Return a variant's part of a picture of this size; nothing is enlarged, not even to fill a ``cover``.

    If the picture is too small for a ``cover``, the variant becomes smaller with the same proportions. The crop has the
    focal point (0-1 from left and top) as near to its middle as the edges allow.
    """
    width, height = whole
    longest = MAX_EDGE[spec.format]
    if spec.fit == "inside" or spec.width is None or spec.height is None:
        limits = (min(spec.width or longest, longest) / width, min(spec.height or longest, longest) / height)
        scale = min(1.0, *limits)
        size = max(1, round(width * scale)), max(1, round(height * scale))
        return Crop(whole, size, (0.0, 0.0, float(width), float(height)))
    scale = min(1.0, width / spec.width, height / spec.height, longest / spec.width, longest / spec.height)
    size = max(1, round(spec.width * scale)), max(1, round(spec.height * scale))
    zoom = min(width / size[0], height / size[1])
    across, down = min(width, size[0] * zoom), min(height, size[1] * zoom)
    left = min(max(focal[0] * width - across / 2, 0.0), width - across)
    top = min(max(focal[1] * height - down / 2, 0.0), height - down)
    return Crop(whole, size, (left, top, left + across, top + down))


def plan(whole: tuple[int, int], source: Source, focal: tuple[float, float] = MIDDLE) -> dict[str, Crop]:
    """Return the crop of each variant of a source."""
    return {name: shown(whole, spec, focal) for name, spec in source.variants.items()}


def largest(whole: tuple[int, int], plans: Iterable[Crop]) -> tuple[int, int]:
    """Return the smallest size with enough pixels for all variants and moderators."""
    top = max(plans, key=lambda shown: shown.scale)
    scale = max(MODERATED_EDGE / max(whole), top.scale)
    if scale >= 1:
        return whole
    if scale == top.scale and top.shows_all:
        return top.size  # exactly, so that this variant needs no further resizing
    return max(1, round(whole[0] * scale)), max(1, round(whole[1] * scale))


def aspect_ratio(width: int, height: int) -> str:
    """Return the ratio of width to height in small numbers, such as ``3:2``.

    Return the reduced fraction if neither part exceeds 21; else the fraction of the smallest numbers up to 21 that is
    within 1 % of it; else the reduced fraction.
    """
    divisor = gcd(width, height)
    terms = width // divisor, height // divisor
    if max(terms) > LARGEST_TERM:
        exact = Fraction(width, height)
        near = [
            (p + q, p, q)
            for p in range(1, LARGEST_TERM + 1)
            for q in range(1, LARGEST_TERM + 1)
            if abs(Fraction(p, q) - exact) <= exact * RATIO_TOLERANCE
        ]
        if near:
            terms = min(near)[1:]
    return f"{terms[0]}:{terms[1]}"
