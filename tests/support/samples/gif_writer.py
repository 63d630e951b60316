"""A writer of GIF files that is free in everything (GIF89a specification)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.uint8]
"""Height x width."""
TRAILER = b";"
GREYS = bytes(value for level in range(256) for value in (level, level, level))
"""A palette in which every index is its grey."""


@dataclass(frozen=True, slots=True)
class Frame:
    """An image with its graphic control extension; ``hundredths`` of a second."""

    indices: Indices
    left: int = 0
    top: int = 0
    dispose: int = 0
    hundredths: int = 10
    transparent: int | None = None
    interlaced: bool = False
    palette: bytes | None = None


def gif(
    frames: list[Frame],
    width: int,
    height: int,
    *,
    palette: bytes | None = GREYS,
    background: int = 0,
    loops: int | None = 0,
    before: bytes = b"",
    after: bytes = TRAILER,
) -> bytes:
    """Return a file; ``before`` stands in front of the first frame, and ``after`` behind the last."""
    flags = 0xF0 | _bits(palette) - 1 if palette else 0x70
    head = b"GIF89a" + struct.pack("<HHBBB", width, height, flags, background, 0) + (palette or b"")
    repeat = extension(0xFF, b"NETSCAPE2.0", b"\1" + struct.pack("<H", loops)) if loops is not None else b""
    return head + repeat + before + b"".join(map(written, frames)) + after


def extension(label: int, *blocks: bytes) -> bytes:
    """Return an extension of sub-blocks, none of which is empty or longer than 255 bytes."""
    return bytes((0x21, label)) + b"".join(bytes([len(block)]) + block for block in blocks) + b"\0"


def written(frame: Frame) -> bytes:
    """Return a frame's extension and data."""
    height, width = frame.indices.shape
    flags = frame.dispose << 2 | (frame.transparent is not None)
    control = extension(0xF9, struct.pack("<BHB", flags, frame.hundredths, frame.transparent or 0))
    local = 0x80 | _bits(frame.palette) - 1 if frame.palette else 0
    head = b"," + struct.pack("<4HB", frame.left, frame.top, width, height, local | frame.interlaced << 6)
    rows = frame.indices
    if frame.interlaced:
        rows = np.concatenate([rows[start::step] for start, step in ((0, 8), (4, 8), (2, 4), (1, 2))])
    return control + head + (frame.palette or b"") + _compressed(rows)


def _bits(palette: bytes) -> int:
    return max(1, (len(palette) // 3 - 1).bit_length())


def _compressed(rows: Indices) -> bytes:
    """Return indices as codes of 9 bits; the table is cleared before they would grow, so that nothing is looked up."""
    flat = rows.reshape(-1).astype(np.uint16)
    cuts = [np.concatenate([[256], flat[at : at + 250]]) for at in range(0, len(flat), 250)]
    codes = np.concatenate([*cuts, [257]]).astype(np.uint16)
    bits = (codes[:, np.newaxis] >> np.arange(9) & 1).astype(np.uint8).reshape(-1)
    data = np.packbits(bits, bitorder="little").tobytes()
    blocks = [data[at : at + 255] for at in range(0, len(data), 255)]
    return b"\x08" + b"".join(bytes([len(block)]) + block for block in blocks) + b"\0"
