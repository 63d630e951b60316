"""What a file's own boxes and chunks say where decoders do not tell."""

from __future__ import annotations

import io
import mmap
import re

from PIL import Image

from mediagate.errors import UndecodableImage
from mediagate.images.chunks import for_pixels

EOI, SOS = 0xD9, 0xDA
"""Markers of a JPEG: end of image, start of scan (ITU-T T.81, table B.1)."""
MAX_SCANS = 100
"""Encoders write up to some 15 scans; each further one is another pass over the whole picture."""
MAX_SEGMENTS = 10_000
"""The largest profiles, XMP and depth maps take some hundreds."""
BOXES = (b"ftyp", b"meta", b"mdat", b"moov", b"moof", b"mfra", b"idat", b"free", b"skip", b"uuid", b"styp", b"sidx")
"""Boxes of a file's top level (ISO/IEC 14496-12, table 1). Bytes behind them are no part of the picture."""
_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd8\xff]")
"""A marker with a length, or EOI. Restart markers and TEM have none, and 0 follows each 0xFF of coded data."""


def webp_size(head: bytes) -> tuple[int, int] | None:
    """Return width and height of a WebP from its first 30 bytes (RFC 9649, sections 2.5 to 2.7), or ``None``.

    Pillow allocates a WebP's whole canvas when it opens the file, before anybody could look at its size.
    """
    if len(head) < 30 or head[:4] != b"RIFF" or head[8:12] != b"WEBP":
        return None
    chunk = head[12:16]
    if chunk == b"VP8X":
        return int.from_bytes(head[24:27], "little") + 1, int.from_bytes(head[27:30], "little") + 1
    if chunk == b"VP8L":
        bits = int.from_bytes(head[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if chunk == b"VP8 ":
        return int.from_bytes(head[26:28], "little") & 0x3FFF, int.from_bytes(head[28:30], "little") & 0x3FFF
    return None


def is_lossless_webp(data: bytes) -> bool:
    """Whether a WebP's first picture is lossless (RFC 9649, section 2: the chunk VP8L, perhaps within ANMF)."""
    at = 12
    while at + 8 <= len(data):
        chunk, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        if chunk in (b"VP8L", b"VP8 "):
            return chunk == b"VP8L"
        at += 8 + (16 if chunk == b"ANMF" else size + size % 2)
    return False


def check_complete(data: bytes, image_format: str) -> int:
    """Return where an AVIF or HEIC ends; bytes may follow that are no part of it. Other formats end with the file.

    Raises ``ValueError``, or what Pillow raises, for a PNG with wrong checksums and an AVIF or HEIC that was cut off:
    their decoders would make do with what is there. The sizes of boxes: ISO/IEC 14496-12, section 4.2.
    """
    if image_format == "png":
        Image.open(io.BytesIO(for_pixels(data)), formats=["PNG"]).verify()
    if image_format not in ("avif", "heic"):
        return len(data)
    at = 0
    while at + 8 <= len(data) and data[at + 4 : at + 8] in BOXES:
        size = int.from_bytes(data[at : at + 4])
        if size == 1:
            size = int.from_bytes(data[at + 8 : at + 16])
        if size == 0:
            return len(data)
        if size < 8 or at + size > len(data):
            raise ValueError("a box reaches beyond the end of the file")
        at += size
    return at


def check_jpeg(data: bytes | mmap.mmap) -> None:
    """Raise ``UndecodableImage`` for a JPEG with so many scans or segments that decoding it would take minutes.

    Bytes between segments are passed over, as libjpeg does it. Files of other formats pass.
    """
    if data[:3] != b"\xff\xd8\xff":
        return
    at, scans, segments = 2, 0, 0
    while (found := _MARKER.search(data, at)) is not None and data[found.start() + 1] != EOI:
        segments += 1
        scans += data[found.start() + 1] == SOS
        if scans > MAX_SCANS or segments > MAX_SEGMENTS:
            raise UndecodableImage(
                f"the JPEG has more than {MAX_SCANS} scans or {MAX_SEGMENTS:,} segments; export it again"
            )
        at = found.end() + max(2, int.from_bytes(data[found.end() : found.end() + 2]))
