"""The boxes of AVIF and HEIC files (ISO/IEC 14496-12 and 23008-12)."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from typing import NamedTuple

from mediagate.errors import UndecodableImage
from mediagate.images.pixels.av1 import sequence_code_points
from mediagate.images.pixels.code_points import CodePoints

_MAX_BOXES = 4096
"""Boxes read on one level; a grid of 256 tiles has about 300 properties."""
MAX_TOTAL = 20_000
"""Boxes of a whole file; the items of a picture of 100 megapixels have about 2,000."""
_DEEPEST = 12
"""The deepest nesting; the boxes of a sample entry are seven deep."""
_CONTAINERS = {
    **dict.fromkeys((b"moov", b"trak", b"mdia", b"minf", b"stbl", b"dinf", b"edts", b"udta", b"mvex"), 0),
    **dict.fromkeys((b"moof", b"traf", b"iprp", b"ipco", b"grpl"), 0),
    b"meta": 4,
    b"iref": 4,
    b"iinf": 6,
    b"dref": 8,
    b"stsd": 8,
}
"""Boxes that contain others, and the offset of the inner boxes (ISO/IEC 14496-12, table 1)."""


class Box(NamedTuple):
    """The type of a box and the bytes after its header."""

    type: bytes
    body: memoryview


class Colour(NamedTuple):
    """The colour description in the boxes: code points, and the brightest light in cd/m²."""

    code_points: CodePoints | None
    peak: float | None


def read_colour(data: bytes) -> Colour:
    """Return the colours in the boxes of the primary picture, or in its AV1 sequence header if it has no ``nclx`` box.

    In an image sequence the first video track counts, as in libavif. For a derived picture, such as a grid, the boxes
    of its parts count if it has none itself.
    """
    view = memoryview(data)
    top = _by_type(view)
    try:
        if data[8:12] == b"avis" and b"moov" in top and (found := _colour(of_track(top[b"moov"]))).code_points:
            return found
        return _of_item(view, top[b"meta"][4:]) if b"meta" in top else Colour(None, None)
    except IndexError:
        return Colour(None, None)


def boxes(view: memoryview, most: int = _MAX_BOXES) -> Iterator[Box]:
    """Yield the boxes of one level, as far as they are complete (ISO/IEC 14496-12, section 4.2)."""
    at = 0
    for _ in range(most):
        if at + 8 > len(view):
            return
        size, header = int.from_bytes(view[at : at + 4]), 8
        if size == 1:
            size, header = int.from_bytes(view[at + 8 : at + 16]), 16
        elif size == 0:
            size = len(view) - at
        if size < header or at + size > len(view):
            return
        yield Box(bytes(view[at + 4 : at + 8]), view[at + header : at + size])
        at += size


def check_boxes(data: bytes | mmap.mmap) -> None:
    """Raise ``UndecodableImage`` for an AVIF or HEIC of more boxes than any program writes; other files pass."""
    if data[4:8] != b"ftyp":
        return
    total, levels = 0, [(memoryview(data), 0)]
    while levels:
        view, depth = levels.pop()
        for name, body in boxes(view, MAX_TOTAL + 1):
            total += 1
            if total > MAX_TOTAL or depth > _DEEPEST:
                raise UndecodableImage("the AVIF or HEIC has more boxes than any program writes; export it again")
            if (before := _CONTAINERS.get(name)) is not None:
                wide = name == b"iinf" and any(body[:1])  # its version
                levels.append((body[before + 2 * wide :], depth + 1))


def _of_item(file: memoryview, meta: memoryview) -> Colour:
    """Return the colours of the primary item, or of the first item it is derived from (ISO/IEC 23008-12, 6.5.5)."""
    inner = _by_type(meta)
    properties = _by_type(inner.get(b"iprp", memoryview(b"")))
    if b"pitm" not in inner or not {b"ipco", b"ipma"} <= properties.keys():
        return Colour(None, None)
    pitm = inner[b"pitm"]
    primary = int.from_bytes(pitm[4:6] if pitm[0] == 0 else pitm[4:8])
    described = list(boxes(properties[b"ipco"]))
    associated = _associations(properties[b"ipma"])
    items = (primary, *_derived_from(inner.get(b"iref"), primary))
    for item in items:
        of_item = [described[index - 1] for index in associated.get(item, ()) if 0 < index <= len(described)]
        colour = _colour(of_item)
        if colour.code_points:
            return colour
        if any(box.type == b"av1C" for box in of_item) and b"iloc" in inner:
            return colour._replace(code_points=sequence_code_points(file[_offset(inner[b"iloc"], item) :]))
    return Colour(None, None)


def of_track(moov: memoryview) -> list[Box]:
    """Return the boxes of the first visual sample entry (ISO/IEC 14496-12, section 12.1.3)."""
    for track in boxes(moov):
        body = track.body
        for name in (b"mdia", b"minf", b"stbl", b"stsd"):
            body = _by_type(body).get(name, memoryview(b""))
        for entry in boxes(body[8:]):
            if entry.type in (b"av01", b"hvc1"):
                return list(boxes(entry.body[78:]))
    return []


def _colour(described: list[Box]) -> Colour:
    """Return the content of colour boxes (ISO/IEC 14496-12, sections 12.1.5 to 12.1.7); ``clli`` precedes ``mdcv``."""
    points, brightest, display = None, 0.0, 0.0
    for name, body in described:
        if name == b"colr" and bytes(body[:4]) == b"nclx" and len(body) >= 8 and points is None:
            points = CodePoints(int.from_bytes(body[4:6]), int.from_bytes(body[6:8]))
        elif name == b"clli" and len(body) >= 4:
            brightest = float(int.from_bytes(body[:2]))
        elif name == b"mdcv" and len(body) >= 24:
            display = int.from_bytes(body[16:20]) / 10_000
    return Colour(points, brightest or display or None)


def _associations(ipma: memoryview) -> dict[int, list[int]]:
    """Return the numbers of each item's properties, from 1 on (ISO/IEC 23008-12, section 9.3.1)."""
    id_bytes, wide = (2 if ipma[0] == 0 else 4), ipma[3] & 1
    found: dict[int, list[int]] = {}
    at = 8
    for _ in range(min(int.from_bytes(ipma[4:8]), _MAX_BOXES)):
        item, count = int.from_bytes(ipma[at : at + id_bytes]), ipma[at + id_bytes]
        at += id_bytes + 1
        for _ in range(count):
            index = (ipma[at] & 0x7F) << 8 | ipma[at + 1] if wide else ipma[at] & 0x7F
            found.setdefault(item, []).append(index)
            at += 2 if wide else 1
    return found


