"""The size of a document's page in pixels."""

from __future__ import annotations

from math import ceil, sqrt

POINTS_PER_INCH = 72
"""The unit of a page (ISO 32000-1, section 8.3.2.3)."""


def scale_within(points: tuple[float, float], dpi: float, max_pixels: int) -> float:
    """Return pixels per point at ``dpi`` pixels per inch, or fewer if the page had more than ``max_pixels``."""
    scale = min(dpi / POINTS_PER_INCH, sqrt(max_pixels / points[0] / points[1]))
    while _pixels(points, scale) > max_pixels:  # an edge is rounded up
        scale *= 0.99
    return scale


def page_size(points: tuple[float, float], dpi: float, max_pixels: int) -> tuple[int, int]:
    """Return width and height in pixels of a page that is rendered within ``max_pixels``."""
    scale = scale_within(points, dpi, max_pixels)
    return ceil(points[0] * scale), ceil(points[1] * scale)


def _pixels(points: tuple[float, float], scale: float) -> int:
    return ceil(points[0] * scale) * ceil(points[1] * scale)
