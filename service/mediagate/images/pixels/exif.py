"""EXIF: the orientation, and limits that are checked before anything reads it (TIFF 6.0, section 2; Exif 2.32)."""

from __future__ import annotations

import struct
from typing import Literal

from PIL import Image
from PIL.ExifTags import Base

from mediagate.errors import UndecodableImage

ORIENTATION = int(Base.Orientation)
LONGEST = 1024 * 1024
"""Bytes of EXIF beyond which it is not read: it could hold more than a million entries."""

MAX_TAGS = 6_000
"""Tags in the first list; a JPEG's segment has room for 5,460, and cameras write about 20."""
_PREFIX = b"Exif\0\0"
_TAG_BYTES = 12


def orientation(image: Image.Image) -> int:
    """Return the orientation of the stored picture (Exif 2.32, section 4.6.4); 1, upright, if it cannot be read.

    Only EXIF counts, as in browsers, although XMP may name an orientation too.
    """
    stored = image.info.get("exif") or b""
    if not is_readable(stored):
        return 1
    try:
        exif = Image.Exif()
        exif.load(stored)
        return int(exif.get(ORIENTATION, 1))
    except Exception:
        return 1  # broken EXIF does not affect the pixels


def is_readable(exif: bytes) -> bool:
    """Whether EXIF is small enough to be read."""
    return len(exif) <= LONGEST and not has_many_tags(exif)


def check_tags(exif: bytes) -> None:
    """Raise ``UndecodableImage`` for EXIF with more than ``MAX_TAGS`` tags: reading one takes microseconds."""
    if has_many_tags(exif):
        raise UndecodableImage(f"the picture's EXIF has more than {MAX_TAGS:,} tags; export it again")


def has_many_tags(exif: bytes) -> bool:
    """Whether EXIF has more than ``MAX_TAGS`` tags; unreadable EXIF has none."""
    for _ in range(2):  # some programs write the prefix twice
        exif = exif.removeprefix(_PREFIX)
    orders: dict[bytes, Literal["little", "big"]] = {b"II": "little", b"MM": "big"}
    if (order := orders.get(exif[:2])) is None:
        return False
    at = int.from_bytes(exif[4:8], order)
    count = int.from_bytes(exif[at : at + 2], order)
    return min(count, (len(exif) - at - 2) // _TAG_BYTES) > MAX_TAGS


def exif_of(*, description: str = "", artist: str = "", copyright_text: str = "") -> bytes:
    """Return EXIF with these texts in UTF-8, for a file that is written here (TIFF 6.0, section 2 and page 28)."""
    texts = ((Base.ImageDescription, description), (Base.Artist, artist), (Base.Copyright, copyright_text))
    values = [(int(tag), text.encode() + b"\0") for tag, text in texts if text]
    first = 8 + 2 + _TAG_BYTES * len(values) + 4
    entries, bodies = b"", b""
    for tag, value in values:
        # Up to four bytes lie in the entry itself.
        place = value.ljust(4, b"\0") if len(value) <= 4 else struct.pack("<I", first + len(bodies))
        entries += struct.pack("<HHI", tag, 2, len(value)) + place
        bodies += b"" if len(value) <= 4 else value + b"\0" * (len(value) % 2)
    return _PREFIX + struct.pack("<2sHIH", b"II", 42, 8, len(values)) + entries + bytes(4) + bodies
