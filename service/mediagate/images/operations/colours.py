"""Changes of colours that leave alpha as it is."""

from __future__ import annotations

from collections.abc import Callable

from PIL import Image


def in_colours(image: Image.Image, change: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """Return a picture whose colours were changed as ``RGB``, with its own alpha."""
    if image.mode != "RGBA":
        return change(image)
    changed = change(image.convert("RGB"))
    changed.putalpha(image.getchannel("A"))
    return changed


def premultiplied(image: Image.Image, change: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """Return a picture that was changed with premultiplied alpha, so that transparent colours do not spread."""
    return change(image) if image.mode != "RGBA" else change(image.convert("RGBa")).convert("RGBA")
