"""Repair of stills that decoders refuse and browsers show: recovering their pixels and marking missing ones."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import accumulate, islice
from typing import NamedTuple, TypeAlias

from PIL import Image, ImageChops

from mediagate.errors import UndecodableImage
from mediagate.images.pixels.jpeg_segments import MAX_SEGMENTS
from mediagate.images.pixels.png_chunks import PNG, written
from mediagate.images.pixels.rows import Layout, split, unpacked
from mediagate.images.pixels.structure import webp_size

EOI = b"\xff\xd9"
"""The end of a JPEG; other markers are below (ITU-T T.81, table B.1)."""
SOF2, SOS = 0xC2, 0xDA
_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd9\xff]")
"""A marker with parameters; 0 follows each 0xFF of coded data."""
FILLER = bytes((167 * at + 181) % 251 for at in range(2048))
"""Coded data that occurs in no file: pixels that it changes are missing. It has no 0xFF, which begins markers."""
FILLERS = (b"\0", FILLER, b"\x55", b"\xff", b"\xaa", b"\x33")
"""Replacements for missing data, tried in turn; some of them are not valid code."""
_MOST_MISSING = 64 * 2**20
"""The most bytes of a WebP that are filled in."""
_KNOWN = ((8, 8), (4, 8), (4, 4), (2, 4), (2, 2), (1, 2), (1, 1))
"""The spacing of known pixels, across and down, after each pass."""
_LAST_FILTER = 4
"""The highest filter type of a row (section 9.2)."""


@dataclass(frozen=True, slots=True)
class Repaired:
    """A file that decoders accept, its fault, and the part of its pixels that is there."""

    data: bytes
    warning: str
    missing: bool = False
    """Whether pixels are missing."""
    shown: Callable[[Image.Image], Image.Image] | None = None
    """Maps the decoded picture to its shown part; ``None``: all of it is shown."""


Decode: TypeAlias = Callable[[bytes], Image.Image]
"""Decodes a still as stored; raises mediagate's errors."""


def repaired(data: bytes, decode: Decode, max_pixels: int) -> Repaired | None:
    """Return the recoverable part of a refused still, ``None`` if there is none.

    Raises like ``decode``.
    """
    if data.startswith(b"\xff\xd8\xff"):
        return _jpeg(data, decode)
    if data.startswith(PNG):
        return _png(data, max_pixels)
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return _webp(data, decode)
    return None


def _jpeg(data: bytes, decode: Decode) -> Repaired | None:
    """Return a JPEG completed with EOI."""
    segments = list(islice(_segments(data), MAX_SEGMENTS + 1))
    if len(segments) > MAX_SEGMENTS:
        return None
    data = data.rstrip(b"\xff")  # the beginning of a marker
    if segments and segments[-1].end > len(data):
        data = data[: segments[-1].start]
    one, other = decode(data + EOI), decode(data + FILLER + EOI)
    rows = _rows_there(one, other)
    progressive = bool(one.info.get("progressive"))
    if rows == one.height and not (progressive and _lacks_bits(segments)):
        return Repaired(data + EOI, "the JPEG has no end")
    # A progressive JPEG shows the whole picture, only not in full detail.
    return Repaired(data + EOI, "the JPEG is truncated", True, None if progressive else partial(_above, rows=rows))


class _Segment(NamedTuple):
    """A marker with its parameters (ITU-T T.81, section B.1.1.4)."""

    marker: int
    start: int
    end: int
    content: bytes


def _segments(jpeg: bytes) -> Iterator[_Segment]:
    at = 2
    while (found := _MARKER.search(jpeg, at)) is not None:
        start, at = found.start(), found.end()
        at += max(2, int.from_bytes(jpeg[at : at + 2]))
        yield _Segment(jpeg[start + 1], start, at, jpeg[found.end() + 2 : at])


