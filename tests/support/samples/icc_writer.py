"""A writer of ICC profiles with any curves and tables (ICC.1:2022; descriptions as in ICC.1:2001-04)."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from skimage.color import rgb2lab

Floats = NDArray[np.float64]

SRGB_NAME = "sRGB IEC61966-2.1"
SRGB_PRIMARIES = ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410))
"""Columns of sRGB adapted to D50 (W3C, CSS Color 4, section 17)."""
P3_PRIMARIES = ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407))
D50 = (0.9642, 1.0, 0.8249)
GRID = 9
"""Nodes of a table along each of its three axes."""


def srgb_curve(values: Floats) -> Floats:
    """Return the linear light of sRGB values, both 0-1 (IEC 61966-2-1)."""
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def curve_tag(values: Floats) -> bytes:
    """Return a ``curv`` of a table of values, 0-1."""
    table = bytes(np.rint(np.clip(values, 0, 1) * 65535).astype(">u2").tobytes())
    return b"curv" + bytes(4) + struct.pack(">I", len(values)) + table


def matrix_profile(
    curves: Sequence[Floats],
    primaries: Sequence[Sequence[float]] = SRGB_PRIMARIES,
    name: str = SRGB_NAME,
    extra: Mapping[bytes, bytes] | None = None,
) -> bytes:
    """Return an RGB profile of three curves and three primaries; ``extra`` are tags that it has besides."""
    tags = {sign + b"XYZ": _xyz(column) for sign, column in zip((b"r", b"g", b"b"), primaries, strict=True)}
    tags |= {sign + b"TRC": curve_tag(curve) for sign, curve in zip((b"r", b"g", b"b"), curves, strict=True)}
    return profile(b"RGB ", b"XYZ ", tags | dict(extra or {}), name)


def grey_profile(curve: Floats, name: str = "grey") -> bytes:
    """Return a profile for one channel."""
    return profile(b"GRAY", b"XYZ ", {b"kTRC": curve_tag(curve)}, name)


def table_tag(seen: Callable[[Floats], Floats]) -> bytes:
    """Return a ``mft2`` from RGB to Lab, of what is seen (sRGB, 0-1, rows of three) for the values of a file."""
    axis = np.linspace(0, 1, GRID)
    nodes = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    lab = rgb2lab(seen(nodes).reshape(1, -1, 3), illuminant="D50").reshape(-1, 3)
    # The legacy encoding of 16 bits: 0xFF00 is L* 100, 0x8000 is a* or b* 0 (ICC.1:2022, table 42).
    words = np.stack([lab[:, 0] * 652.8, (lab[:, 1] + 128) * 256, (lab[:, 2] + 128) * 256], axis=-1)
    table: bytes = np.rint(np.clip(words, 0, 65535)).astype(">u2").tobytes()
    matrix = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    line = struct.pack(">2H", 0, 65535) * 3
    head = b"mft2" + bytes(4) + bytes((3, 3, GRID, 0)) + matrix + struct.pack(">2H", 2, 2)
    return head + line + table + line


def profile(
    space: bytes, connection: bytes, tags: Mapping[bytes, bytes], name: str, *, kind: bytes = b"mntr", version: int = 2
) -> bytes:
    """Return a profile with these tags, a description, a copyright and the white point D50."""
    text = name.encode()
    described = b"desc" + bytes(4) + struct.pack(">I", len(text) + 1) + text + bytes(1 + 4 + 4 + 2 + 1 + 67)
    everything = {b"desc": described, b"cprt": b"text" + bytes(4) + b"none\0", b"wtpt": _xyz(D50), **tags}
    at = 128 + 4 + 12 * len(everything)
    directory, bodies = struct.pack(">I", len(everything)), b""
    for sign, body in everything.items():
        padded = body + bytes(-len(body) % 4)
        directory += sign + struct.pack(">2I", at + len(bodies), len(body))
        bodies += padded
    size = at + len(bodies)
    head = struct.pack(">I4sI4s4s4s", size, bytes(4), version << 24, kind, space, connection)
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + _fixed(D50) + bytes(48)
    return head + directory + bodies


def _xyz(values: Sequence[float]) -> bytes:
    return b"XYZ " + bytes(4) + _fixed(values)


def _fixed(values: Sequence[float]) -> bytes:
    return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))
