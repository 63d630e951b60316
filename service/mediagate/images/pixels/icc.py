"""ICC profiles as bytes: profiles made here, and embedded profiles as browsers read them."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from functools import cache
from itertools import accumulate

from mediagate.images.pixels.code_points import CodePoints, Curve
from mediagate.images.pixels.primaries import D50, DISPLAY_P3, Primaries, adaptation

MAX_BYTES = 8 * 2**20
"""The longest accepted profile; printers' profiles have up to 4 MiB."""
_HEADER = 128
_TABLE_ENTRIES = 255 * 16 + 1
"""One entry for each 8-bit value, with 15 more between two of them."""
_SRGB_CURVE = b"para" + struct.pack(
    ">4xHH5i", 3, 0, *(round(value * 65536) for value in (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045))
)
"""IEC 61966-2-1 as a parametric curve (ICC.1:2022, section 10.18)."""
_UNREAD = (b"D2B0", b"D2B1", b"D2B2", b"D2B3", b"A2B2")
"""Tags that lcms reads and browsers do not."""


def matrix_profile(primaries: Primaries, curve: Curve | None = None, *, version: int = 2) -> bytes:
    """Return an RGB profile of primaries and one curve for all channels, by default that of sRGB.

    The bytes depend on the arguments alone. Raises ``ValueError`` or ``ZeroDivisionError`` if the primaries span no
    triangle around white.
    """
    columns = zip(*primaries.to_d50(), strict=True)
    trc = _SRGB_CURVE if curve is None else _table(curve)
    tags: dict[bytes, bytes] = {
        b"desc": _text("Display P3" if primaries == DISPLAY_P3 else "RGB"),
        b"cprt": _text("Public domain"),
        b"wtpt": _xyz(D50),
        b"chad": b"sf32\0\0\0\0" + _fixed(*(value for row in adaptation(primaries.white) for value in row)),
    }
    tags |= {name: _xyz(column) for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), columns, strict=True)}
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), trc)
    return _profile(tags, version)


@cache
def display_p3_profile() -> bytes:
    """Return the profile of pictures published in Display P3: version 4, white D50, the curve of sRGB."""
    return matrix_profile(DISPLAY_P3, version=4)


def is_profile(icc: bytes) -> bool:
    """Whether the bytes begin like a profile (ICC.1:2022, section 7.2.11)."""
    return len(icc) >= _HEADER + 4 and icc[36:40] == b"acsp"


def tags(icc: bytes) -> dict[bytes, tuple[int, int]]:
    """Return offset and size of each tag; the first of two with one name counts, as in browsers."""
    found: dict[bytes, tuple[int, int]] = {}
    for at in _entries(icc):
        name, offset, size = struct.unpack_from(">4sII", icc, at)
        found.setdefault(name, (offset, size))
    return found


def code_points(icc: bytes) -> CodePoints | None:
    """Return the code points of a ``cicp`` tag (ICC.1:2022, section 9.2.17), which browsers prefer to all other tags.

    ``None`` if there is no such tag, or if it is undefined for RGB of full range.
    """
    offset, size = tags(icc).get(b"cicp", (0, 0))
    tag = icc[offset : offset + size]
    if len(tag) < 12 or tag[:4] != b"cicp" or tag[10:12] != b"\0\1":
        return None
    points = CodePoints(tag[8], tag[9])
    return points.for_profile() if points.known else None


def as_browsers_read(icc: bytes) -> bytes:
    """Return a profile from which lcms, with perceptual intent, reads the same tags as browsers.

    Browsers ignore D2B, A2B2 and the device class, and use A2B1 where A2B0 is absent (skcms, measured in Chromium 156).
    Raises ``ValueError`` for a profile that browsers ignore because of its header or its tag table.
    """
    if icc[8] > 4:
        raise ValueError(f"its version is {icc[8]}; versions up to 4 are supported")
    white = struct.unpack(">3i", icc[68:80])
    if any(abs(value / 65536 - expected) > 0.01 for value, expected in zip(white, D50, strict=True)):
        raise ValueError("its illuminant is not D50")
    names = tags(icc)
    if int.from_bytes(icc[:4]) > len(icc) or any(offset + size > len(icc) for offset, size in names.values()):
        raise ValueError("it is truncated")
    read = bytearray(icc)
    read[12:16] = b"mntr"
    for number, at in enumerate(_entries(icc)):
        name = icc[at : at + 4]
        if name in _UNREAD:
            read[at : at + 4] = b"x%03d" % number
        elif name == b"A2B1" and b"A2B0" not in names:
            read[at : at + 4] = b"A2B0"
    return bytes(read)


def has_lookup_table(icc: bytes) -> bool:
    """Whether the profile uses a colour table instead of a matrix and curves."""
    return not {b"A2B0", b"A2B1"}.isdisjoint(tags(icc))


def _entries(icc: bytes) -> range:
    count = min(int.from_bytes(icc[_HEADER : _HEADER + 4]), (len(icc) - _HEADER - 4) // 12)
    return range(_HEADER + 4, _HEADER + 4 + 12 * count, 12)


def _profile(tagged: Mapping[bytes, bytes], version: int) -> bytes:
    """Return header, tag table and tags (ICC.1:2022, section 7); equal tags are stored once."""
    bodies = list(dict.fromkeys(body + b"\0" * (-len(body) % 4) for body in tagged.values()))
    first = _HEADER + 4 + 12 * len(tagged)
    offsets = dict(zip(bodies, accumulate(map(len, bodies), initial=first), strict=False))
    table = b"".join(
        name + struct.pack(">II", offsets[body + b"\0" * (-len(body) % 4)], len(body)) for name, body in tagged.items()
    )
    size = first + sum(map(len, bodies))
    header = struct.pack(">I4xI", size, 0x04400000 if version == 4 else 0x02400000) + b"mntrRGB XYZ "
    header += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + _fixed(*D50)
    return header.ljust(_HEADER, b"\0") + struct.pack(">I", len(tagged)) + table + b"".join(bodies)


def _table(curve: Curve) -> bytes:
    values = (round(65535 * min(max(curve(at / (_TABLE_ENTRIES - 1)), 0), 1)) for at in range(_TABLE_ENTRIES))
    return b"curv" + struct.pack(f">4xI{_TABLE_ENTRIES}H", _TABLE_ENTRIES, *values)


def _text(text: str) -> bytes:
    return b"mluc" + struct.pack(">4xII4sII", 1, 12, b"enUS", 2 * len(text), 28) + text.encode("utf-16-be")


def _xyz(values: tuple[float, float, float]) -> bytes:
    return b"XYZ \0\0\0\0" + _fixed(*values)


def _fixed(*values: float) -> bytes:
    return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))
