"""Stills that decoders refuse and browsers show: what is there of their pixels, and which are not there."""

from __future__ import annotations

import struct
import zlib
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from PIL import Image, ImageChops

from mediagate.images.chunks import PNG, chunks, is_intact, written

EOI = b"\xff\xd9"
"""The end of a JPEG (ITU-T T.81, table B.1)."""
FILLER = bytes((167 * at + 181) % 251 for at in range(2048))
"""Coded data that is in no file: what it changes of a picture was not there. It has no 0xFF, which begins markers."""
_PIECE = 1024
_MOST_MISSING = 100
"""A WebP of which less than a hundredth is there shows nothing."""
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""Left, top, step across and step down of Adam7 (PNG, third edition, section 8.1)."""
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""By colour type (PNG, third edition, table 9)."""


@dataclass(frozen=True, slots=True)
class Repaired:
    """A file that decoders take, what was done to it, and how many rows of pixels, from the top, are really there."""

    data: bytes
    warning: str
    missing: bool = False
    """Whether pixels are missing."""
    rows: int | None = None
    """``None``: all, or as many as the decoder shows."""


class Decode(Protocol):
    """Decodes a still as it is stored."""

    def __call__(self, data: bytes, /) -> Image.Image: ...


def repaired(data: bytes, decode: Decode) -> Repaired | None:
    """Return what can be shown of a still that was refused, or ``None`` if that is nothing.

    Raises what ``decode`` raises.
    """
    if data.startswith(b"\xff\xd8\xff"):
        return _jpeg(data, decode)
    if data.startswith(PNG):
        return _png(data)
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return _webp(data, decode)
    return None


def _jpeg(data: bytes, decode: Decode) -> Repaired | None:
    """Return a JPEG that ends with EOI."""
    rows, height = _rows_there(decode(data + EOI), decode(data + FILLER + EOI))
    if rows == height:
        return Repaired(data + EOI, "the JPEG has no end")
    return Repaired(data + EOI, "the JPEG was cut off", True, rows)


def _rows_there(one: Image.Image, other: Image.Image) -> tuple[int, int]:
    """Return up to which row two pictures are the same, and their height."""
    box = ImageChops.difference(one, other).getbbox(alpha_only=False)
    return box[1] if box else one.height, one.height



def _png(png: bytes) -> Repaired | None:
    """Return a PNG whose pixels are compressed anew."""
    width, height, depth, colour_type, interlaced = struct.unpack(">IIBB2xB", png[16:29])
    row_bits = depth * _CHANNELS[colour_type]
    passes = _PASSES if interlaced else ((0, 0, 1, 1),)
    sizes = [(-((left - width) // across), -((top - height) // down)) for left, top, across, down in passes]
    row_bytes = [1 + (across * row_bits + 7) // 8 if across > 0 else 0 for across, _ in sizes]
    expected = sum(bytes_ * down for bytes_, (_, down) in zip(row_bytes, sizes, strict=True))
    before, coded, after, intact = _split(png)
    pixels, checked = _unpacked(coded, expected)
    rows = None
    if len(pixels) < expected:
        rows = len(pixels) // row_bytes[0]
        if interlaced or not rows:
            return None
        pixels = pixels.ljust(expected, b"\0")
    data = b"".join((PNG, *before, written(b"IDAT", zlib.compress(pixels, 1)), *after, written(b"IEND")))
    if rows is None:
        return Repaired(data, "the PNG's pixels have a wrong checksum or no end", not intact and not checked)
    return Repaired(data, "the PNG was cut off", True, rows)


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
    if missing <= 0 or missing > len(data) * _MOST_MISSING:
        return None
    whole = data + bytes(missing)
    rows, height = _rows_there(decode(whole), decode(data + (FILLER * (1 + missing // len(FILLER)))[:missing]))
    if rows == height:
        return Repaired(whole, "the WebP has no end")
    return Repaired(whole, "the WebP was cut off", True, rows)
