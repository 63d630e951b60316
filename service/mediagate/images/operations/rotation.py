"""Rotation by any angle, for the operations that turn pictures."""

from __future__ import annotations

from math import cos, radians, sin

from PIL import Image
from PIL.Image import Transpose

QUARTERS = {90: Transpose.ROTATE_270, 180: Transpose.ROTATE_180, 270: Transpose.ROTATE_90}
"""Pillow counts counter-clockwise."""


def turned(image: Image.Image, degrees: float, *, expand: bool) -> Image.Image:
    """Return a picture turned clockwise (bicubic, alpha premultiplied); corners are transparent.

    Quarter turns are exact. With ``expand`` the result holds all of the picture, else it has the same size.
    """
    degrees %= 360
    if degrees == 0:
        return image
    if degrees in QUARTERS and (expand or degrees == 180 or image.width == image.height):
        return image.transpose(QUARTERS[int(degrees)])
    return image.convert("RGBA").rotate(-degrees, Image.Resampling.BICUBIC, expand=expand)


def expanded(size: tuple[int, int], degrees: float) -> tuple[int, int]:
    """Return an upper bound of the size of a picture that was turned with ``expand``."""
    across, down = abs(cos(radians(degrees))), abs(sin(radians(degrees)))
    width, height = size
    return int(width * across + height * down) + 3, int(width * down + height * across) + 3


def inner(size: tuple[int, int], degrees: float) -> tuple[float, float]:
    """Return width and height of the largest upright rectangle within a turned picture of this size.

    It touches two edges of the picture if that is long and narrow, else all four.
    """
    width, height = size
    across, down = abs(cos(radians(degrees))), abs(sin(radians(degrees)))
    longer, shorter = max(size), min(size)
    if shorter <= 2 * across * down * longer or abs(across - down) < 1e-9:
        half = shorter / 2
        return (half / down, half / across) if width >= height else (half / across, half / down)
    squares = across * across - down * down
    return (width * across - height * down) / squares, (height * across - width * down) / squares
