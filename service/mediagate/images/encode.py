"""From pixels to files. Encoders are given pixels and nothing else, so nothing else can get into a file."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from PIL import Image

from mediagate.images import jpeg
from mediagate.images.colour import eight_bit, flattened, to_srgb, with_alpha
from mediagate.images.decode import Decoded, upright

WHITE = (255, 255, 255)
ANIMATES = ("webp", "png", "gif", "avif")
ROOMIER: Mapping[str, Mapping[str, Any]] = {
    "jpeg": {"optimize": False, "progressive": False},
    "webp": {"method": 2},
}
"""What large pictures need that are nearly noise: Pillow's buffer for optimized JPEGs, and the first partition that
WebP has at efforts 0 and 1, are too small for them."""
PUBLISHED_AS = {"heic": "jpeg"}
"""Browsers do not show HEIC."""


def encode(
    frames: list[Image.Image], durations_ms: list[int], plays: int, image_format: str, quality: int, effort: int
) -> bytes:
    """Return sRGB frames of one size as a file; in a format that cannot move, the first one."""
    options: dict[str, Any] = {
        "webp": {"quality": quality, "method": effort},
        "avif": {"quality": quality, "speed": 10 - effort},
        "jpeg": {"quality": quality, "progressive": True, "optimize": True},
        "png": {"compress_level": min(9, round(effort * 1.5))},
    }[image_format]
    if image_format == "jpeg":
        frames = [flattened(frames[0], WHITE)]
    return _saved(frames, image_format, options, durations_ms, plays)


def encode_original(decoded: Decoded) -> tuple[str, bytes]:
    """Return the format and the bytes of the cleaned original: same size, own colours with their profile.

    Of a JPEG the coded picture is copied if possible, and shown upright by its orientation tag; else it is written anew
    with the quantization tables and the subsampling that it came with, so that it neither grows nor loses visibly. PNG
    is lossless (16 bits stay for grey without alpha only), WebP too if it was, else it has quality 90; AVIF has 80. GIF
    keeps its colours as far as 256 a frame allow. What browsers cannot show is published as JPEG of quality 92: HEIC,
    and JPEG in CMYK. The latter is converted to sRGB, and so is a picture whose profile cannot be stored with its
    pixels.
    """
    profile = decoded.profile
    if decoded.picture is not None:
        icc = profile.icc if profile else None
        return "jpeg", jpeg.dressed(decoded.picture, orientation=decoded.orientation, icc=icc)
    image_format = PUBLISHED_AS.get(decoded.info.format, decoded.info.format)
    frames = [upright(frame, decoded.turn) for frame in decoded.frames]
    options: dict[str, Any] = {
        "jpeg": {"quality": 92, "optimize": True, "progressive": decoded.progressive},
        # Low efforts: at higher ones 50 megapixels of WebP take 20 s instead of 3, to save a tenth of the bytes.
        "webp": {"lossless": True} if decoded.lossless else {"quality": 90, "method": 2},
        "avif": {"quality": 80, "speed": 8},
        "png": {"compress_level": 4},
    }.get(image_format, {})
    kept = profile is not None and profile.is_harmless and profile.fits(frames[0]) and image_format != "gif"
    if frames[0].mode == "CMYK" or (profile is not None and not kept):
        frames = [to_srgb(eight_bit(frame), profile) for frame in frames]
    elif decoded.quantization:
        del options["quality"]
        options |= {"qtables": decoded.quantization, "subsampling": decoded.subsampling}
    if profile is not None and kept:
        options["icc_profile"] = profile.icc
    frames = [_storable(frame, image_format) for frame in frames]
    original = _saved(frames, image_format, options, decoded.durations_ms, decoded.plays)
    if "qtables" in options and jpeg.suspicious(original):
        del options["qtables"]
        original = _saved(frames, image_format, {**options, "quality": 92}, decoded.durations_ms, decoded.plays)
    return image_format, original


def _storable(image: Image.Image, image_format: str) -> Image.Image:
    """Return the frame in a mode that the format can hold, without loss of colour or alpha."""
    # A single transparent colour can stay as it is; a list of them, like alpha, could hide a picture.
    keyed = isinstance(image.info.get("transparency"), int) and image_format in ("png", "gif")
    has_alpha = image.mode in ("RGBA", "LA", "PA") or ("transparency" in image.info and not keyed)
    if has_alpha:
        image = with_alpha(image)
    if image_format == "jpeg":
        image = flattened(image, WHITE)
        return image if image.mode in ("L", "RGB") else eight_bit(image).convert("RGB")
    if image_format == "png":
        return image if image.mode in ("1", "L", "P", "I;16", "RGB", "RGBA") else image.convert("RGB")
    if image_format == "gif":
        return image if image.mode in ("1", "L", "P") else _paletted(image)
    return image if image.mode in ("RGB", "RGBA") else eight_bit(image).convert("RGB")


def _paletted(image: Image.Image) -> Image.Image:
    """Return a frame with its own palette, whose last colour stands for transparency."""
    if image.mode != "RGBA":
        return image.convert("RGB").quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    hidden = image.getchannel("A").point([255] * 128 + [0] * 128)
    colours = flattened(image, (0, 0, 0)).quantize(255, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    colours.paste(255, mask=hidden)
    colours.info = {"transparency": 255}
    return colours


def _saved(
    frames: list[Image.Image], image_format: str, options: dict[str, Any], durations_ms: list[int], plays: int
) -> bytes:
    if len(frames) > 1 and image_format in ANIMATES:
        options = {**options, "save_all": True, "append_images": frames[1:], "duration": durations_ms}
        if image_format == "gif":
            options["disposal"] = 2 if "transparency" in frames[0].info else 1
            # Told as repeats after the first time; nothing told: none.
            options |= {} if plays == 1 else {"loop": plays and plays - 1}
        elif image_format != "avif":
            options["loop"] = plays
    file = io.BytesIO()
    try:
        frames[0].save(file, image_format, **options)
    except (OSError, ValueError):
        if image_format not in ROOMIER:
            raise
        file = io.BytesIO()
        frames[0].save(file, image_format, **{**options, **ROOMIER[image_format]})
    return file.getvalue()
