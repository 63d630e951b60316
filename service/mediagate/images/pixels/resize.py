"""Resizing and cropping of pictures."""

from __future__ import annotations

from PIL import Image

from mediagate.images.pixels import lanczos
from mediagate.images.pixels.colour import without_invisible
from mediagate.images.pixels.sizes import Box, Crop

fast = lanczos.usable
"""Whether resizing a picture of millions of pixels costs less than encoding it, so that no size is made of another."""
REDUCING_GAP = 2.0
"""Shrinking by more than twice this factor uses a fast box filter first; Pillow documents the result at 2.0 as hardly
distinguishable."""
HALF = 2.0
"""Shrinking by less than this factor uses the bicubic filter, which costs three quarters of Lanczos there, with an SSIM
of 0.995 or more relative to it (``bench/peers/resizers.py``)."""

LARGE = 4_000_000
"""Pixels from which shrinking to a half or a quarter uses the Hamming filter: 40 % of Lanczos' time, with an SSIM of
0.995 or more relative to it (12 megapixels to 1920 and 1280 pixels wide)."""


def resized(image: Image.Image, size: tuple[int, int], box: Box | None = None) -> Image.Image:
    """Return a box of the picture at another size (Lanczos or nearly so, alpha premultiplied).

    A picture without another reference is released half way, to save its memory.
    """
    # A box is a product of fractions, so the box of the whole picture may deviate imperceptibly.
    if box is not None and box[2] - box[0] > image.width - 0.01 and box[3] - box[1] > image.height - 0.01:
        box = None
    if box is None and size == image.size:
        return image
    left, top, right, bottom = box or (0, 0, *image.size)
    if image.mode in lanczos.MODES and lanczos.usable():
        return lanczos.resize(image, size, (left, top, right, bottom))
    little = right - left < HALF * size[0] and bottom - top < HALF * size[1]
    if not little or image.mode == "RGBA":
        kernel = Image.Resampling.BICUBIC if little else Image.Resampling.LANCZOS
        if not little and (right - left) * (bottom - top) >= LARGE and right - left < 2 * HALF * size[0]:
            return image.resize(size, Image.Resampling.HAMMING, box=box)
        return image.resize(size, kernel, box=box, reducing_gap=REDUCING_GAP)
    # Pillow would do the same two passes in one call, and meanwhile hold three pictures instead of two.
    across = image.resize((size[0], image.height), Image.Resampling.BICUBIC, box=(left, 0, right, image.height))
    del image
    return across.resize(size, Image.Resampling.BICUBIC, box=(0, top, size[0], bottom))


def cut(image: Image.Image, plan: Crop, extent: Box | None = None) -> Image.Image:
    """Return a variant's part of a picture of any size; colours hidden by alpha are black again.

    ``extent`` is the box that the picture fills, by default all of it.
    """
    return without_invisible(resized(image, plan.size, plan.box_on(extent or (0, 0, *image.size))))


def square(image: Image.Image, side: int) -> Image.Image:
    """Return the picture stretched to ``side x side`` pixels (means with premultiplied alpha, or repeated pixels)."""
    return image.resize((side, side), Image.Resampling.BOX)


def within(image: Image.Image, edge: int) -> Image.Image:
    """Return the picture with no edge longer than ``edge`` pixels."""
    scale = min(1.0, edge / max(image.size))
    return resized(image, (max(1, round(image.width * scale)), max(1, round(image.height * scale))))
