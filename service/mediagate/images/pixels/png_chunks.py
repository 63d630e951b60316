"""The chunks of a PNG (PNG, third edition, W3C 2025)."""

from __future__ import annotations

import mmap
import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from mediagate.errors import UndecodableImage
from mediagate.images.pixels import icc
from mediagate.images.pixels.code_points import CodePoints
from mediagate.images.pixels.primaries import Primaries

PNG = b"\x89PNG\r\n\x1a\n"
"""The signature of a PNG (section 5.2)."""
MAX_CHUNKS, BYTES_A_CHUNK = 10_000, 4096
"""The limit of chunks: a constant, plus one for each 4096 bytes. Encoders write IDAT of 8 KiB and more."""
_COLOUR = (b"cICP", b"iCCP", b"sRGB", b"gAMA", b"cHRM", b"cLLI", b"mDCV")
_GREY, _RGB, _PALETTE = 0, 2, 3
"""Colour types (section 11.2.1)."""
_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_PIXELS = (b"IHDR", b"PLTE", b"IDAT", b"IEND")
FRAMES = (b"acTL", b"fcTL", b"fdAT")
"""Chunks of an animation (section 11.3.2)."""
_LENGTHS = {b"cHRM": 32, b"gAMA": 4, b"sRGB": 1, b"pHYs": 9, b"tIME": 7, b"cICP": 4, b"mDCV": 24, b"cLLI": 8}
"""The lengths of ancillary chunks with a fixed length (section 11.3)."""
_LONG_TEXT = 2**20
"""Bytes of an unpacked text beyond which other decoders refuse the file; texts themselves are not read."""
_MOST_UNPACKED = 8 * _LONG_TEXT
"""The most bytes of text unpacked in total, in about 20 ms, to find out whether one is long."""


class Chunk(NamedTuple):
    """One chunk: its type, its data, and all of its bytes."""

    type: bytes
    data: memoryview
    whole: memoryview


class Colour(NamedTuple):
    """The colour chunks of a PNG; ``None`` for each chunk that is absent or malformed.

    ``icc`` is empty if the profile is damaged or too long; ``peak`` is the brightest light in cd/m².
    """

    code_points: CodePoints | None
    icc: bytes | None
    is_srgb: bool
    gamma: float | None
    primaries: Primaries | None
    peak: float | None

    @property
    def has_srgb_gamma(self) -> bool:
        """Whether gamma is about 1/2.2 without other colour chunks, which browsers read as sRGB (Chromium 156)."""
        return self.primaries is None and self.gamma is not None and abs(self.gamma * 2.2 - 1) <= 0.05


def chunks(png: bytes | mmap.mmap) -> Iterator[Chunk]:
    """Yield the chunks up to IEND, or as far as the file is intact (section 5.3)."""
    view, at = memoryview(png), len(PNG)
    while at + 12 <= len(png):
        length = int.from_bytes(view[at : at + 4])
        if at + 12 + length > len(png):
            return
        chunk = Chunk(png[at + 4 : at + 8], view[at + 8 : at + 8 + length], view[at : at + 12 + length])
        yield chunk
        if chunk.type == b"IEND":
            return
        at += 12 + length


def check_chunks(data: bytes | mmap.mmap) -> None:
    """Raise ``UndecodableImage`` for a PNG with too many chunks to be opened quickly; other files pass."""
    if data[: len(PNG)] != PNG:
        return
    at, most = len(PNG), MAX_CHUNKS + len(data) // BYTES_A_CHUNK
    while at + 12 <= len(data) and data[at + 4 : at + 8] != b"IEND":
        at += 12 + int.from_bytes(data[at : at + 4])
        most -= 1
        if most < 0:
            raise UndecodableImage("the PNG is in more chunks than any program writes; export it again")


