"""Sizes: which pixels of the picture a variant shows, and how they get there."""

from __future__ import annotations

from fractions import Fraction
from math import gcd

from PIL import Image

from mediagate.config import VariantSpec

Box = tuple[float, float, float, float]
REDUCING_GAP = 2.0
"""Shrinking by more than twice this goes through a fast box filter first; Pillow calls 2.0 hardly distinguishable."""
LARGEST_TERM = 21
RATIO_TOLERANCE = Fraction(1, 100)


def target(size: tuple[int, int], spec: VariantSpec, focal: tuple[float, float]) -> tuple[tuple[int, int], Box]:
    """Return the size of a variant in pixels and the part of the picture that it shows; nothing is enlarged."""
    width, height = size
    whole = (0.0, 0.0, float(width), float(height))
    if spec.fit == "inside" or spec.width is None or spec.height is None:
        scale = min(1.0, (spec.width or width) / width, (spec.height or height) / height)
        return (max(1, round(width * scale)), max(1, round(height * scale))), whole
    scale = min(1.0, width / spec.width, height / spec.height)
    wanted = max(1, round(spec.width * scale)), max(1, round(spec.height * scale))
    zoom = min(width / wanted[0], height / wanted[1])
    shown_width, shown_height = min(width, wanted[0] * zoom), min(height, wanted[1] * zoom)
    left = min(max(focal[0] * width - shown_width / 2, 0), width - shown_width)
    top = min(max(focal[1] * height - shown_height / 2, 0), height - shown_height)
    return wanted, (left, top, left + shown_width, top + shown_height)


def resized(image: Image.Image, size: tuple[int, int], box: Box | None = None) -> Image.Image:
    """Return a part of the picture at another size (Lanczos, alpha premultiplied)."""
    if size == image.size and (box is None or box == (0, 0, *image.size)):
        return image
    return image.resize(size, Image.Resampling.LANCZOS, box=box, reducing_gap=REDUCING_GAP)


def within(image: Image.Image, edge: int) -> Image.Image:
    """Return the picture with no edge longer than ``edge`` pixels."""
    scale = min(1.0, edge / max(image.size))
    return resized(image, (max(1, round(image.width * scale)), max(1, round(image.height * scale))))


def aspect_ratio(width: int, height: int) -> str:
    """Return the ratio of width to height in small numbers, such as ``3:2``.

    The reduced fraction if neither part exceeds 21; else the fraction of the smallest such numbers that is within
    1 % of it; else the reduced fraction as it is.
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