def _derived_from(iref: memoryview | None, item: int) -> list[int]:
    """Return the first item that ``item`` is derived from, as a list (ISO/IEC 14496-12, section 8.11.12)."""
    if iref is None:
        return []
    id_bytes = 2 if iref[0] == 0 else 4
    for box in boxes(iref[4:]):
        if box.type == b"dimg" and int.from_bytes(box.body[:id_bytes]) == item:
            first = id_bytes + 2
            return [int.from_bytes(box.body[first : first + id_bytes])]
    return []


def _offset(iloc: memoryview, item: int) -> int:
    """Return the offset of an item's data in the file (ISO/IEC 14496-12, section 8.11.3)."""
    version = iloc[0]
    id_bytes, index_bytes = (4 if version == 2 else 2), (iloc[5] & 15 if version else 0)
    offset_bytes, length_bytes, base_bytes = iloc[4] >> 4, iloc[4] & 15, iloc[5] >> 4
    at = 6 + id_bytes
    for _ in range(min(int.from_bytes(iloc[6:at]), _MAX_BOXES)):
        number = int.from_bytes(iloc[at : at + id_bytes])
        at += id_bytes
        if version:
            in_file = iloc[at + 1] & 15 == 0
            at += 2
        else:
            in_file = True
        at += 2
        base = int.from_bytes(iloc[at : at + base_bytes])
        at += base_bytes
        extents = int.from_bytes(iloc[at : at + 2])
        at += 2
        if number == item and extents and in_file:
            return base + int.from_bytes(iloc[at + index_bytes : at + index_bytes + offset_bytes])
        at += extents * (index_bytes + offset_bytes + length_bytes)
    raise IndexError("the item has no data in the file")


def _by_type(view: memoryview) -> dict[bytes, memoryview]:
    found: dict[bytes, memoryview] = {}
    for box in boxes(view):
        found.setdefault(box.type, box.body)
    return found
