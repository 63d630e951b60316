"""The memory that a picture needs, estimated from its header.

Codecs that run out of memory crash, or report a sound file as damaged, so a picture that cannot fit is refused before
decoding. The numbers were measured as growth of the address space with Pillow 13, pillow-heif 1.8 and their bundled
codecs.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from mediagate.config import Source
from mediagate.errors import ImageTooLarge
from mediagate.images.pixels.sizes import largest, plan
from mediagate.values import ImageInfo

MIB = 1024 * 1024
OVERHEAD = 25 * MIB
"""Small buffers, and the stacks of two threads."""
HELD = 4.0
"""Bytes a pixel of a decoded frame (Pillow stores RGB in four)."""
DECODING: Mapping[str, float] = {"jpeg": 11.0, "png": 8.5, "gif": 17.0, "webp": 17.5, "avif": 12.0, "heic": 11.0}
"""Bytes a pixel while a frame is decoded, converted and turned."""
DECODING_ALPHA: Mapping[str, float] = {"jpeg": 11.0, "png": 16.5, "gif": 17.0, "webp": 24.5, "avif": 18.5, "heic": 16.5}
ENCODING: Mapping[str, float] = {"jpeg": 4.0, "png": 10.5, "gif": 10.5, "webp": 11.5, "avif": 31.0}
"""Bytes a pixel that an encoder takes in addition to the frame."""
ENCODING_ALPHA: Mapping[str, float] = {**ENCODING, "webp": 22.0, "avif": 35.0}
ENCODING_LOSSLESS_WEBP = 35.0
ENCODING_SLOW_AVIF = 48.0
MOVING: Mapping[str, float] = {"jpeg": 4.0, "png": 8.0, "webp": 8.0, "avif": 34.0}
"""Bytes a pixel of each frame that an encoder of animations takes in addition to the frames."""


def check_budget(
    info: ImageInfo,
    source: Source,
    memory_bytes: int | None,
    *,
    alpha: bool = False,
    lossless: bool = False,
    cropped: bool = False,
) -> None:
    """Raise ``ImageTooLarge`` when rendering needs more than ``memory_bytes``; ``None`` is unlimited."""
    if memory_bytes is None:
        return
    needed = needed_bytes(info, source, alpha=alpha, lossless=lossless, cropped=cropped)
    if needed > memory_bytes:
        frames = f", {info.frames} frames" if info.frames > 1 else ""
        raise ImageTooLarge(
            f"the picture has {info.width} x {info.height} pixels{frames} and would need {needed // MIB} MiB of "
            f"memory; {memory_bytes // MIB} MiB are allowed. Send a smaller one, or a JPEG"
        )


def needed_bytes(
    info: ImageInfo, source: Source, *, alpha: bool = False, lossless: bool = False, cropped: bool = False
) -> int:
    """Return an upper estimate of the address space that rendering takes, in bytes; a part counts as the whole."""
    whole = (info.width, info.height)
    pixels = prod(whole)
    plans = plan(whole, source)
    top = largest(whole, plans.values())
    kept = source.original == "keep"
    # A JPEG may be decoded at less than twice the width and height that are needed.
    still = min(pixels, 4 * prod(top)) if info.format == "jpeg" else pixels
    frame = pixels if kept or cropped else still if info.frames == 1 else prod(top)
    held = HELD * info.frames * frame * (2 if kept and source.colour == "wide" else 1)
    variants = [
        (0 if plans[name].size == whole and not alpha else prod(plans[name].size) * info.frames * HELD)
        + _encoding(prod(plans[name].size), info, image_format, alpha, slow)
        for name, spec in source.variants.items()
        for slow in [source.effort_of(spec) > 4]
        for image_format in spec.formats
    ]
    # Pictures that steps have changed are held until they are encoded.
    held += sum(HELD * info.frames * prod(plans[name].size) for name, spec in source.variants.items() if spec.steps)
    drawn = info.format == "png" and info.frames > 1  # on a canvas with alpha
    decoding = (DECODING_ALPHA if alpha or drawn else DECODING)[info.format] * pixels + max(0, held - HELD * pixels)
    # Two files at most are encoded at a time; one of them may be the original.
    original = [_original(pixels, info, alpha, lossless)] if kept else []
    encoding = held + sum(sorted([*variants, *original])[-2:])
    return OVERHEAD + round(max(decoding, encoding))


def _original(pixels: int, info: ImageInfo, alpha: bool, lossless: bool) -> float:
    moves = info.frames > 1
    if info.format == "gif" and moves:
        return _encoding(pixels, info, "webp", alpha)
    if lossless and not moves:
        return ENCODING_LOSSLESS_WEBP * pixels
    return _encoding(pixels, info, "jpeg" if info.format == "heic" else info.format, alpha)


def _encoding(pixels: int, info: ImageInfo, image_format: str, alpha: bool, slow: bool = False) -> float:
    if info.frames > 1:
        return MOVING[image_format] * pixels * (1 if image_format == "jpeg" else info.frames)
    if image_format == "avif" and slow:
        return ENCODING_SLOW_AVIF * pixels
    return (ENCODING_ALPHA if alpha else ENCODING)[image_format] * pixels
