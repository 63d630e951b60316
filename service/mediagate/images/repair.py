"""Stills that decoders refuse and browsers show: what is there of their pixels, and which are not there."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from typing import NamedTuple, TypeAlias

from PIL import Image, ImageChops

from mediagate.errors import UndecodableImage
from mediagate.images.chunks import PNG, chunks, is_intact, written
from mediagate.images.structure import webp_size

EOI = b"\xff\xd9"
"""The end of a JPEG (ITU-T T.81, table B.1)."""
FILLER = bytes((167 * at + 181) % 251 for at in range(2048))
"""Coded data that is in no file: what it changes of a picture was not there. It has no 0xFF, which begins markers."""
FILLERS = (b"\0", FILLER, b"\x55", b"\xff", b"\xaa", b"\x33")
"""What is tried in place of missing data; some of it is no code."""
_PIECE = 1024
_MOST_MISSING = 100
"""A WebP of which less than a hundredth is there shows nothing."""
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""Left, top, step across and step down of Adam7 (PNG, third edition, section 8.1)."""
_KNOWN = ((8, 8), (4, 8), (4, 4), (2, 4), (2, 2), (1, 2), (1, 1))
"""Every how many pixels, across and down, one is known after each pass."""
_LAST_FILTER = 4
"""The highest number that a row may begin with (section 9.2)."""
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""By colour type (PNG, third edition, table 9)."""


@dataclass(frozen=True, slots=True)
class Repaired:
    """A file that decoders take, what is wrong with it, and what of its pixels is there."""

    data: bytes
    warning: str
    missing: bool = False
    """Whether pixels are missing."""
    shown: Callable[[Image.Image], Image.Image] | None = None
    """From the decoded picture to what is shown of it; ``None``: all."""


Decode: TypeAlias = Callable[[bytes], Image.Image]
"""Decodes a still as it is stored; raises errors of ours."""


def repaired(data: bytes, decode: Decode, max_pixels: int) -> Repaired | None:
    """Return what can be shown of a still that was refused, or ``None`` if that is nothing.

    Raises what ``decode`` raises.
    """
    if data.startswith(b"\xff\xd8\xff"):
        return _jpeg(data, decode)
    if data.startswith(PNG):
        return _png(data, max_pixels)
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return _webp(data, decode)
    return None


def _jpeg(data: bytes, decode: Decode) -> Repaired | None:
    """Return a JPEG that ends with EOI."""
    data = data.rstrip(b"\xff")  # the beginning of a marker
    one, other = decode(data + EOI), decode(data + FILLER + EOI)
    rows = _rows_there(one, other)
    if rows == one.height:
        return Repaired(data + EOI, "the JPEG has no end")
    # Of a progressive one all is there, if not in full.
    shown = None if one.info.get("progressive") else partial(_above, rows=rows)
    return Repaired(data + EOI, "the JPEG was cut off", True, shown)


def _rows_there(one: Image.Image, other: Image.Image) -> int:
    """Return how many rows two pictures share, from the top."""
    box = ImageChops.difference(one, other).getbbox(alpha_only=False)
    return box[1] if box else one.height


def _above(image: Image.Image, rows: int) -> Image.Image:
    """Return an ``RGB`` or ``RGBA`` picture that is transparent from this row on."""
    cut = Image.new("RGBA", image.size)
    cut.paste(image.crop((0, 0, image.width, rows)))
    return cut


def _coarse(image: Image.Image, across: int, down: int) -> Image.Image:
    """Return a picture of which every so many pixels are known."""
    size = -(-image.width // across), -(-image.height // down)
    at = (across, 0, (1 - across) / 2, 0, down, (1 - down) / 2)
    known = image.transform(size, Image.Transform.AFFINE, at, Image.Resampling.NEAREST)
    large = known.resize((size[0] * across, size[1] * down), Image.Resampling.NEAREST)
    return large.crop((0, 0, *image.size))


def check_pixels(png: bytes, image: Image.Image) -> None:
    """Raise ``ValueError`` for a PNG whose pixels end too early; Pillow leaves the others at 0.

    ``image`` was decoded from it.
    """
    layout = _Layout.of(png)
    last = image.crop((0, image.height - 1, *image.size))
    if layout is None or (not layout.interlaced and last.getbbox(alpha_only=False) is not None):
        return
    if len(_unpacked(_split(png)[1], layout.size)[0]) < layout.size:
        raise ValueError("pixels are missing")


class _Layout(NamedTuple):
    """How many bytes the pixels of a PNG take: in each pass, a row and so many of them."""

    passes: list[tuple[int, int]]
    interlaced: bool

    @property
    def size(self) -> int:
        return sum(row * count for row, count in self.passes)

    @classmethod
    def of(cls, png: bytes) -> _Layout | None:
        """Read IHDR (section 11.2.1); ``None`` for one without a meaning."""
        width, height, depth, colour_type, interlaced = struct.unpack(">IIBB2xB", png[16:29])
        if colour_type not in _CHANNELS or not width * height:
            return None
        bits = depth * _CHANNELS[colour_type]
        passes = []
        for left, top, across, down in _PASSES if interlaced else ((0, 0, 1, 1),):
            columns, rows = -((left - width) // across), -((top - height) // down)
            passes.append((1 + (columns * bits + 7) // 8 if columns > 0 else 0, max(0, rows)))
        return cls(passes, bool(interlaced))


def _png(png: bytes, max_pixels: int) -> Repaired | None:
    """Return a PNG whose pixels are compressed anew."""
    layout = _Layout.of(png)
    if layout is None or int.from_bytes(png[16:20]) * int.from_bytes(png[20:24]) > max_pixels:
        return None
    expected = layout.size
    before, coded, after, intact = _split(png)
    pixels, checked = _unpacked(coded, expected)
    if not layout.interlaced:
        row = layout.passes[0][0]
        unknown = (at for at, filtered in enumerate(pixels[::row]) if filtered > _LAST_FILTER)
        pixels = pixels[: row * next(unknown, len(pixels))]
    warning, missing, shown = "the PNG's pixels have a wrong checksum or no end", not intact and not checked, None
    if len(pixels) < expected:
        warning, missing = "the PNG was cut off", True
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


def _split(png: bytes) -> tuple[list[memoryview], bytes, list[memoryview], bool]:
    """Return the chunks before IDAT, the data of all IDAT, also of one that was cut off, the chunks behind them, and
    whether each IDAT has its checksum."""
    before: list[memoryview] = []
    coded: list[memoryview] = []
    after: list[memoryview] = []
    end, intact = len(PNG), True
    for chunk in chunks(png):
        end += len(chunk.whole)
        if chunk.type == b"IDAT":
            coded.append(chunk.data)
            intact &= is_intact(chunk)
        elif chunk.type != b"IEND":
            (after if coded else before).append(chunk.whole)
    if png[end + 4 : end + 8] == b"IDAT":
        coded.append(memoryview(png)[end + 8 :])
        intact = False
    return before, b"".join(coded), after, intact


def _unpacked(coded: bytes, most: int) -> tuple[bytes, bool]:
    """Return what the stream holds (RFC 1950) as far as it can be read, and whether its own checksum is right."""
    if int.from_bytes(coded[:2]) % 31 or coded[:1] == b"" or coded[0] & 15 != 8:
        return b"", False
    unpacking, pixels = zlib.decompressobj(-zlib.MAX_WBITS), bytearray()
    for at in range(2, len(coded), _PIECE):
        here = unpacking.copy()
        try:
            pixels += unpacking.decompress(coded[at : at + _PIECE], most)
        except zlib.error:
            with suppress(zlib.error):
                for byte in range(at, at + _PIECE):
                    pixels += here.decompress(coded[byte : byte + 1], most)
            break
        if unpacking.eof or len(pixels) >= most:
            break
    return bytes(pixels[:most]), unpacking.unused_data[:4] == zlib.adler32(pixels).to_bytes(4)


def _webp(data: bytes, decode: Decode) -> Repaired | None:
    """Return a still WebP of the length that it says (RFC 9649, section 2.4)."""
    missing = 8 + int.from_bytes(data[4:8], "little") - len(data)
    if webp_size(data[:30]) is None or missing <= 0 or missing > len(data) * _MOST_MISSING:
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
            return Repaired(whole, "the WebP was cut off", True, partial(_above, rows=rows)) if rows else None
    return None
