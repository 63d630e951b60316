"""Colours: whatever a file uses, converted once to sRGB, alpha kept."""

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
"""Alpha (0-255) up to which a pixel changes what is behind it by less than anybody sees."""
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
    """Whether a picture as it is stored may let the background through."""
    return "transparency" in image.info or image.mode in ("RGBA", "LA", "PA", "La", "RGBa")


def without_invisible(image: Image.Image) -> Image.Image:
    """Return the picture with black wherever alpha is at most ``INVISIBLE``; alpha stays.

    A picture under so little alpha is seen on no background, and would be read out of the file all the same.
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
    """Return an opaque ``RGB`` picture on a plain background."""
    if image.mode != "RGBA":
        return image
    plain = Image.new("RGB", image.size, background)
    plain.paste(image, mask=image.getchannel("A"))
    return plain


def opaque(image: Image.Image) -> bool:
    """Whether no pixel lets the background through."""
    return image.mode != "RGBA" or image.getchannel("A").getextrema()[0] == 255


def is_grey(image: Image.Image) -> bool:
    """Whether all three colours are the same, as where Pillow decodes grey with alpha to ``RGBA``."""
    if image.mode not in ("RGB", "RGBA"):
        return False
    red, green, blue = image.convert("RGB").split()
    return ImageChops.difference(red, green).getbbox() is None and ImageChops.difference(red, blue).getbbox() is None


def _sixteen_bit_with_alpha(image: Image.Image) -> Image.Image:
    wide = image.convert("I")
    key = image.info.get("transparency")
    grey = wide.point(_SIXTEEN_TO_EIGHT, "L")
    return Image.merge("LA", (grey, wide.point([0 if value == key else 255 for value in range(65536)], "L")))