def read_colour(png: bytes) -> Colour:
    """Return the colour chunks before the palette and the pixels (sections 5.6 and 11.3.2).

    The first of several chunks of one type counts, and a chunk with a wrong checksum is absent, as in libpng.
    """
    found: dict[bytes, memoryview] = {}
    for chunk in chunks(png):
        if chunk.type in (b"PLTE", b"IDAT", b"fdAT"):
            break
        if chunk.type in _COLOUR and chunk.type not in found and is_intact(chunk):
            found[chunk.type] = chunk.data
    return Colour(
        _code_points(found.get(b"cICP")),
        _profile(found.get(b"iCCP")),
        len(found.get(b"sRGB", b"")) == 1,
        _gamma(found.get(b"gAMA")),
        _primaries(found.get(b"cHRM")),
        _peak(found.get(b"cLLI", memoryview(b"")), found.get(b"mDCV", memoryview(b""))),
    )


def for_pixels(png: bytes | mmap.mmap) -> bytes:
    """Return the PNG reduced to the chunks that its first picture and its orientation need.

    Decoders refuse whole files because of malformed or long ancillary chunks and because of later frames. Raises
    ``ValueError`` if a required palette is missing (section 11.2.2).
    """
    kept: list[bytes | memoryview] = [PNG]
    colours = 0
    for chunk in chunks(png):
        if chunk.type == b"PLTE":
            colours = len(chunk.data) // 3
        if chunk.type == b"IDAT" and png[25] == _PALETTE and not colours:
            raise ValueError("the palette is missing")
        if chunk.type == b"tRNS":
            kept.append(transparency(chunk, png[24], png[25], colours))
        elif chunk.type == b"PLTE":
            kept.append(palette(chunk, png[24]))
        elif chunk.type in _PIXELS or (chunk.type == b"eXIf" and is_intact(chunk)):
            kept.append(chunk.whole)
    return b"".join(kept)


