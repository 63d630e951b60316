"""Checking that an encoded file still shows its source picture.

Lossy encoders halve the resolution of colours and clip decoded values: a pattern of pixels may turn into another
picture, whose means over blocks differ from those of the pattern.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

from PIL import Image, ImageChops, ImageStat

from mediagate.images.pixels import libwebp

BLOCK = 8
"""Edge in pixels of the blocks whose means are compared: an eye that views the whole picture sees these means."""
MEAN_LEVELS, MOST_LEVELS = 4.0, 24
"""How far the means of a faithful file may deviate, on average and at most; photos at quality 80 do by 1 and 9."""


def shows(data: bytes, frames: Sequence[Image.Image]) -> bool:
    """Whether each frame of a file is close enough to one of these ``RGB`` or ``RGBA`` frames, in order.

    Raises ``MemoryError`` if the file cannot be decoded: it was encoded here and is sound, so memory is lacking.
    """
    try:
        return _shows(data, frames)
    except (OSError, RuntimeError) as exc:
        raise MemoryError from exc


def _shows(data: bytes, frames: Sequence[Image.Image]) -> bool:
    if len(frames) == 1 and frames[0].mode in libwebp.MODES and libwebp.decodes(data):
        return _alike(libwebp.decode(data, frames[0].mode), frames[0])
    with Image.open(io.BytesIO(data)) as image:
        wanted = iter(frames)
        expected = next(wanted)
        for number in range(getattr(image, "n_frames", 1)):
            image.seek(number)
            image.load()
            shown = image if image.mode == expected.mode else image.convert(expected.mode)
            # Encoders merge equal frames.
            while not _alike(shown, expected):
                following = next(wanted, None)
                if following is None:
                    return False
                expected = following
    return True


def _alike(shown: Image.Image, expected: Image.Image) -> bool:
    return all(map(_near, _means(shown), _means(expected)))


def _means(image: Image.Image) -> list[Image.Image]:
    """Return the means of blocks of a picture; of one with alpha, on black and on white."""
    # Partial blocks at the edges are a few pixels wide and are not compared.
    whole = (0, 0, max(1, image.width // BLOCK * BLOCK), max(1, image.height // BLOCK * BLOCK))
    if image.mode != "RGBA":
        return [image.reduce(BLOCK, whole).convert("RGB")]
    *colours, alpha = image.convert("RGBa").reduce(BLOCK, whole).split()
    white = ImageChops.invert(alpha)
    return [Image.merge("RGB", colours), Image.merge("RGB", [ImageChops.add(colour, white) for colour in colours])]


def _near(shown: Image.Image, expected: Image.Image) -> bool:
    difference = ImageStat.Stat(ImageChops.difference(shown, expected))
    return max(difference.mean) <= MEAN_LEVELS and max(high for _, high in difference.extrema) <= MOST_LEVELS
