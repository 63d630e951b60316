"""The clean aperture of an AVIF: the part of a coded picture that is shown (ISO/IEC 14496-12, section 12.1.4)."""

from __future__ import annotations

import mmap
import struct
from fractions import Fraction

from mediagate.images.pixels.heif_boxes import Box, boxes, of_track
from mediagate.images.pixels.heif_items import Items


def aperture(data: bytes | mmap.mmap, size: tuple[int, int]) -> tuple[int, int]:
    """Return the size of the part that browsers show of an AVIF with pictures of ``size``.

    Browsers crop at the right and at the bottom only, and ignore all other apertures (measured in Chromium 156).
    """
    for name, body in _described(memoryview(data)):
        if name == b"clap" and len(body) >= 32:
            return _cut(struct.unpack(">8i", body[:32]), size)
    return size


def _described(file: memoryview) -> list[Box]:
    """Return the properties of the picture that is shown; if there is a track, its properties count."""
    top: dict[bytes, memoryview] = {}
    for name, body in boxes(file):
        top.setdefault(name, body)
    if bytes(file[8:12]) == b"avis" and b"moov" in top:
        return of_track(top[b"moov"])
    items = Items(file, top.get(b"meta", memoryview(b"")))
    return [] if items.primary is None else items.described(items.primary)


def _cut(numbers: tuple[int, ...], size: tuple[int, int]) -> tuple[int, int]:
    if not all(number > 0 for number in numbers[1::2]):
        return size
    width, height, right, down = (Fraction(*numbers[at : at + 2]) for at in (0, 2, 4, 6))
    left, top = Fraction(size[0]) / 2 + right - width / 2, Fraction(size[1]) / 2 + down - height / 2
    inside = 0 < width <= size[0] and 0 < height <= size[1]
    if left or top or not inside or width.denominator > 1 or height.denominator > 1:
        return size
    return int(width), int(height)