def _lacks_bits(segments: Sequence[_Segment]) -> bool:
    """Whether coefficients of a progressive JPEG lack bits (ITU-T T.81, section G.1)."""
    lacking: set[tuple[int, int]] = set()
    for marker, _, _, content in segments:
        if marker == SOF2 and len(content) > 5:
            components = content[6 : 6 + 3 * content[5] : 3]
            lacking = {(component, number) for component in components for number in range(64)}
        elif marker == SOS and content and len(content) >= 4 + 2 * content[0]:
            first, last, low = content[1 + 2 * content[0] : 4 + 2 * content[0]]
            if not low & 15:
                components = content[1 : 1 + 2 * content[0] : 2]
                lacking -= {(component, number) for component in components for number in range(first, last + 1)}
    return bool(lacking)


def _rows_there(one: Image.Image, other: Image.Image) -> int:
    """Return the number of rows from the top in which two pictures agree."""
    box = ImageChops.difference(one, other).getbbox(alpha_only=False)
    return box[1] if box else one.height


def _above(image: Image.Image, rows: int) -> Image.Image:
    """Return an ``RGB`` or ``RGBA`` picture made transparent from row ``rows`` on."""
    cut = Image.new("RGBA", image.size)
    cut.paste(image.crop((0, 0, image.width, rows)))
    return cut


def _coarse(image: Image.Image, across: int, down: int) -> Image.Image:
    """Return a picture of which only one pixel in each block of ``across`` x ``down`` is known."""
    size = -(-image.width // across), -(-image.height // down)
    at = (across, 0, (1 - across) / 2, 0, down, (1 - down) / 2)
    known = image.transform(size, Image.Transform.AFFINE, at, Image.Resampling.NEAREST)
    large = known.resize((size[0] * across, size[1] * down), Image.Resampling.NEAREST)
    return large.crop((0, 0, *image.size))


def _png(png: bytes, max_pixels: int) -> Repaired | None:
    """Return a PNG with its readable pixels compressed again."""
    layout = Layout.of(png)
    if layout is None or int.from_bytes(png[16:20]) * int.from_bytes(png[20:24]) > max_pixels:
        return None
    expected = layout.size
    before, coded, after, intact = split(png)
    pixels = unpacked(coded, expected)
    if not layout.interlaced:
        row = layout.passes[0][0]
        unknown = (at for at, filtered in enumerate(pixels[::row]) if filtered > _LAST_FILTER)
        pixels = pixels[: row * next(unknown, len(pixels))]
    warning, missing, shown = "the PNG's pixels have a wrong checksum or no end", not intact, None
    if len(pixels) < expected:
        warning, missing = "the PNG is truncated", True
        if layout.interlaced:
            ends = accumulate(row * count for row, count in layout.passes)
            whole = sum(end <= len(pixels) for end in ends)
            shown = partial(_coarse, across=_KNOWN[whole - 1][0], down=_KNOWN[whole - 1][1])
        else:
            whole = len(pixels) // row
            shown = partial(_above, rows=whole)
        if not whole:
            return None
        pixels = pixels.ljust(expected, b"\0")
    data = b"".join((PNG, *before, written(b"IDAT", zlib.compress(pixels, 1)), *after, written(b"IEND")))
    return Repaired(data, warning, missing, shown)


def _webp(data: bytes, decode: Decode) -> Repaired | None:
    """Return a still WebP padded to its declared length (RFC 9649, section 2.4)."""
    missing = 8 + int.from_bytes(data[4:8], "little") - len(data)
    if webp_size(data[:30]) is None or missing <= 0 or missing > _MOST_MISSING:
        return None
    found: list[tuple[bytes, Image.Image]] = []
    for filler in FILLERS:
        whole = data + (filler * (1 + missing // len(filler)))[:missing]
        with suppress(UndecodableImage):
            found.append((whole, decode(whole)))
        if len(found) == 2:
            (whole, one), (_, other) = found
            rows = _rows_there(one, other)
            if rows == one.height:
                return Repaired(whole, "the WebP has no end")
            return Repaired(whole, "the WebP is truncated", True, partial(_above, rows=rows)) if rows else None
    return None
