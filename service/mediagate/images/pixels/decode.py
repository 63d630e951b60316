"""From bytes to plain frames: upright, in sRGB, without metadata, under the limits of a source.

Exactly these frames are judged and published; no later step sees the file itself.
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
from functools import partial
from typing import IO

from PIL import Image, UnidentifiedImageError
from PIL.Image import Transpose

from mediagate.config import Source
from mediagate.errors import UndecodableImage
from mediagate.images.pixels.budget import check_budget
from mediagate.images.pixels.coded_sizes import check_coded_sizes
from mediagate.images.pixels.colour import eight_bit, has_alpha, is_grey, opaque, without_invisible
from mediagate.images.pixels.conversion import Conversion, display_p3_to_srgb, read_conversion
from mediagate.images.pixels.exif import orientation
from mediagate.images.pixels.formats import check_accepted, not_decodable
from mediagate.images.pixels.frames import Opened, check_size, opened
from mediagate.images.pixels.guard import final
from mediagate.images.pixels.metadata import found
from mediagate.images.pixels.png_chunks import ignored
from mediagate.images.pixels.repair import Repaired, repaired
from mediagate.images.pixels.resize import resized
from mediagate.images.pixels.rows import check_pixels
from mediagate.images.pixels.sizes import Box, largest, plan
from mediagate.images.pixels.structure import check_complete, check_structure, is_lossless_webp, webp_size
from mediagate.values import CropBox, ImageInfo

log = logging.getLogger("mediagate")

UPRIGHT: Mapping[int, Transpose] = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
"""The transposition that turns a picture upright, by EXIF orientation (Exif 2.32, section 4.6.4)."""
SIDEWAYS = (Transpose.TRANSPOSE, Transpose.ROTATE_270, Transpose.TRANSVERSE, Transpose.ROTATE_90)
"""Transpositions that swap width and height."""
GREY_MODES = ("1", "L", "LA", "I", "I;16", "I;16B", "I;16L", "I;16N")


@dataclass(slots=True)
class Decoded:
    """Upright frames of one size in sRGB, ``RGB`` or ``RGBA``, and the properties that the file's original retains.

    ``info`` has the size of the whole picture, or of the part that was cropped. The frames have that size if the
    original is published; else they have at least the largest size that variants and moderators need. ``durations_ms``
    has one entry a frame, ``plays`` 0 means for ever, and ``removed`` names the metadata that was removed.
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
    extent: Box | None = None
    """The box that the picture fills of its frame, if not all: a scaled JPEG may end within its last pixels."""
    wide_frames: list[Image.Image] = field(default_factory=list)
    """The frames in Display P3, from which ``frames`` were converted, if the original is published so; else empty."""


def probe(file: IO[bytes], source: Source, memory_bytes: int | None = None, *, pixels: bool = False) -> ImageInfo:
    """Return the information in the header, checked against the limits; with ``pixels`` also decode the picture."""
    if pixels:
        return decode(file.read(), source, memory_bytes).info
    data = _mapped(file)
    _check_form(data, source)
    with _opened(data, file, source, memory_bytes) as reading:
        info = _info(reading, source)
        check_budget(info, source, memory_bytes, alpha=has_alpha(reading.image))
        return info


def decode(data: bytes, source: Source, memory_bytes: int | None = None, crop: CropBox | None = None) -> Decoded:
    """Decode the frames that the source accepts, once for all later steps; with ``crop`` this part of them alone.

    A still that decoders refuse is decoded as browsers show it if all of its pixels are there, or if the source accepts
    damaged ones. Raises ``UnsupportedType``, ``UndecodableImage``, ``ImageTooLarge`` and ``AnimationRefused``.
    """
    _check_form(data, source)
    try:
        return _decoded(data, source, memory_bytes, crop)
    except UndecodableImage as refusal:
        with final("repairing"):
            repair = repaired(data, partial(_still, source=source, memory_bytes=memory_bytes), source.max_pixels)
        if repair is None or (repair.missing and source.damaged == "refuse"):
            raise refusal from None
    return _decoded(repair.data, source, memory_bytes, crop, repair)


def _check_form(data: bytes | mmap.mmap, source: Source) -> None:
    """Refuse formats that are not accepted and files that would take long to open, even if they could be repaired."""
    with final("decoding"):
        check_accepted(data[:64], source.formats)
        check_structure(data, source)


def _still(data: bytes, source: Source, memory_bytes: int | None) -> Image.Image:
    """Return a still as stored."""
    with _opened(data, io.BytesIO(data), source, memory_bytes) as reading:
        check_budget(_info(reading, source), source, memory_bytes, alpha=True)
        reading.image.load()
        return reading.image


