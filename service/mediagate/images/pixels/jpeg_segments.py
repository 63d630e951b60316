"""The limits of a JPEG's segments (ITU-T T.81, annex B), checked before anything decodes them.

The part before the first scan is read byte by byte in Python, so each kind of segment has a limit.
"""

from __future__ import annotations

import mmap
import re

from mediagate.errors import UndecodableImage
from mediagate.images.pixels.exif import check_tags

SOF, EOI, SOS, DQT, APP1, APP13 = 0xC0, 0xD9, 0xDA, 0xDB, 0xE1, 0xED
"""Markers (table B.1): start of frame (the first kind), end of image, start of scan, quantization tables, EXIF and
Photoshop's resources."""
MAX_SCANS = 100
"""Encoders write up to about 15 scans; each scan is a pass over the whole picture."""
MAX_SEGMENTS = 10_000
"""The largest profiles, XMP and depth maps take some hundred segments."""
MAX_LOOSE = 128 * 1024
"""Bytes outside segments: encoders pad with a few."""
MAX_TABLES = 64 * 1024
"""Bytes of frame headers and quantization tables; one header and four tables take about 500."""
MAX_RESOURCES = 5_000
"""Photoshop's resources; a file with a hundred paths has about two hundred."""
MAX_EXIF = 64
"""Segments of EXIF; a file has one, or a few if the maker's notes exceed a segment."""
_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd8\xff]")
"""A marker with a length, or EOI. Restart markers and TEM have none, and 0 follows each 0xFF of coded data."""
_FRAMES = frozenset({*range(SOF, 0xD0), 0xDE} - {0xC4, 0xC8, 0xCC})
_BARE = frozenset({0xC8, *range(0xD0, SOS), *range(0xF0, 0xFE)})
"""Markers that are read without a length."""


def check_jpeg(data: bytes | mmap.mmap) -> None:
    """Raise ``UndecodableImage`` for a JPEG with too many parts to be opened and decoded quickly.

    Bytes between segments are skipped, as in libjpeg. Files of other formats pass.
    """
    if data[:3] != b"\xff\xd8\xff":
        return
    at, segments = _check_header(data)
    scans = 0
    while (found := _MARKER.search(data, at)) is not None and data[found.start() + 1] != EOI:
        segments += 1
        scans += data[found.start() + 1] == SOS
        if scans > MAX_SCANS or segments > MAX_SEGMENTS:
            raise _too_many()
        at = found.end() + max(2, int.from_bytes(data[found.end() : found.end() + 2]))


def _check_header(data: bytes | mmap.mmap) -> tuple[int, int]:
    """Return the offset of the first scan and the number of segments before it."""
    at, segments, loose, tables, resources = 2, 0, 0, 0, 0
    exif: list[bytes] = []
    while (start := data.find(b"\xff", at)) >= 0 and start + 1 < len(data):
        marker = data[start + 1]
        loose += start - at
        if marker == SOS:
            break
        at = start + 2
        if marker in (0, 0xFF):
            at -= marker == 0xFF  # this byte may begin a marker
            loose += 1
        elif marker < SOF:
            break  # Pillow rejects such a file
        else:
            segments += 1
            size = 0 if marker in _BARE else max(2, int.from_bytes(data[at : at + 2]))
            if marker == DQT or marker in _FRAMES:
                tables += size
            elif marker == APP13:
                resources += data[at : at + size].count(b"8BIM")
            elif marker == APP1 and data[at + 2 : at + 8] == b"Exif\0\0":
                exif.append(data[at + 8 : at + size])
            at += size
        if segments > MAX_SEGMENTS:
            raise _too_many()
        if loose > MAX_LOOSE or tables > MAX_TABLES or resources > MAX_RESOURCES or len(exif) > MAX_EXIF:
            raise UndecodableImage(
                "the JPEG has more padding, tables, EXIF or Photoshop data than any program writes; export it again"
            )
    check_tags(b"".join(exif))
    return (at if start < 0 else start), segments


def _too_many() -> UndecodableImage:
    return UndecodableImage(f"the JPEG has more than {MAX_SCANS} scans or {MAX_SEGMENTS:,} segments; export it again")
