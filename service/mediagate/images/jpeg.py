"""JPEG originals without a second generation: the coded picture is copied, whatever else the file carries is not.

The structure is that of ITU-T T.81, annex B; JFIF's header that of ECMA TR/98.
"""

from __future__ import annotations

import re
import struct

SOI, EOI, SOS = 0xD8, 0xD9, 0xDA
DQT, DHT, DRI = 0xDB, 0xC4, 0xDD
SOF = (0xC0, 0xC1, 0xC2)
"""Baseline, extended and progressive with Huffman codes: what browsers show."""
APP0, APP1, APP2, APP14 = 0xE0, 0xE1, 0xE2, 0xEE
DROPPED = (*range(APP0, 0xF0), 0xFE)
"""Application data, which is metadata but for JFIF's and Adobe's headers, and comments."""
JFIF = b"JFIF\0"
ADOBE = b"Adobe"
ICC = b"ICC_PROFILE\0"
ICC_CHUNK = 65519
"""Most bytes of a profile in one segment (ICC.1:2022, annex B.4)."""
MAX_SCANS = 64
"""Encoders write up to some 15; each further one costs every viewer another pass over the picture."""

_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
"""What ends coded data: there, a byte 0xFF is followed by 0, or by the number of a restart marker."""
_MARKUP = re.compile(rb"<\?(?:php|=)[\t\n\r -~]{4}|<script|<html|<svg|<!doctype", re.IGNORECASE)
"""What another program might take for its own, were it to read the coded bytes as text."""


def bare(data: bytes) -> bytes | None:
    """Return a JPEG's first picture alone: headers that say how to read it, tables, coded data.

    ``None`` for what should rather be written anew from its pixels: a kind that browsers do not show (arithmetic
    coding, lossless, four colours, 12 bits), a structure that is not wholly understood, a file that lacks its end, or
    one whose coded bytes look like a script.
    """
    kept = [b"\xff\xd8"]
    scans, at = 0, 2
    while (found := _segment(data, at)) is not None:
        marker, start, end = found
        content = data[start:end]
        if marker == EOI:
            kept.append(b"\xff\xd9")
            picture = b"".join(kept)
            return picture if scans and not suspicious(picture) else None
        if marker == SOS:
            scans += 1
            following = _MARKER.search(data, end)
            if following is None or scans > MAX_SCANS:
                return None
            kept.append(_written(marker, content))
            kept.append(data[end : following.start()])
            end = following.start()
        elif (wanted := _wanted(marker, content)) is not None:
            kept.append(_written(marker, wanted))
        elif marker not in DROPPED:
            return None
        at = end
    return None


def suspicious(picture: bytes) -> bool:
    """Whether a JPEG's bytes look like a script: an attacker chooses its tables and its coded data at will."""
    return _MARKUP.search(picture) is not None


def dressed(picture: bytes, *, orientation: int = 1, icc: bytes | None = None) -> bytes:
    """Return a bare picture with its orientation, if it is not upright, and its colour profile."""
    segments = []
    if orientation != 1:
        # A TIFF header and one directory with one entry: tag 0x0112, a short, once (Exif 2.32, sections 4.5.2, 4.6.4).
        entry = struct.pack(">HHIHH", 0x0112, 3, 1, orientation, 0)
        segments.append(_written(APP1, b"Exif\0\0MM\0*\0\0\0\x08\0\x01" + entry + bytes(4)))
    if icc is not None:
        chunks = [icc[start : start + ICC_CHUNK] for start in range(0, len(icc), ICC_CHUNK)]
        for number, chunk in enumerate(chunks, 1):
            segments.append(_written(APP2, ICC + bytes((number, len(chunks))) + chunk))
    head = _segment(picture, 2)
    # JFIF wants to be first of all.
    at = head[2] if head is not None and head[0] == APP0 else 2
    return b"".join((picture[:at], *segments, picture[at:]))


def _segment(data: bytes, at: int) -> tuple[int, int, int] | None:
    """Return the marker at a place, and where what belongs to it starts and ends; ``None`` if there is none."""
    if data[at : at + 1] != b"\xff":
        return None
    while data[at : at + 1] == b"\xff":  # any number of these may stand before a marker
        at += 1
    if at >= len(data):
        return None
    marker = data[at]
    if marker == EOI:
        return marker, at + 1, at + 1
    size = int.from_bytes(data[at + 1 : at + 3])
    if size < 2 or at + 1 + size > len(data):
        return None
    return marker, at + 3, at + 1 + size


def _wanted(marker: int, content: bytes) -> bytes | None:
    """Return what is copied of a segment, or ``None``."""
    if marker == APP0 and content.startswith(JFIF) and len(content) >= 14:
        return content[:12] + bytes(2)  # its thumbnail has no pixels
    if marker == APP14 and content.startswith(ADOBE) and len(content) == 12:
        return content  # says which colours the three components are
    if marker in SOF:
        fits = len(content) >= 6 and content[0] == 8 and content[5] in (1, 3) and len(content) == 6 + 3 * content[5]
        return content if fits else None
    if marker == DRI:
        return content if len(content) == 2 else None
    if marker in (DQT, DHT):
        return content if _is_tables(marker, content) else None
    return None


def _is_tables(marker: int, content: bytes) -> bool:
    """Whether the segment is filled by its tables to the last byte."""
    at = 0
    while at < len(content):
        if marker == DQT:
            at += 129 if content[at] >> 4 else 65
        else:
            at += 17 + sum(content[at + 1 : at + 17])
    return at == len(content) > 0


def _written(marker: int, content: bytes) -> bytes:
    return bytes((0xFF, marker)) + (len(content) + 2).to_bytes(2) + content