def _decoded(
    data: bytes, source: Source, memory_bytes: int | None, crop: CropBox | None, repair: Repaired | None = None
) -> Decoded:
    with _opened(data, io.BytesIO(data), source, memory_bytes) as reading:
        image, info = reading.image, _info(reading, source)
        notes = [repair.warning] if repair else []
        if check_complete(data, info.format) < len(data):
            notes.append("bytes after the last box were ignored")
        lossless = info.format == "webp" and is_lossless_webp(data)
        shown = repair.shown if repair else None
        alpha = has_alpha(image) or shown is not None
        check_budget(info, source, memory_bytes, alpha=alpha, lossless=lossless, cropped=crop is not None)
        if info.format == "png":
            notes += ignored(data)
        conversion = read_conversion(image, data, info.format, notes)
        wide = conversion is not None and source.colour == "wide" and source.original == "keep" and conversion.wide
        turn, mode = UPRIGHT.get(orientation(image)), image.mode
        whole, size, filled, extent = (info.width, info.height), None, None, None
        # A part is cut out of the full size, so that its edges are whole pixels.
        scaled_down = source.original == "delete" and crop is None
        if scaled_down:
            size = turned(largest(whole, plan(whole, source).values()), turn)
            # A conversion needs the full size: a profile may map averaged pixels to a different picture.
            scaled = image.draft(None, size) if conversion is None and shown is None else None
            filled = scaled[1] if scaled else None
            if info.frames == 1:
                extent = _upright_extent(filled, image.size, turn) if filled else None
                size = None
        frames, wide_frames, durations_ms = [], [], []
        removed: tuple[str, ...] = ()
        for frame, duration_ms in reading.frames(info.frames):
            removed = removed or found(image, data)
            if info.format == "png" and reading.animation is None:
                check_pixels(data, image)
            settled = eight_bit(frame)
            if wide and conversion is not None:
                settled = conversion.to_display_p3(settled)
                settled = without_invisible(shown(settled) if shown else settled)
                wide_frames.append(part_of(upright(settled, turn), crop))
                settled = display_p3_to_srgb(settled)
            else:
                settled = _in_srgb(settled, conversion)
                settled = without_invisible(shown(settled) if shown else settled)
            settled.info = {}  # encoders would write this metadata into the file
            frames.append(part_of(upright(resized(settled, size, filled) if size else settled, turn), crop))
            durations_ms.append(duration_ms)
        for each in (frames, wide_frames):
            _level(each)
        return Decoded(
            info=ImageInfo(info.format, *(whole if scaled_down else frames[0].size), len(frames)),
            frames=frames,
            durations_ms=durations_ms,
            plays=reading.plays,
            removed=removed,
            warnings=tuple(dict.fromkeys([*notes, *reading.warnings])),
            grey=mode in GREY_MODES and (conversion is None or all(is_grey(frame) for frame in frames)),
            extent=extent,
            wide_frames=wide_frames,
            lossless=lossless,
        )


def upright(image: Image.Image, turn: Transpose | None) -> Image.Image:
    """Return the picture turned upright."""
    return image if turn is None else image.transpose(turn)


def part_of(image: Image.Image, crop: CropBox | None) -> Image.Image:
    """Return the part of an upright picture that is published."""
    return image if crop is None else image.crop(crop.on(image.size))


def _upright_extent(filled: Box, size: tuple[int, int], turn: Transpose | None) -> Box:
    """Return the extent of a picture after its turn, which fills its frame from the top left corner on before."""
    corner = Image.new("L", (2, 2))
    corner.putpixel((0, 0), 1)
    at_left, at_top = (upright(corner, turn).getbbox() or (0, 0))[:2]
    width, height = turned(size, turn)
    across, down = (filled[3], filled[2]) if turn in SIDEWAYS else (filled[2], filled[3])
    left, top = (width - across) * at_left, (height - down) * at_top
    return left, top, left + across, top + down


@contextmanager
def _opened(data: bytes | mmap.mmap, file: IO[bytes], source: Source, memory_bytes: int | None) -> Iterator[Opened]:
    """Open an image for the block and translate every error of a decoder into one of mediagate's."""
    head = data[:64]
    with final("decoding"):
        check_coded_sizes(data, source)
        if size := webp_size(head):
            check_size(*size, source)
            check_budget(ImageInfo("webp", *size), source, memory_bytes)
        try:
            with _warnings_counted(), opened(data, file, source) as reading:
                yield reading
        except UnidentifiedImageError:
            raise not_decodable(head, source.formats) from None


@contextmanager
def _warnings_counted() -> Iterator[None]:
    """Log one line for all warnings of the decoders: one file may cause thousands."""
    messages: list[str] = []
    count = 0

    def note(message: Warning | str, *_: object, **__: object) -> None:
        nonlocal count
        count += 1
        if not messages:
            messages.append(str(message))

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = note
        yield
    if count:
        log.info("image decoder: %d warnings; first: %s", count, messages[0])


def _info(reading: Opened, source: Source) -> ImageInfo:
    check_size(*reading.image.size, source)
    upright_size = turned(reading.size, UPRIGHT.get(orientation(reading.image)))
    return ImageInfo(reading.format, *upright_size, reading.count(source))


def _level(frames: list[Image.Image]) -> None:
    """Give all frames one mode, with alpha only if one of them needs it."""
    mode = "RGB" if all(opaque(frame) for frame in frames) else "RGBA"
    for at, frame in enumerate(frames):  # one at a time, so that only one is in memory twice
        if frame.mode != mode:
            frames[at] = frame.convert(mode)


def _in_srgb(image: Image.Image, conversion: Conversion | None) -> Image.Image:
    if conversion is not None:
        return conversion.to_srgb(image)
    return image if image.mode in ("RGB", "RGBA") else image.convert("RGB")


def _mapped(file: IO[bytes]) -> bytes | mmap.mmap:
    """Map a file into memory."""
    return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if os.fstat(file.fileno()).st_size else b""


def turned(size: tuple[int, int], turn: Transpose | None) -> tuple[int, int]:
    """Return a size after a transposition; the mapping is its own inverse."""
    return (size[1], size[0]) if turn in SIDEWAYS else size
