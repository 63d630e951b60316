"""From bytes to plain frames: upright, in sRGB, free of everything but pixels, under the limits of a source.

What these frames show is what is judged and what is published; nothing behind this module sees the file itself.
"""

from __future__ import annotations

import io
import logging
import mmap
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO

from PIL import Image, UnidentifiedImageError
from PIL.Image import DecompressionBombError, DecompressionBombWarning, Transpose

from mediagate.config import Source
from mediagate.errors import AnimationRefused, ImageTooLarge, MediagateError
from mediagate.images.budget import check_budget
from mediagate.images.chunks import PNG, for_pixels
from mediagate.images.coded_sizes import check_coded_sizes
from mediagate.images.colour import eight_bit, has_alpha, is_grey, opaque, without_invisible
from mediagate.images.conversion import Conversion, display_p3_to_srgb, read_conversion
from mediagate.images.formats import FORMATS, check_accepted, damaged, decodable, not_decodable
from mediagate.images.metadata import found, orientation
from mediagate.images.resize import resized
from mediagate.images.sizes import largest, plan
from mediagate.images.structure import check_complete, check_jpeg, is_lossless_webp, webp_size
from mediagate.media import ImageInfo

log = logging.getLogger("mediagate")

ANIMATED = ("gif", "webp", "png", "avif")
"""Formats whose further frames are an animation; in the others they are other pictures."""
UPRIGHT: Mapping[int, Transpose] = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
"""What turns a picture upright, by its EXIF orientation (Exif 2.32, section 4.6.4)."""
SIDEWAYS = (Transpose.TRANSPOSE, Transpose.ROTATE_270, Transpose.TRANSVERSE, Transpose.ROTATE_90)
"""Turns in which width and height change places."""
SHORTEST_FRAME_MS = 11
DEFAULT_FRAME_MS = 100
"""Browsers show a frame that says less than the former for the latter (``kDefaultFrameDuration`` of Chromium)."""
GREY_MODES = ("1", "L", "LA", "I", "I;16", "I;16B", "I;16L", "I;16N")


@dataclass(slots=True)
class Decoded:
    """Upright frames of one size in sRGB, ``RGB`` or ``RGBA``, and what of the file's form its original keeps.

    ``info`` tells the size of the whole picture, which the frames have if the original is published; else they have
    the largest size that variants and moderators look at. ``durations_ms`` has one entry a frame, ``plays`` 0 is for
    ever; ``removed`` names the metadata that was there.
    """

    info: ImageInfo
    frames: list[Image.Image]
    durations_ms: list[int]
    plays: int
    removed: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    grey: bool = False
    """Whether the file had no colours."""
    lossless: bool = False
    """Whether a WebP was compressed without loss."""
    wide_frames: list[Image.Image] = field(default_factory=list)
    """The frames in Display P3, from which ``frames`` were converted, if the original is published so; else empty."""


def probe(file: IO[bytes], source: Source, memory_bytes: int | None = None, *, pixels: bool = False) -> ImageInfo:
    """Return what the header says, checked against the limits; ``pixels`` are decoded only if that is wanted."""
    if pixels:
        return decode(file.read(), source, memory_bytes).info
    with _opened(_mapped(file), file, source, memory_bytes) as image:
        info = _info(image, source)
        check_budget(info, source, memory_bytes, alpha=has_alpha(image))
        return info


def decode(data: bytes, source: Source, memory_bytes: int | None = None) -> Decoded:
    """Decode the frames that the source wants, once, before anything else sees them.

    Raises ``UnsupportedType``, ``UndecodableImage``, ``ImageTooLarge`` and ``AnimationRefused``.
    """
    with _opened(data, io.BytesIO(data), source, memory_bytes) as image:
        info = _info(image, source)
        check_complete(data, info.format)
        lossless = info.format == "webp" and is_lossless_webp(data)
        check_budget(info, source, memory_bytes, alpha=has_alpha(image), lossless=lossless)
        notes: list[str] = []
        conversion = read_conversion(image, data, info.format, notes)
        wide = conversion is not None and source.colour == "wide" and source.original == "keep" and conversion.wide
        turn, mode = UPRIGHT.get(orientation(image)), image.mode
        whole, size, filled = (info.width, info.height), None, None
        if source.original == "delete":
            size = turned(largest(whole, plan(whole, source).values()), turn)
            # Colours are settled at full size: a profile may tell another picture of the means of pixels.
            scaled = image.draft(None, size) if conversion is None else None
            filled = scaled[1] if scaled else None
        frames, wide_frames, durations_ms = [], [], []
        removed: tuple[str, ...] = ()
        for frame, duration_ms in _frames(image, info, source):
            removed = removed or found(image, data)
            settled = eight_bit(frame)
            if wide and conversion is not None:
                settled = without_invisible(conversion.to_display_p3(settled))
                wide_frames.append(upright(settled, turn))
                settled = display_p3_to_srgb(settled)
            else:
                settled = without_invisible(_in_srgb(settled, conversion))
            settled.info = {}  # encoders would write into a file whatever they find here
            frames.append(upright(resized(settled, size, filled) if size else settled, turn))
            durations_ms.append(duration_ms)
        if len({frame.size for frame in frames}) > 1:
            raise damaged()
        for each in (frames, wide_frames):
            _level(each)
        return Decoded(
            info=ImageInfo(info.format, *(frames[0].size if size is None else whole), len(frames)),
            frames=frames,
            durations_ms=durations_ms,
            plays=_plays(image, info.format),
            removed=removed,
            warnings=tuple(notes),
            grey=mode in GREY_MODES and (conversion is None or all(is_grey(frame) for frame in frames)),
            wide_frames=wide_frames,
            lossless=lossless,
        )


