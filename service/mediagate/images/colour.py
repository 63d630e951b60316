"""Colours: whatever a file uses, converted once to sRGB, alpha kept."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class Profile:
    """A colour profile that can be applied to the picture it came with."""

    icc: bytes
    cms: ImageCms.ImageCmsProfile
    space: str

    @property
    def is_srgb(self) -> bool:
        """Whether it says that nothing needs to be converted."""
        return self.space == "RGB " and "sRGB" in (self.cms.profile.profile_description or "")

    @property
    def is_harmless(self) -> bool:
        """Whether it may be published; its text fields are the one place left for a hidden script."""
        return _MARKUP.search(self.icc) is None

    def fits(self, image: Image.Image) -> bool:
        """Whether it can be stored with a picture in this mode."""
        return self.space == ("GRAY" if image.mode in ("1", "L", "LA") or image.mode.startswith("I") else "RGB ")


def read_profile(icc: bytes, image: Image.Image, warnings: list[str]) -> Profile | None:
    """Return the profile of an 8-bit picture; one that is broken or belongs to another picture is warned of."""
    try:
        cms = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        profile = Profile(icc, cms, cms.profile.xcolor_space)
        if profile.space not in _SPACES[image.mode] and not (profile.space == "GRAY" and is_grey(image)):
            raise ValueError(f"it is for {profile.space.strip()}, and the picture is in {image.mode}")
        to_srgb(Image.new(image.mode, (1, 1)), profile)
    except (ImageCms.PyCMSError, OSError, ValueError) as exc:
        warnings.append(f"the colour profile was ignored: {exc}")
        return None
    return profile


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


def to_srgb(image: Image.Image, profile: Profile | None) -> Image.Image:
    """Return an 8-bit picture as ``RGB``, or ``RGBA`` if it has alpha, in sRGB."""
    if profile is None or profile.is_srgb:
        return image if image.mode in ("RGB", "RGBA") else image.convert("RGB")
    alpha = image.getchannel("A") if image.mode == "RGBA" else None
    mode = {"RGB ": "RGB", "CMYK": "CMYK", "GRAY": "L"}[profile.space]
    colours = image if image.mode == mode else image.convert(mode)
    converted = ImageCms.profileToProfile(colours, profile.cms, _SRGB, _INTENT, outputMode="RGB", flags=_FLAGS)
    assert converted is not None  # only with inPlace
    converted.info = {}
    if alpha is not None:
        converted.putalpha(alpha)
    return converted


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
