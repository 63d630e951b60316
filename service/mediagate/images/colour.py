"""Colours: whatever a file uses, converted once to sRGB, alpha kept."""

from __future__ import annotations

import io

from PIL import Image, ImageCms

_SRGB = ImageCms.createProfile("sRGB")
_INTENT = ImageCms.Intent.RELATIVE_COLORIMETRIC
_FLAGS = ImageCms.Flags.BLACKPOINTCOMPENSATION
_SPACE = {"RGB": "RGB ", "CMYK": "CMYK", "L": "GRAY"}
"""The colour space that a profile must name to fit a mode (ICC.1:2022, table 19)."""
SIXTEEN_TO_EIGHT = 1 / 257


def to_srgb(image: Image.Image, icc: bytes | None, warnings: list[str]) -> Image.Image:
    """Return the picture as ``RGB``, or ``RGBA`` if it has transparency, in sRGB.

    A profile that is broken or belongs to another kind of picture is left out with a warning.
    """
    image = _eight_bit(image)
    alpha = None
    if image.mode == "RGBA":
        alpha = image.getchannel("A")
    colours = image.convert("RGB") if image.mode == "RGBA" else image
    colours = _converted(colours, icc, warnings)
    if alpha is not None:
        colours.putalpha(alpha)
    return colours


def flattened(image: Image.Image, background: tuple[int, int, int]) -> Image.Image:
    """Return an opaque ``RGB`` picture on a plain background."""
    if image.mode != "RGBA":
        return image
    plain = Image.new("RGB", image.size, background)
    plain.paste(image, mask=image.getchannel("A"))
    return plain


def is_transparent(image: Image.Image) -> bool:
    """Whether any pixel lets the background through."""
    return image.mode == "RGBA" and image.getchannel("A").getextrema()[0] != 255


def _eight_bit(image: Image.Image) -> Image.Image:
    """Return the picture as L, RGB, RGBA or CMYK with 8 bits a channel."""
    mode = image.mode
    if mode.startswith("I;16") or mode in ("I", "F"):
        return image.convert("F").point(lambda value: value * SIXTEEN_TO_EIGHT + 0.5).convert("L")
    if mode in ("P", "PA", "LA", "La", "RGBa") or "transparency" in image.info:
        has_alpha = mode != "P" or "transparency" in image.info
        return image.convert("RGBA" if has_alpha else "RGB")
    if mode in ("L", "RGB", "RGBA", "CMYK"):
        return image
    return image.convert("L" if mode == "1" else "RGB")


def _converted(image: Image.Image, icc: bytes | None, warnings: list[str]) -> Image.Image:
    if icc is not None:
        try:
            profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
            space = profile.profile.xcolor_space
            if space == "RGB " and image.mode == "L":
                image = image.convert("RGB")
            if _SPACE[image.mode] != space:
                raise ImageCms.PyCMSError(f"a profile for {space.strip()} on a picture in {image.mode}")
            if space == "RGB " and "sRGB" in (profile.profile.profile_description or ""):
                return image
            converted = ImageCms.profileToProfile(
                image, profile, _SRGB, renderingIntent=_INTENT, outputMode="RGB", flags=_FLAGS
            )
            if converted is not None:
                converted.info = {}
                return converted
        except (ImageCms.PyCMSError, OSError, KeyError, TypeError, ValueError) as exc:
            warnings.append(f"the colour profile was ignored: {exc}")
    return image if image.mode == "RGB" else image.convert("RGB")
