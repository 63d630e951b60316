"""A writer of JPEG files that is free in everything: tables, components, sampling, scans (ITU-T T.81)."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float64]
Coefficients = NDArray[np.int64]
"""Rows x columns of blocks x 64 quantized coefficients in zigzag order."""

SOI, EOI = b"\xff\xd8", b"\xff\xd9"
SOF0, SOF2, DHT, DQT, DRI, SOS, DNL = 0xC0, 0xC2, 0xC4, 0xDB, 0xDD, 0xDA, 0xDC
APP0, APP1, APP2, APP14, COM = 0xE0, 0xE1, 0xE2, 0xEE, 0xFE
JFIF = b"JFIF\0\1\1\0\0\1\0\1\0\0"
ADOBE = b"Adobe\0\x64\0\0\0\0"
"""Followed by one byte, the transform: 0 none, 1 YCbCr, 2 YCCK."""

_DIAGONALS = sorted(
    ((row, column) for row in range(8) for column in range(8)),
    key=lambda at: (sum(at), at[0] if sum(at) % 2 else at[1]),
)
ZIGZAG = np.array([row * 8 + column for row, column in _DIAGONALS])
_WAVES = np.array(
    [[np.sqrt((1 if k else 0.5) / 4) * np.cos((2 * n + 1) * k * np.pi / 16) for n in range(8)] for k in range(8)]
)
DC_SYMBOLS = list(range(12))
AC_SYMBOLS = [0x00, 0xF0, *(run << 4 | size for run in range(16) for size in range(1, 11))]
_AC_CODE = np.zeros(256, dtype=np.int64)
_AC_CODE[AC_SYMBOLS] = np.arange(len(AC_SYMBOLS))


@dataclass(frozen=True, slots=True)
class Component:
    """One colour plane of a frame as it is coded; ``across`` and ``down`` are its sampling factors."""

    name: int
    coefficients: Coefficients
    across: int = 1
    down: int = 1
    table: int = 0


def segment(marker: int, content: bytes) -> bytes:
    """Return a marker segment."""
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def flat(step: int) -> NDArray[np.int64]:
    """Return a quantization table with the same step for every coefficient."""
    table: NDArray[np.int64] = np.full(64, step, dtype=np.int64)
    return table


def quantized(plane: Plane, table: NDArray[np.int64], across: int = 1, down: int = 1) -> Coefficients:
    """Transform a plane of values about 0-255, which may lie beyond, whose edges become multiples of whole MCUs."""
    high, wide = (-size % (8 * factor) for size, factor in zip(plane.shape, (down, across), strict=True))
    padded = np.pad(plane - 128.0, ((0, high), (0, wide)), mode="edge")
    rows, columns = padded.shape[0] // 8, padded.shape[1] // 8
    blocks = padded.reshape(rows, 8, columns, 8).transpose(0, 2, 1, 3)
    waves = (_WAVES @ blocks @ _WAVES.T).reshape(rows, columns, 64)[..., ZIGZAG]
    coefficients: Coefficients = np.rint(waves / table).astype(np.int64)
    return coefficients


def quantization(table: NDArray[np.int64], number: int = 0) -> bytes:
    """Return a DQT segment of one table of bytes."""
    return segment(DQT, bytes([number]) + bytes(table.tolist()))


def frame(marker: int, width: int, height: int, components: Sequence[Component]) -> bytes:
    """Return the frame header."""
    parts = b"".join(bytes((part.name, part.across << 4 | part.down, part.table)) for part in components)
    return segment(marker, struct.pack(">BHHB", 8, height, width, len(components)) + parts)


def huffman() -> bytes:
    """Return Huffman tables 0 in which all symbols of DC have codes of 4 bits, and those of AC codes of 8."""
    dc = bytes((0x00, 0, 0, 0, len(DC_SYMBOLS), *[0] * 12, *DC_SYMBOLS))
    ac = bytes((0x10, *[0] * 7, len(AC_SYMBOLS), *[0] * 8, *AC_SYMBOLS))
    return segment(DHT, dc + ac)


def scan(components: Sequence[Component], first: int = 0, last: int = 63, *, restart: int = 0) -> bytes:
    """Return the header and the coded data of a scan; ``restart`` is the MCUs between restart markers.

    A progressive scan of AC coefficients has one component; no scan refines another.
    """
    head = bytes([len(components)]) + b"".join(bytes((part.name, 0)) for part in components)
    if len(components) == 1:
        units = components[0].coefficients.reshape(-1, 1, 64)
        owners = np.zeros(1, dtype=np.int64)
    else:
        units = np.concatenate([_units(part) for part in components], axis=1)
        owners = np.repeat(np.arange(len(components)), [part.across * part.down for part in components])
    step = restart or len(units)
    intervals = [_coded(units[start : start + step], owners, first, last) for start in range(0, len(units), step)]
    joined = intervals[0] + b"".join(
        bytes((0xFF, 0xD0 + number % 8)) + interval for number, interval in enumerate(intervals[1:])
    )
    return segment(SOS, head + bytes((first, last, 0))) + joined


def ycbcr(pixels: NDArray[np.uint8]) -> list[Plane]:
    """Return the planes of a picture (ECMA TR/98, section 7)."""
    red, green, blue = (pixels[..., at].astype(np.float64) for at in range(3))
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    return [luma, (blue - luma) / 1.772 + 128, (red - luma) / 1.402 + 128]


def reduced(plane: Plane, across: int, down: int) -> Plane:
    """Return the means of a plane, whose edges are multiples of the factors."""
    rows, columns = plane.shape[0] // down, plane.shape[1] // across
    means: Plane = plane.reshape(rows, down, columns, across).mean(axis=(1, 3))
    return means


def _units(part: Component) -> Coefficients:
    """Return MCUs x blocks x 64."""
    rows, columns, _ = part.coefficients.shape
    grid = part.coefficients.reshape(rows // part.down, part.down, columns // part.across, part.across, 64)
    return grid.transpose(0, 2, 1, 3, 4).reshape(-1, part.down * part.across, 64)


def _coded(units: Coefficients, owners: NDArray[np.int64], first: int, last: int) -> bytes:
    """Return one restart interval, stuffed."""
    blocks = units.reshape(-1, 64)
    events: list[NDArray[np.int64]] = []  # rows of block, position, code, its bits
    if first == 0:
        whose = np.tile(owners, len(units))
        change = np.zeros(len(blocks), dtype=np.int64)
        for owner in np.unique(owners):
            change[whose == owner] = np.diff(blocks[whose == owner, 0], prepend=0)
        size, bits = _magnitude(change)
        events.append(np.stack([np.arange(len(blocks)), np.zeros_like(size), size << size | bits, 4 + size], axis=1))
    if last:
        events += _ac_events(blocks, max(1, first), last)
    ordered = np.concatenate(events)
    ordered = ordered[np.lexsort((ordered[:, 1], ordered[:, 0]))]
    codes, lengths = ordered[:, 2], ordered[:, 3]
    ends = np.cumsum(lengths)
    shifts = np.repeat(ends, lengths) - 1 - np.arange(ends[-1])
    stream = (np.repeat(codes, lengths) >> shifts & 1).astype(np.uint8)
    padded = np.concatenate([stream, np.ones(-len(stream) % 8, dtype=np.uint8)])
    return np.packbits(padded).tobytes().replace(b"\xff", b"\xff\0")


def _ac_events(blocks: Coefficients, first: int, last: int) -> list[NDArray[np.int64]]:
    part = blocks[:, first : last + 1]
    rows, columns = np.nonzero(part)
    before = np.concatenate([[-1], columns[:-1]])
    before[np.concatenate([[True], rows[1:] != rows[:-1]])[: len(before)]] = -1
    run = columns - before[: len(columns)] - 1
    size, bits = _magnitude(part[rows, columns])
    symbol = (run % 16) << 4 | size
    values = np.stack([rows, 2 * columns + 2, _AC_CODE[symbol] << size | bits, 8 + size], axis=1)
    skips = np.repeat(np.stack([rows, 2 * columns + 1], axis=1), run // 16, axis=0)
    long_runs = np.concatenate([skips, np.tile([int(_AC_CODE[0xF0]), 8], (len(skips), 1))], axis=1)
    short = np.nonzero(part[:, -1] == 0)[0]
    ends = np.stack([short, np.full_like(short, 200), np.full_like(short, _AC_CODE[0]), np.full_like(short, 8)], axis=1)
    return [values, long_runs, ends]


def _magnitude(values: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the category of each value, and the bits that tell it apart in its category (T.81, F.1.2.1)."""
    size = np.frexp(np.abs(values).astype(np.float64))[1].astype(np.int64)
    return size, np.where(values >= 0, values, values + (1 << size) - 1)
