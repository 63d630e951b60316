"""The stream of a PNG's pixels (PNG, third edition, sections 9 and 10), and its completeness."""

from __future__ import annotations

import struct
import sys
import zlib
from contextlib import suppress
from typing import NamedTuple

from PIL import Image

from mediagate.images.pixels.png_chunks import PNG, chunks, is_intact

_PIECE = 1024
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""Left, top, step across and step down of Adam7 (PNG, third edition, section 8.1)."""
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""By colour type (PNG, third edition, table 9)."""


class Layout(NamedTuple):
    """The bytes of a PNG's pixels: for each pass, the bytes of a row and the number of rows."""

    passes: list[tuple[int, int]]
    interlaced: bool

    @property
    def size(self) -> int:
        """Bytes in total."""
        return sum(row * count for row, count in self.passes)

    @classmethod
    def of(cls, png: bytes) -> Layout | None:
        """Read IHDR (section 11.2.1); ``None`` if it is invalid."""
        if png[12:16] != b"IHDR":
            return None
        width, height, depth, colour_type, interlaced = struct.unpack(">IIBB2xB", png[16:29])
        if colour_type not in _CHANNELS or not width * height:
            return None
        bits = depth * _CHANNELS[colour_type]
        passes = []
        for left, top, across, down in _PASSES if interlaced else ((0, 0, 1, 1),):
            columns, rows = -((left - width) // across), -((top - height) // down)
            passes.append((1 + (columns * bits + 7) // 8 if columns > 0 else 0, max(0, rows)))
        return cls(passes, bool(interlaced))


def check_pixels(png: bytes, image: Image.Image) -> None:
    """Raise ``ValueError`` for a PNG whose pixels end early; Pillow leaves the missing ones at 0.

    ``image`` was decoded from it.
    """
    layout = Layout.of(png)
    last = image.crop((0, image.height - 1, *image.size))
    if layout is None or (not layout.interlaced and last.getbbox(alpha_only=False) is not None):
        return
    if len(unpacked(split(png)[1], layout.size)) < layout.size:
        raise ValueError("pixels are missing")


def split(png: bytes) -> tuple[list[memoryview], bytes, list[memoryview], bool]:
    """Return the chunks before IDAT, the data of all IDAT including a truncated one, the chunks after them, and whether
    the checksum of each complete IDAT is right."""
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
    return before, b"".join(coded), after, intact


def unpacked(coded: bytes, most: int) -> bytes:
    """Return the content of the stream (RFC 1950) as far as it can be read, ignoring its checksum."""
    if int.from_bytes(coded[:2]) % 31 or coded[:1] == b"" or coded[0] & 15 != 8:
        return b""
    unpacking, pixels = zlib.decompressobj(-zlib.MAX_WBITS), bytearray()
    most = min(most, sys.maxsize)
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
    return bytes(pixels[:most])
