"""Resizing and cropping of pictures."""

from __future__ import annotations

from PIL import Image

from mediagate.images.pixels import lanczos
from mediagate.images.pixels.colour import without_invisible
from mediagate.images.pixels.sizes import Box, Crop


def resized(image: Image.Image, size: tuple[int, int], box: Box | None = None) -> Image.Image:
    """Return a box of the picture at another size (Lanczos 3, alpha premultiplied)."""
    # A box is a product of fractions, so the box of the whole picture may deviate imperceptibly.
    if box is not None and box[2] - box[0] > image.width - 0.01 and box[3] - box[1] > image.height - 0.01:
        box = None
    if box is None and size == image.size:
        return image
    box = box or (0, 0, *image.size)
    if image.mode in lanczos.MODES and lanczos.usable():
        return lanczos.resize(image, size, box)
    return image.resize(size, Image.Resampling.LANCZOS, box=box)


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
