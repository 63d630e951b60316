"""How much memory a picture needs, known from its header.

Codecs that run out of memory crash, or call a sound file damaged; so what cannot fit is refused before they begin. The
numbers were measured as growth of the address space with Pillow 13, pillow-heif 1.8 and their bundled codecs.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from mediagate.config import Source, VariantSpec
from mediagate.errors import ImageTooLarge
from mediagate.images.sizes import largest, plan
from mediagate.media import ImageInfo

MIB = 1024 * 1024
OVERHEAD = 12 * MIB
"""Small buffers, and the stacks of two threads."""
HELD = 4.0
"""Bytes a pixel of a decoded frame (Pillow stores RGB in four)."""
DECODING: Mapping[str, float] = {"jpeg": 8.5, "png": 8.5, "gif": 8.5, "webp": 17.5, "avif": 12.0, "heic": 10.0}
"""Bytes a pixel while a frame is decoded and copied."""
ENCODING: Mapping[str, float] = {"jpeg": 4.0, "png": 2.0, "gif": 2.0, "webp": 9.5, "avif": 31.0}
"""Bytes a pixel that an encoder takes besides the frame."""
ENCODING_LOSSLESS_WEBP = 35.0
ENCODING_SLOW_AVIF = 48.0


def check_budget(info: ImageInfo, source: Source, memory_bytes: int | None, *, lossless: bool = False) -> None:
    """Raise ``ImageTooLarge`` when the picture cannot be rendered in so much memory; ``None`` is any amount."""
    if memory_bytes is None:
        return
    needed = needed_bytes(info, source, lossless=lossless)
    if needed > memory_bytes:
        raise ImageTooLarge(
            f"the picture has {info.width} x {info.height} pixels and would need {needed // MIB} MiB of memory; "
            f"{memory_bytes // MIB} MiB are allowed, so send a smaller one, or a JPEG"
        )


def needed_bytes(info: ImageInfo, source: Source, *, lossless: bool = False) -> int:
    """Return the address space that rendering takes at most, in bytes, about."""
    pixels = info.width * info.height
    whole = (info.width, info.height)
    plans = plan(whole, source)
    top = largest(whole, plans.values())
    working = HELD * info.frames * (prod(top) if top != whole else 0)
    variants = [prod(plans[name].size) * (HELD + _encoding(spec, source)) for name, spec in source.variants.items()]
    original_format = "jpeg" if info.format == "heic" else info.format
    original = pixels * (ENCODING_LOSSLESS_WEBP if lossless else ENCODING[original_format])
    held = HELD * pixels * info.frames
    decoding = held - HELD * pixels + DECODING[info.format] * pixels
    # Two files at most are encoded at a time; one of them may be the original.
    encoding = held + working + sum(sorted([*variants, original])[-2:])
    return OVERHEAD + round(max(decoding, encoding))


def _encoding(spec: VariantSpec, source: Source) -> float:
    if spec.format == "avif" and source.effort_of(spec) > 4:
        return ENCODING_SLOW_AVIF
    return ENCODING[spec.format]
