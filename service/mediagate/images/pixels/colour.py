"""Colours: pixels of any mode are converted once to 8-bit sRGB, with alpha."""

from __future__ import annotations

import re

from PIL import Image, ImageChops, ImageCms

_SRGB = ImageCms.createProfile("sRGB")
_INTENT = ImageCms.Intent.RELATIVE_COLORIMETRIC
_FLAGS = ImageCms.Flags.BLACKPOINTCOMPENSATION
_SPACES = {"RGB": ("RGB ",), "RGBA": ("RGB ",), "CMYK": ("CMYK",), "L": ("GRAY", "RGB ")}
"""The colour spaces that a profile may name to fit a mode (ICC.1:2022, table 19)."""
_SIXTEEN_TO_EIGHT = [(value + 128) // 257 for value in range(65536)]
INVISIBLE = 8
"""Alpha (0-255) up to which a pixel changes its background imperceptibly."""
_MARKUP = re.compile(rb"<\?php|<\?=|<script|<html|<svg|<!doctype", re.IGNORECASE)


def eight_bit(image: Image.Image) -> Image.Image:
    """Return the picture as ``L``, ``RGB``, ``RGBA`` or ``CMYK`` with 8 bits a channel."""
    mode = image.mode
    if has_alpha(image):
        return (_sixteen_bit_with_alpha(image) if mode.startswith("I") else image).convert("RGBA")
    if mode.startswith("I"):
        return image.convert("I").point(_SIXTEEN_TO_EIGHT, "L")
    if mode in ("L", "RGB", "CMYK"):
        return image
    return image.convert("L" if mode == "1" else "RGB")


def has_alpha(image: Image.Image) -> bool:
    """Whether a picture, as stored, may be transparent anywhere."""
    return "transparency" in image.info or image.mode in ("RGBA", "LA", "PA", "La", "RGBa")


def without_invisible(image: Image.Image) -> Image.Image:
    """Return the picture with black wherever alpha is at most ``INVISIBLE``; alpha stays.

    A picture hidden under such low alpha is visible on no background, yet could be extracted from the file.
    """
    if image.mode != "RGBA":
        return image
    alpha = image.getchannel("A")
    seen = alpha.point([0] * (INVISIBLE + 1) + [255] * (255 - INVISIBLE))
    if seen.getextrema()[0] == 255:
        return image
    clean = Image.new("RGBA", image.size)
    clean.paste(image, mask=seen)
    clean.putalpha(alpha)
    return clean


def flattened(image: Image.Image, background: tuple[int, int, int]) -> Image.Image:
    """Return the picture on a plain background, as opaque ``RGB``."""
    if image.mode != "RGBA":
        return image
    plain = Image.new("RGB", image.size, background)
    plain.paste(image, mask=image.getchannel("A"))
    return plain


def opaque(image: Image.Image) -> bool:
    """Whether every pixel is opaque."""
    return image.mode != "RGBA" or image.getchannel("A").getextrema()[0] == 255


def is_grey(image: Image.Image) -> bool:
    """Whether all three channels are equal, as when Pillow decodes grey with alpha to ``RGBA``."""
    if image.mode not in ("RGB", "RGBA"):
        return False
    red, green, blue = image.convert("RGB").split()
    return ImageChops.difference(red, green).getbbox() is None and ImageChops.difference(red, blue).getbbox() is None


def _sixteen_bit_with_alpha(image: Image.Image) -> Image.Image:
    wide = image.convert("I")
    key = image.info.get("transparency")
    grey = wide.point(_SIXTEEN_TO_EIGHT, "L")
    return Image.merge("LA", (grey, wide.point([0 if value == key else 255 for value in range(65536)], "L")))
