"""A writer of AVIF and HEIC files with any items, properties and references (ISO/IEC 14496-12 and 23008-12)."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pillow_heif
from PIL import Image

from tests.support.samples.sample import Pixels, encoded

CODED = {"avif": b"av01", "heic": b"hvc1"}
HIDDEN = 1
"""The flag of an item that is not to be shown by itself."""
INSIDE = {b"meta": 4, b"iprp": 0, b"ipco": 0}
"""Boxes whose content is boxes, behind so many bytes."""


pillow_heif.register_heif_opener()


@dataclass(frozen=True, slots=True)
class Item:
    """One item of the file; its number is its place in the list, from 1 on."""

    kind: bytes
    data: bytes
    properties: tuple[bytes, ...] = ()
    """Boxes; a property that changes the picture is marked as essential."""
    references: tuple[tuple[bytes, tuple[int, ...]], ...] = ()
    hidden: bool = False
    extra: bytes = b""
    """What follows the name in the item's entry, such as a content type."""


@dataclass(frozen=True, slots=True)
class Coded:
    """A coded picture with the properties that its decoder needs."""

    data: bytes
    properties: tuple[bytes, ...] = field(default=())


def box(name: bytes, content: bytes) -> bytes:
    """Return a box."""
    return struct.pack(">I4s", len(content) + 8, name) + content


def full(name: bytes, content: bytes, version: int = 0, flags: int = 0) -> bytes:
    """Return a box with a version and flags."""
    return box(name, struct.pack(">I", version << 24 | flags) + content)


def coded(pixels: Pixels | Image.Image, image_format: str, *, quality: int = 95) -> Coded:
    """Encode a picture, without chroma subsampling, and take it out of its file."""
    options = {"subsampling": "4:4:4", "speed": 10} if image_format == "avif" else {"chroma": 444}
    data = encoded(pixels, {"avif": "AVIF", "heic": "HEIF"}[image_format], quality=quality, **options)
    kept = (b"av1C", b"hvcC", b"ispe", b"pixi", b"colr", b"auxC")
    properties = tuple(whole for name, whole, _ in boxes(data) if name in kept)
    content = next(content for name, _, content in boxes(data) if name == b"mdat")
    return Coded(content, properties)


def boxes(data: bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Yield name, whole and content of every box, those inside of ``meta`` and its properties too."""
    at = 0
    while at + 8 <= len(data):
        size = int.from_bytes(data[at : at + 4])
        name, content = data[at + 4 : at + 8], data[at + 8 : at + size]
        yield name, data[at : at + size], content
        if name in INSIDE:
            yield from boxes(content[INSIDE[name] :])
        at += max(8, size)


def extent(width: int, height: int) -> bytes:
    """Return ``ispe``."""
    return full(b"ispe", struct.pack(">2I", width, height))


def nclx(primaries: int, transfer: int, matrix: int = 6, *, full_range: bool = True) -> bytes:
    """Return ``colr`` of code points (ITU-T H.273)."""
    return box(b"colr", b"nclx" + struct.pack(">3HB", primaries, transfer, matrix, full_range << 7))


def turn(quarters: int) -> bytes:
    """Return ``irot``: quarters of a turn, anticlockwise."""
    return box(b"irot", bytes([quarters]))


def mirror(axis: int) -> bytes:
    """Return ``imir``."""
    return box(b"imir", bytes([axis]))


def crop(width: int, height: int, right: int = 0, down: int = 0) -> bytes:
    """Return ``clap``: a size in pixels, and how far its middle is from the picture's, in pixels."""
    return box(b"clap", struct.pack(">4IiIiI", width, 1, height, 1, right, 1, down, 1))


def grid(rows: int, columns: int, width: int, height: int) -> bytes:
    """Return the data of a ``grid`` item."""
    return struct.pack(">4B2H", 0, 0, rows - 1, columns - 1, width, height)


def overlay(width: int, height: int, offsets: Sequence[tuple[int, int]], fill: tuple[int, int, int, int]) -> bytes:
    """Return the data of an ``iovl`` item: where each of its pictures stands, on a colour of 16 bits."""
    places = b"".join(struct.pack(">2h", *offset) for offset in offsets)
    return struct.pack(">2B4H2H", 0, 0, *fill, width, height) + places


def file(
    image_format: str, items: Sequence[Item], primary: int = 1, *, before: bytes = b"", after: bytes = b""
) -> bytes:
    """Return a file; ``before`` and ``after`` are boxes around ``mdat``."""
    brands = {"avif": b"avif\0\0\0\0avifmif1miafMA1B", "heic": b"heic\0\0\0\0mif1heicmiaf"}[image_format]
    head = box(b"ftyp", brands)
    size = len(head) + len(before) + len(_meta(items, primary, [0] * len(items))) + 8
    starts = [size + sum(len(item.data) for item in items[:at]) for at in range(len(items))]
    content = b"".join(item.data for item in items)
    return head + _meta(items, primary, starts) + before + box(b"mdat", content) + after


def _meta(items: Sequence[Item], primary: int, starts: Sequence[int]) -> bytes:
    handler = full(b"hdlr", struct.pack(">I4s12xB", 0, b"pict", 0))
    places = struct.pack(">BBH", 0x44, 0, len(items))
    entries = struct.pack(">H", len(items))
    references = links = b""
    properties: list[bytes] = []
    for number, (item, start) in enumerate(zip(items, starts, strict=True), 1):
        places += struct.pack(">HHHII", number, 0, 1, start, len(item.data))
        named = struct.pack(">HH4s", number, 0, item.kind) + b"\0" + item.extra
        entries += full(b"infe", named, 2, HIDDEN if item.hidden else 0)
        for kind, targets in item.references:
            references += box(kind, struct.pack(f">2H{len(targets)}H", number, len(targets), *targets))
        links += struct.pack(">HB", number, len(item.properties))
        for whole in item.properties:
            properties.append(whole)
            essential = whole[4:8] in (b"av1C", b"hvcC", b"irot", b"imir", b"clap")
            links += bytes([essential << 7 | len(properties)])
    described = box(b"iprp", box(b"ipco", b"".join(properties)) + full(b"ipma", struct.pack(">I", len(items)) + links))
    referred = full(b"iref", references) if references else b""
    parts = full(b"pitm", struct.pack(">H", primary)) + full(b"iloc", places) + full(b"iinf", entries)
    return full(b"meta", handler + parts + referred + described)
