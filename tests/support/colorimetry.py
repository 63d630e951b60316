"""Reference colours and ICC profiles for the tests, by arithmetic of their own."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Floats = NDArray[np.floating[Any]]
Bytes = NDArray[np.uint8]

D65 = (0.3127, 0.3290)
SRGB = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
P3 = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
ADOBE = ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06))
BT2020 = ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046))
PAL = ((0.64, 0.33), (0.29, 0.60), (0.15, 0.06))
SMPTE_C = ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070))
SRGB_CURVE = (3, 2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
_D65_TO_D50 = np.array([[1.0478, 0.0229, -0.0501], [0.0296, 0.9905, -0.0171], [-0.0092, 0.0151, 0.7517]])
"""ICC.1:2022, annex E.3, its example."""
_D50 = np.array([0.9642, 1.0, 0.8249])


def chart() -> Bytes:
    """Return all greys, all values of each channel alone, and a lattice of 12 steps: 43 rows of 64 colours."""
    ramp = np.arange(256, dtype=np.uint8)[:, None]
    alone = [ramp * np.eye(3, dtype=np.uint8)[channel] for channel in range(3)]
    steps = np.linspace(0, 255, 12).round().astype(np.uint8)
    mixed = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), -1).reshape(-1, 3)
    return np.concatenate([ramp.repeat(3, 1), *alone, mixed]).reshape(43, 64, 3)


def rgb_to_xyz(primaries: Sequence[tuple[float, float]], white: tuple[float, float] = D65) -> Floats:
    columns = np.array([[x, y, 1 - x - y] for x, y in primaries]).T
    x, y = white
    return columns * np.linalg.solve(columns, np.array([x, y, 1 - x - y]) / y)


def decoded(values: Floats) -> Floats:
    """Return the linear light of sRGB values from 0 to 1."""
    return np.where(values <= 0.04045, values / 12.92, ((np.maximum(values, 0) + 0.055) / 1.055) ** 2.4)


def encoded(light: Floats) -> Floats:
    """Return sRGB levels, 0 to 255, of linear light."""
    light = np.clip(light, 0, 1)
    return 255 * np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


def converted(
    light: Floats, source: Sequence[tuple[float, float]], target: Sequence[tuple[float, float]] = SRGB
) -> Floats:
    """Return the levels of linear light of one set of primaries in another, with the curve of sRGB."""
    return encoded(light @ (np.linalg.inv(rgb_to_xyz(target)) @ rgb_to_xyz(source)).T)


def lab_to_srgb(lab: Floats) -> Floats:
    """Return the sRGB levels of CIELAB under D50."""
    y = (lab[..., 0] + 16) / 116
    f = np.stack([y + lab[..., 1] / 500, y, y - lab[..., 2] / 200], -1)
    xyz = np.where(f > 6 / 29, f**3, (116 * f - 16) * 27 / 24389) * _D50
    return encoded(xyz @ np.linalg.inv(_D65_TO_D50 @ rgb_to_xyz(SRGB)).T)


def levels(image: Image.Image) -> Floats:
    return np.asarray(image).astype(np.float64)


def matrix_profile(
    primaries: Sequence[tuple[float, float]] = SRGB,
    curve: bytes | None = None,
    *,
    extra: Sequence[tuple[bytes, bytes]] = (),
    version: int = 2,
    name: str = "test",
) -> bytes:
    """Return an RGB profile of a matrix and one curve."""
    columns = (_D65_TO_D50 @ rgb_to_xyz(primaries)).T
    colorants = [(tag, _xyz(column)) for tag, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), columns, strict=True)]
    curves = [(tag, curve or parametric(*SRGB_CURVE)) for tag in (b"rTRC", b"gTRC", b"bTRC")]
    return profile([*colorants, *curves, *extra], version=version, name=name)


def profile(
    tags: Sequence[tuple[bytes, bytes]],
    space: bytes = b"RGB ",
    connection: bytes = b"XYZ ",
    version: int = 2,
    name: str = "test",
) -> bytes:
    """Return a profile of tags, with a description, a copyright and a white."""
    described = name.encode() + b"\0"
    tags = [
        (b"desc", b"desc" + struct.pack(">4xI", len(described)) + described + bytes(78)),
        (b"cprt", b"text\0\0\0\0none\0"),
        (b"wtpt", _xyz(_D50)),
        *tags,
    ]
    table, body = b"", b""
    for tag, value in tags:
        table += tag + struct.pack(">II", 132 + 12 * len(tags) + len(body), len(value))
        body += value + bytes(-len(value) % 4)
    header = struct.pack(">I4sI", 132 + len(table) + len(body), b"none", version << 24) + b"mntr" + space + connection
    header += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + _fixed(*_D50)
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def parametric(kind: int, *values: float) -> bytes:
    return b"para" + struct.pack(">4xHH", kind, 0) + _fixed(*values)


def table(values: Floats) -> bytes:
    """Return a curve of entries from 0 to 1."""
    return b"curv" + struct.pack(">4xI", len(values)) + (values * 65535).round().astype(">u2").tobytes()


def gamma(exponent: float) -> bytes:
    return b"curv" + struct.pack(">4xIH", 1, round(exponent * 256))


def lookup_table(colours: Callable[[Floats], Floats], channels: int = 3, steps: int = 9, curve: bytes = b"") -> bytes:
    """Return a table in 16 bits from device colours, 0 to 1, to CIELAB (ICC.1:2022, section 10.10)."""
    axis = np.linspace(0, 1, steps)
    device = np.stack(np.meshgrid(*[axis] * channels, indexing="ij"), -1).reshape(-1, channels)
    stored = (colours(device) * (652.8, 256, 256) + (0, 32768, 32768)).round().clip(0, 65535).astype(">u2")
    linear = struct.pack(">2H", 0, 65535)
    entries = curve or linear
    head = bytes([channels, 3, steps, 0]) + _fixed(1, 0, 0, 0, 1, 0, 0, 0, 1)
    sizes = struct.pack(">2H", len(entries) // 2, 2)
    return b"mft2\0\0\0\0" + head + sizes + entries * channels + stored.tobytes() + linear * 3


def png(pixels: Bytes, *chunks: tuple[bytes, bytes], after: Sequence[tuple[bytes, bytes]] = ()) -> bytes:
    """Return a PNG with chunks before its pixels, and others after them."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    data = file.getvalue()
    end = data.index(b"IEND") - 4
    return b"".join(
        [data[:33], *(chunk(*it) for it in chunks), data[33:end], *(chunk(*it) for it in after), data[end:]]
    )


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def iccp(icc: bytes) -> tuple[bytes, bytes]:
    return b"iCCP", b"profile\0\0" + zlib.compress(icc)


def cicp(primaries: int, transfer: int) -> tuple[bytes, bytes]:
    return b"cICP", bytes([primaries, transfer, 0, 1])


def gama(value: int) -> tuple[bytes, bytes]:
    return b"gAMA", struct.pack(">I", value)


def _xyz(values: Floats) -> bytes:
    return b"XYZ \0\0\0\0" + _fixed(*values)


def _fixed(*values: float) -> bytes:
    return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))