def upright(image: Image.Image, turn: Transpose | None) -> Image.Image:
    """Return the picture as its camera was held."""
    return image if turn is None else image.transpose(turn)


@contextmanager
def _opened(
    data: bytes | mmap.mmap, file: IO[bytes], source: Source, memory_bytes: int | None
) -> Iterator[Image.Image]:
    """Open an image; whatever a decoder does inside the block is told as one of our errors."""
    head = data[:64]
    check_accepted(head, source.formats)
    check_jpeg(data)
    check_coded_sizes(data, source)
    if size := webp_size(head):
        _check_size(*size, source)
        check_budget(ImageInfo("webp", *size), source, memory_bytes)
    try:
        if head.startswith(PNG):
            file = io.BytesIO(for_pixels(data))
        with _warnings_counted(), Image.open(file, formats=decodable(source.formats)) as image:
            yield image
    except MediagateError:
        raise
    except UnidentifiedImageError:
        raise not_decodable(head, source.formats) from None
    except (MemoryError, DecompressionBombError, DecompressionBombWarning):
        raise ImageTooLarge("the picture needs more memory than one image may use; send a smaller one") from None
    except Exception as exc:
        # Decoders raise whatever their author thought of on hostile input: OSError, ValueError, SyntaxError,
        # struct.error, IndexError, EOFError, RuntimeError and more have all been seen.
        raise damaged() from exc


@contextmanager
def _warnings_counted() -> Iterator[None]:
    """Log one line for all warnings of the decoders: a file may give rise to thousands."""
    told: list[str] = []
    count = 0

    def note(message: Warning | str, *_: object, **__: object) -> None:
        nonlocal count
        count += 1
        if not told:
            told.append(str(message))

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = note
        yield
    if count:
        log.info("image decoder: %d warnings, the first: %s", count, told[0])


def _info(image: Image.Image, source: Source) -> ImageInfo:
    image_format = FORMATS[image.format or ""]
    _check_size(*image.size, source)
    upright_size = turned(image.size, UPRIGHT.get(orientation(image)))
    return ImageInfo(image_format, *upright_size, _count(image, image_format, source))


def _check_size(width: int, height: int, source: Source) -> None:
    if not width * height:
        raise damaged()
    if width * height > source.max_pixels:
        raise ImageTooLarge(f"the picture has {width} x {height} pixels; up to {source.max_pixels:,} are accepted")


def _count(image: Image.Image, image_format: str, source: Source) -> int:
    """Return how many frames are to be decoded."""
    if image_format not in ANIMATED or not getattr(image, "is_animated", False):
        return 1
    if source.animation == "reject":
        raise AnimationRefused("animated pictures are not accepted here; send a still one")
    if source.animation == "first_frame":
        return 1
    frames = int(getattr(image, "n_frames", 1))
    if frames > source.max_frames:
        raise ImageTooLarge(f"the animation has {frames} frames; up to {source.max_frames} are accepted")
    _check_animation(frames * image.width * image.height, source)
    return frames


def _check_animation(pixels: int, source: Source) -> None:
    if pixels > source.max_animation_pixels:
        raise ImageTooLarge(
            f"the animation's frames have {pixels:,} pixels; up to {source.max_animation_pixels:,} are accepted"
        )


def _frames(image: Image.Image, info: ImageInfo, source: Source) -> Iterator[tuple[Image.Image, int]]:
    """Iterate over the frames as they are stored, each with the milliseconds that it is shown; 0 is a still picture."""
    if info.frames == 1:
        image.load()
        if info.format == "gif" and getattr(image, "is_animated", False):
            first = image.copy()
            image.seek(1)  # not shown, yet a file is refused that would make it grow beyond all limits
            _check_size(*image.size, source)
            yield first, 0
        else:
            yield image, 0
        return
    pixels, canvas = 0, (0, 0, *image.size)
    # An APNG may begin with a still for programs that cannot animate; it is no part of the animation.
    for number in range(1 if getattr(image, "default_image", False) else 0, info.frames):
        image.seek(number)
        # A later GIF frame may reach beyond the canvas of the header, and makes it grow.
        _check_size(*image.size, source)
        pixels += image.width * image.height
        _check_animation(pixels, source)
        image.load()
        told_ms = round(image.info.get("duration") or 0)
        yield image.crop(canvas), told_ms if told_ms >= SHORTEST_FRAME_MS else DEFAULT_FRAME_MS


def _level(frames: list[Image.Image]) -> None:
    """Give all frames one mode, with alpha only if one of them needs it."""
    mode = "RGB" if all(opaque(frame) for frame in frames) else "RGBA"
    for at, frame in enumerate(frames):  # one at a time, so that only one is held twice
        if frame.mode != mode:
            frames[at] = frame.convert(mode)


def _in_srgb(image: Image.Image, conversion: Conversion | None) -> Image.Image:
    if conversion is not None:
        return conversion.to_srgb(image)
    return image if image.mode in ("RGB", "RGBA") else image.convert("RGB")


def _mapped(file: IO[bytes]) -> bytes | mmap.mmap:
    """Return the bytes of a file without reading it."""
    return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if os.fstat(file.fileno()).st_size else b""


def turned(size: tuple[int, int], turn: Transpose | None) -> tuple[int, int]:
    """Return a size after a turn, which is also the size before it."""
    return (size[1], size[0]) if turn in SIDEWAYS else size


def _plays(image: Image.Image, image_format: str) -> int:
    """Return how often the animation is shown in all; 0 is for ever."""
    if image_format == "gif":
        repeats = image.info.get("loop")  # told as repeats after the first time; nothing told: none
        return 1 if repeats is None else (int(repeats) + 1 if repeats else 0)
    return int(image.info.get("loop", 0))
