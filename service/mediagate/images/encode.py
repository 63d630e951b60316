"""From pixels to files. Encoders are given pixels and nothing else, so nothing else can get into a file."""

from __future__ import annotations

import io
from typing import Any

from PIL import Image

from mediagate.images.colour import flattened
from mediagate.images.decode import Decoded

WHITE = (255, 255, 255)
ANIMATES = ("webp", "png", "gif", "avif")
PUBLISHED_AS = {"heic": "jpeg"}
"""Browsers do not show HEIC."""


def encode(
    frames: list[Image.Image], durations_ms: list[int], loop: int, image_format: str, quality: int, effort: int
) -> bytes:
    """Return frames of one size as a file; in a format that cannot move, the first one."""
    options: dict[str, Any] = {
        "webp": {"quality": quality, "method": effort},
        "avif": {"quality": quality, "speed": 10 - effort},
        "jpeg": {"quality": quality, "progressive": True, "optimize": True},
        "png": {"compress_level": min(9, effort + 3)},
    }[image_format]
    if image_format == "jpeg":
        frames = [flattened(frames[0], WHITE)]
    return _saved(frames, image_format, options, durations_ms, loop)


def encode_original(decoded: Decoded) -> tuple[str, bytes]:
    """Return the format and the bytes of the cleaned original: same size, own colours with their profile.

    A JPEG is written with the quantization tables and the subsampling that it came with, so that it neither grows nor
    visibly loses; PNG is lossless; WebP has quality 90, AVIF 80. HEIC becomes JPEG of quality 92.
    """
    image_format = PUBLISHED_AS.get(decoded.format, decoded.format)
    options: dict[str, Any] = {"webp": {"quality": 90}, "avif": {"quality": 80}}.get(image_format, {})
    if image_format == "jpeg":
        options = {"quality": 92, "progressive": True, "optimize": True}
    if decoded.icc is not None and image_format != "gif":
        options["icc_profile"] = decoded.icc
    frames = [_storable(frame, image_format) for frame in decoded.frames]
    if decoded.quantization and image_format == "jpeg" and frames[0].mode in ("L", "RGB", "CMYK"):
        same = {**options, "qtables": decoded.quantization}
        same.pop("quality")
        if decoded.subsampling >= 0:
            same["subsampling"] = decoded.subsampling
        try:
            return image_format, _saved(frames, image_format, same, decoded.durations_ms, decoded.loop)
        except (ValueError, OSError):
            pass  # tables that a decoder takes and an encoder does not
    return image_format, _saved(frames, image_format, options, decoded.durations_ms, decoded.loop)


def _storable(image: Image.Image, image_format: str) -> Image.Image:
    """Return the frame in a mode that the format can hold, without loss of colour or alpha."""
    alpha = image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info
    if image.mode == "P" or (alpha and image.mode not in ("RGBA", "LA")):
        image = image.convert("RGBA" if alpha else "RGB")
    if image_format == "jpeg":
        if alpha:
            return flattened(image.convert("RGBA"), WHITE)
        return image if image.mode in ("L", "RGB", "CMYK") else image.convert("RGB")
    if image_format == "png":
        return image if image.mode in ("1", "L", "LA", "I;16", "RGB", "RGBA") else image.convert("RGB")
    return image if image.mode in ("RGB", "RGBA") else image.convert("RGBA" if alpha else "RGB")


def _saved(
    frames: list[Image.Image], image_format: str, options: dict[str, Any], durations_ms: list[int], loop: int
) -> bytes:
    for frame in frames:
        frame.info = {}
    if len(frames) > 1 and image_format in ANIMATES:
        options = {**options, "save_all": True, "append_images": frames[1:], "duration": durations_ms}
        if image_format == "gif":
            options["disposal"] = 2
        if image_format != "avif" and not (image_format == "gif" and loop == 1):
            options["loop"] = loop
    file = io.BytesIO()
    frames[0].save(file, image_format, **options)
    return file.getvalue()
