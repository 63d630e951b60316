"""A writer of PNG files that is free in everything: chunks, depths, interlacing, animation (W3C PNG, third edition)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, COLOUR, PALETTE, GREY_ALPHA, COLOUR_ALPHA = 0, 2, 3, 4, 6
PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""Left, top, step across, step down of Adam7 (section 8.2)."""
Values = NDArray[np.uint16]
"""Height x width x channels."""


def chunk(name: bytes, content: bytes = b"") -> bytes:
    """Return a chunk with its checksum."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def header(width: int, height: int, kind: int, depth: int = 8, *, interlaced: bool = False) -> bytes:
    """Return IHDR."""
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, interlaced))


def packed(values: Values, depth: int = 8, *, interlaced: bool = False) -> bytes:
    """Return compressed rows without filters, in one pass or in seven."""
    parts = [values[top::down, left::across] for left, top, across, down in PASSES] if interlaced else [values]
    return zlib.compress(b"".join(b"".join(_rows(part, depth)) for part in parts if part.size), 6)


def png(
    values: NDArray[np.integer[Any]],
    kind: int = COLOUR,
    depth: int = 8,
    *,
    before: bytes = b"",
    after: bytes = b"",
    behind: bytes = b"",
    interlaced: bool = False,
) -> bytes:
    """Return a file; ``before`` and ``after`` are chunks around IDAT, ``behind`` stands after IEND."""
    wide = values.astype(np.uint16)
    wide = wide[..., np.newaxis] if wide.ndim == 2 else wide
    height, width, _ = wide.shape
    data = chunk(b"IDAT", packed(wide, depth, interlaced=interlaced))
    head = SIGNATURE + header(width, height, kind, depth, interlaced=interlaced)
    return head + before + data + after + chunk(b"IEND") + behind


def palette(colours: NDArray[np.uint8]) -> bytes:
    """Return PLTE of rows of three."""
    return chunk(b"PLTE", colours.tobytes())


def frame_control(
    number: int,
    width: int,
    height: int,
    left: int = 0,
    top: int = 0,
    *,
    ms: int = 100,
    dispose: int = 0,
    blend: int = 0,
) -> bytes:
    """Return fcTL."""
    return chunk(b"fcTL", struct.pack(">5I2H2B", number, width, height, left, top, ms, 1000, dispose, blend))


def _rows(values: Values, depth: int) -> Iterator[bytes]:
    for row in values:
        flat = row.reshape(-1)
        if depth == 16:
            yield b"\0" + flat.astype(">u2").tobytes()
        elif depth == 8:
            yield b"\0" + flat.astype(np.uint8).tobytes()
        else:
            bits = (flat[:, np.newaxis] >> np.arange(depth - 1, -1, -1) & 1).astype(np.uint8)
            yield b"\0" + np.packbits(bits.reshape(-1)).tobytes()
