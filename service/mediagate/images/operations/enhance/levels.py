"""The light of all frames of a picture together, and tables that change it."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image

from mediagate.images.operations.colours import in_colours
from mediagate.images.operations.frames import Frames


def histogram(frames: Frames, *, luma: bool) -> list[int]:
    """Return how many pixels have each level, of ``luma`` (256 numbers) or of red, green and blue (768).

    Pixels that are mostly transparent do not count.
    """
    counts = [_counted(image, luma) for image in frames.images]
    return [sum(levels) for levels in zip(*counts, strict=True)]


def _counted(image: Image.Image, luma: bool) -> list[int]:
    shown = image.convert("RGB")
    if luma:
        shown = shown.convert("L")
    return shown.histogram(visible(image) if image.mode == "RGBA" else None)


def visible(image: Image.Image) -> Image.Image:
    """Return a mask of the pixels that are at least half opaque."""
    return image.getchannel("A").point([0] * 128 + [255] * 128)


def mean(levels: Sequence[int]) -> float | None:
    """Return the mean level of a histogram, ``None`` if nothing was counted."""
    count = sum(levels)
    return sum(level * number for level, number in enumerate(levels)) / count if count else None


def with_table(frames: Frames, table: Sequence[int]) -> Frames:
    """Return the frames with each level replaced, one table for all channels or one for each; alpha stays."""
    tables = [*table] * (3 if len(table) == 256 else 1)
    return frames.each(lambda image: in_colours(image, lambda colours: colours.point(tables)))