def palette(chunk: Chunk, depth: int) -> bytes | memoryview:
    """Return the chunk padded with its last colour, which Chromium shows for indices beyond it; Pillow shows black."""
    missing = 3 * 2**depth - len(chunk.data)
    if not is_intact(chunk) or len(chunk.data) < 3 or missing <= 0 or depth > 8:
        return chunk.whole
    return written(b"PLTE", chunk.data, bytes(chunk.data[-3:]) * (missing // 3))


def transparency(chunk: Chunk, depth: int, colour_type: int, colours: int) -> bytes | memoryview:
    """Return the chunk as Pillow reads it, empty for a chunk that libpng ignores since it is too long or too short.

    Grey samples with fewer than eight bits are compared after scaling to eight.
    """
    longest: int = {_GREY: 2, _RGB: 6, _PALETTE: colours}.get(colour_type, 0)
    if not is_intact(chunk) or len(chunk.data) > longest or (colour_type != _PALETTE and len(chunk.data) < longest):
        return b""
    if colour_type != _GREY or depth not in (1, 2, 4):
        return chunk.whole
    scaled: bytes = (int.from_bytes(chunk.data) % 2**depth * 255 // (2**depth - 1)).to_bytes(2)
    return written(b"tRNS", scaled)


def ignored(png: bytes) -> list[str]:
    """Return a warning for each kind of fault because of which a chunk was ignored."""
    wrong, odd, long = set(), set(), False
    left, colours = _MOST_UNPACKED, 0
    for chunk in chunks(png):
        if chunk.type == b"PLTE":
            colours = len(chunk.data) // 3
        if chunk.type in _PIXELS or chunk.type in FRAMES:
            continue
        if not is_intact(chunk):
            wrong.add(chunk.type.decode("latin-1"))
        elif len(chunk.data) != _LENGTHS.get(chunk.type, len(chunk.data)) or _lacks_meaning(chunk, png, colours):
            odd.add(chunk.type.decode("latin-1"))
        elif chunk.type in _TEXTS and not long and left > 0:
            size = _unpacked_size(chunk)
            long, left = size > _LONG_TEXT, left - size
    notes = []
    if wrong:
        notes.append(f"PNG chunks with a wrong checksum were ignored: {_listed(wrong)}")
    if odd:
        notes.append(f"PNG chunks of a wrong length were ignored: {_listed(odd)}")
    if long:
        notes.append("a text of more than 1 MiB was ignored")
    return notes


def _lacks_meaning(chunk: Chunk, png: bytes, colours: int) -> bool:
    return chunk.type == b"tRNS" and not transparency(chunk, png[24], png[25], colours)


def _listed(names: set[str]) -> str:
    listed = sorted(name if name.isalpha() and name.isascii() else "?" for name in names)
    return ", ".join(listed[:10])


def _unpacked_size(text: Chunk) -> int:
    """Return the bytes of a text (section 11.3.3), up to one more than the limit of a long text."""
    data = bytes(text.data)
    start = data.find(b"\0") + 1
    if text.type == b"iTXt":
        packed = data[start : start + 1] == b"\1"
        start = data.find(b"\0", start + 2) + 1  # after the language
        start = data.find(b"\0", start) + 1  # after the translated keyword
    else:
        packed = text.type == b"zTXt"
        start += packed
    if not packed:
        return len(data)
    try:
        return len(zlib.decompressobj().decompress(data[start:], _LONG_TEXT + 1))
    except zlib.error:
        return 0


def text_keywords(png: bytes) -> set[str]:
    """Return the keywords of all texts (section 11.3.3), such as ``Comment``."""
    texts = (chunk.data for chunk in chunks(png) if chunk.type in _TEXTS)
    return {bytes(text[:80]).partition(b"\0")[0].decode("latin-1") for text in texts}


def written(name: bytes, *content: bytes | memoryview) -> bytes:
    """Return a chunk with its length and checksum."""
    data = b"".join((name, *content))
    return b"".join(((len(data) - 4).to_bytes(4), data, zlib.crc32(data).to_bytes(4)))


def is_intact(chunk: Chunk) -> bool:
    """Whether the checksum is right."""
    return zlib.crc32(chunk.whole[4:-4]) == int.from_bytes(chunk.whole[-4:])


def _code_points(data: memoryview | None) -> CodePoints | None:
    """Return the code points of RGB in full range (section 11.3.2.6), the only kind in PNG."""
    if data is None or len(data) != 4 or data[2] != 0 or data[3] != 1:
        return None
    points = CodePoints(data[0], data[1])
    return points if points.known else None


def _profile(data: memoryview | None) -> bytes | None:
    """Return the unpacked profile (section 11.3.2.3), or ``b""`` if it is damaged or too long."""
    if data is None:
        return None
    name, _, packed = bytes(data).partition(b"\0")
    if not 1 <= len(name) <= 79 or packed[:1] != b"\0":
        return b""
    unpacking = zlib.decompressobj()
    try:
        profile = unpacking.decompress(packed[1:], icc.MAX_BYTES)
    except zlib.error:
        return b""
    return profile if unpacking.eof else b""


def _gamma(data: memoryview | None) -> float | None:
    value = int.from_bytes(data) if data is not None and len(data) == 4 else 0
    return value / 100_000 if 0 < value < 2**31 else None


def _primaries(data: memoryview | None) -> Primaries | None:
    if data is None or len(data) != 32:
        return None
    white_x, white_y, *rest = (value / 100_000 for value in struct.unpack(">8I", data))
    return Primaries((rest[0], rest[1]), (rest[2], rest[3]), (rest[4], rest[5]), (white_x, white_y))


def _peak(light: memoryview, display: memoryview) -> float | None:
    """Return the brightest light of the content, or else of the mastering display (sections 11.3.2.7 and 11.3.2.8)."""
    brightest = int.from_bytes(light[:4]) if len(light) == 8 else 0
    mastered = int.from_bytes(display[16:20]) if len(display) == 24 else 0
    return (brightest or mastered) / 10_000 or None
