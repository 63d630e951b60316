"""Whether an encoded file still shows the picture that it was made of.

Lossy encoders halve the resolution of colours and clip what they decode: a pattern of pixels may come out as another
picture, whose means over blocks differ from those of the pattern.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

from PIL import Image, ImageChops, ImageStat

from mediagate.images.pixels.colour import flattened

BLOCK = 8
"""Edge in pixels of the blocks whose means are compared: an eye that sees the picture as a whole sees these."""
MEAN_LEVELS, MOST_LEVELS = 4.0, 24
"""How far the means of a faithful file may be off, on average and at most; photos at quality 80 are by 1 and 9."""
BACKGROUNDS = ((255, 255, 255), (0, 0, 0))


def shows(data: bytes, frames: Sequence[Image.Image]) -> bool:
    """Whether each frame of a file is near enough to one of these ``RGB`` or ``RGBA`` frames, in their order.

    The file was encoded here and is sound, so it is for want of memory that it cannot be decoded: ``MemoryError``.
    """
    try:
        return _shows(data, frames)
    except (OSError, RuntimeError) as exc:
        raise MemoryError from exc


def _shows(data: bytes, frames: Sequence[Image.Image]) -> bool:
    with Image.open(io.BytesIO(data)) as image:
        wanted = iter(frames)
        expected = next(wanted)
        for number in range(getattr(image, "n_frames", 1)):
            image.seek(number)
            image.load()
            shown = image if image.mode == expected.mode else image.convert(expected.mode)
            # Encoders join frames that are equal.
            while not _alike(shown, expected):
                following = next(wanted, None)
                if following is None:
                    return False
                expected = following
    return True


def _alike(shown: Image.Image, expected: Image.Image) -> bool:
    if shown.mode != "RGBA":
        return _near(shown, expected)
    return all(_near(flattened(shown, behind), flattened(expected, behind)) for behind in BACKGROUNDS)


def _near(shown: Image.Image, expected: Image.Image) -> bool:
    # What is left of a block at the edges is a few pixels wide.
    whole = (0, 0, max(1, shown.width // BLOCK * BLOCK), max(1, shown.height // BLOCK * BLOCK))
    means = (image.reduce(BLOCK, whole) for image in (shown, expected))
    difference = ImageStat.Stat(ImageChops.difference(*means))
    return max(difference.mean) <= MEAN_LEVELS and max(high for _, high in difference.extrema) <= MOST_LEVELS
