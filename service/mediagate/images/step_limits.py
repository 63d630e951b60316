"""The limits of a source on pictures that steps make."""

from __future__ import annotations

from math import prod

from mediagate.config import Source
from mediagate.errors import ImageTooLarge


def check_pixels(size: tuple[int, int], frames: int, source: Source) -> None:
    """Raise ``ImageTooLarge`` if a step would make a picture with more pixels than its source accepts."""
    pixels = prod(size)
    if pixels > source.max_pixels:
        raise ImageTooLarge(
            f"the picture would have {size[0]} x {size[1]} pixels; up to {source.max_pixels:,} are accepted"
        )
    if frames > 1 and frames * pixels > source.max_animation_pixels:
        raise ImageTooLarge(
            f"the animation's frames would have {frames * pixels:,} pixels; "
            f"up to {source.max_animation_pixels:,} are accepted"
        )
