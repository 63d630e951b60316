"""The limit of EXIF tags, checked before anything reads them (TIFF 6.0, section 2; Exif 2.32, section 4.6.2)."""

from __future__ import annotations

from typing import Literal

from mediagate.errors import UndecodableImage

MAX_TAGS = 6_000
"""Tags in the first list; a JPEG's segment has room for 5,460, and cameras write about 20."""
_PREFIX = b"Exif\0\0"
_TAG_BYTES = 12


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
