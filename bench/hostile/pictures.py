"""Hostile pictures, made here byte by byte: small for what they ask of whoever reads them."""

from __future__ import annotations

import io
import os
import struct
import zlib
from functools import cache

from PIL import Image

EMPTY_COMMENT = b"\xff\xfe\x00\x02"
LOOP = b"\x21\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00"
FRAME = b"\x21\xf9\x04\x00\x00\x00\x00\x00" + b"\x2c" + struct.pack("<4HB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00"
"""A frame of one pixel: its delay, its place, and the codes clear, 0 and end."""


@cache
def innocent() -> bytes:
    """Return a small photo-like JPEG."""
    image = Image.linear_gradient("L").resize((500, 500)).convert("RGB")
    file = io.BytesIO()
    image.save(file, "JPEG", quality=90)
    return file.getvalue()


def png_of_chunks(count: int) -> bytes:
    """Return a PNG of one pixel with so many empty chunks, 12 bytes each."""
    rows = _chunk(b"IDAT", zlib.compress(b"\x00\x80"))
    return _png(1, 1, 0, _chunk(b"teSt", b"") * count + rows)


def noise_png(width: int, height: int) -> bytes:
    """Return a PNG in RGB that nothing can make smaller: three bytes a pixel."""
    rows = b"".join(b"\x00" + os.urandom(3 * width) for _ in range(height))
    return _png(width, height, 2, _chunk(b"IDAT", zlib.compress(rows, 1)))


def jpeg_of_segments(count: int) -> bytes:
    """Return a JPEG with so many empty comments, four bytes each."""
    return b"\xff\xd8" + EMPTY_COMMENT * count + innocent()[2:]


def jpeg_of_fill(count: int) -> bytes:
    """Return a JPEG with so many fill bytes before its first marker."""
    return b"\xff\xd8" + b"\xff" * count + innocent()[2:]


def gif(side: int, frames: int) -> bytes:
    """Return a looping GIF of one-pixel frames on a square canvas: 39 bytes, and 23 a frame."""
    screen = b"GIF89a" + struct.pack("<HHBBB", side, side, 0x80, 0, 0) + b"\x00\x00\x00\xff\xff\xff"
    return screen + LOOP + FRAME * frames + b"\x3b"


def jpeg_of_scans(width: int, height: int, count: int) -> bytes:
    """Return a grey progressive JPEG whose scans add nothing, each for all of its blocks.

    The longest run of blocks without a coefficient (EOB14, Annex G of ITU-T T.81) is one code of a bit and 14 bits.
    """
    blocks = -(-width // 8) * -(-height // 8)
    frame = _segment(0xC2, struct.pack(">BHHBBBB", 8, height, width, 1, 1, 0x11, 0))
    quantities = _segment(0xDB, b"\x00" + b"\x01" * 64)
    one_code = bytes([1, *[0] * 15])
    codes = _segment(0xC4, b"\x00" + one_code + b"\x00" + b"\x10" + one_code + b"\xe0")
    first = _scan(0, 0, 0x00) + bytes(-(-blocks // 8))
    runs = -(-blocks // 0x7FFF)
    bits = ("0" + "1" * 14) * runs
    bits += "1" * (-len(bits) % 8)
    empty = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\x00")
    return b"\xff\xd8" + quantities + frame + codes + first + (_scan(1, 63, 0x00) + empty) * count + b"\xff\xd9"


def jpeg_of_broken_tags(count: int) -> bytes:
    """Return a JPEG whose EXIF names so many texts of 100,000 bytes that are not there, 12 bytes each."""
    entries = b"".join(struct.pack("<HHII", 0x1000 + n, 2, 100_000, 8) for n in range(count))
    tiff = b"II*\x00\x08\x00\x00\x00" + struct.pack("<H", count) + entries + bytes(4)
    return b"\xff\xd8" + _segment(0xE1, b"Exif\x00\x00" + tiff) + innocent()[2:]


def _png(width: int, height: int, colour: int, rest: bytes) -> bytes:
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + rest + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _segment(marker: int, data: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(data) + 2) + data


def _scan(first: int, last: int, approximation: int) -> bytes:
    return _segment(0xDA, bytes([1, 1, 0x00, first, last, approximation]))
