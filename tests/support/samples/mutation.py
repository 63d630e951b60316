"""Mutants of files: their bytes, or the segments, chunks, blocks and boxes that they consist of."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from itertools import pairwise
from random import Random

PNG_SIGNATURE = 8
RIFF_HEAD = 12
MOST = 6
"""Changes to one file."""


def mutant(data: bytes, image_format: str, others: Sequence[bytes], random: Random) -> bytes:
    """Return a file with a few changes; ``others`` are files of its format whose parts may get into it."""
    if random.random() < 0.35:
        return _changed_bytes(data, random)
    cut = parts(data, image_format)
    if len(cut) < 3:
        return _changed_bytes(data, random)
    for _ in range(random.randint(1, 3)):
        at = random.randrange(1, len(cut))
        match random.randrange(6):
            case 0:
                del cut[at]
            case 1:
                cut.insert(random.randrange(1, len(cut)), cut[at])
            case 2:
                to = random.randrange(1, len(cut))
                cut[at], cut[to] = cut[to], cut[at]
            case 3:
                foreign = parts(random.choice(others), image_format)
                cut.insert(at, random.choice(foreign[1:] or foreign))
            case 4:
                foreign = parts(random.choice(others), image_format)
                cut[at] = random.choice(foreign[1:] or foreign)
            case _:
                cut[at] = _changed_bytes(cut[at], random, few=True)
        if len(cut) < 2:
            break
    return _joined(cut, image_format, random)


def parts(data: bytes, image_format: str) -> list[bytes]:
    """Cut a file where its structure says; joined they are the file."""
    match image_format:
        case "jpeg":
            cuts = _jpeg_cuts(data)
        case "png":
            cuts = _chunk_cuts(data, PNG_SIGNATURE, ">I", size_first=True, extra=12)
        case "webp":
            cuts = _chunk_cuts(data, RIFF_HEAD, "<I", size_first=False, extra=8)
        case "gif":
            cuts = [
                at for at in range(13, len(data)) if data[at : at + 1] in (b"!", b",") and data[at - 1 : at] == b"\0"
            ]
        case _:
            cuts = _chunk_cuts(data, 0, ">I", size_first=True, extra=0)
    edges = [0, *sorted({at for at in cuts if 0 < at < len(data)}), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


def _joined(cut: list[bytes], image_format: str, random: Random) -> bytes:
    if image_format == "png" and random.random() < 0.9:
        # Else the checksum alone would decide over most of them.
        cut = [cut[0], *(_checked(part) for part in cut[1:])]
    data = b"".join(cut)
    if image_format == "webp" and random.random() < 0.9:
        data = data[:4] + struct.pack("<I", max(0, len(data) - 8)) + data[8:]
    return data


def _checked(part: bytes) -> bytes:
    if len(part) < 12:
        return part
    body = part[4:-4]
    return struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))


def _jpeg_cuts(data: bytes) -> list[int]:
    cuts, at = [2], 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        at += 2 + int.from_bytes(data[at + 2 : at + 4])
        cuts.append(at)
        while at + 1 < len(data) and not (data[at] == 0xFF and data[at + 1] not in (0, *range(0xD0, 0xD8))):
            at += 1
        cuts.append(at)
    return cuts


def _chunk_cuts(data: bytes, start: int, order: str, *, size_first: bool, extra: int) -> list[int]:
    cuts, at = [start], start
    while at + 8 <= len(data):
        size = struct.unpack_from(order, data, at if size_first else at + 4)[0]
        at += max(8, size + extra + (0 if size_first else size % 2))
        cuts.append(at)
    return cuts


def _changed_bytes(data: bytes, random: Random, *, few: bool = False) -> bytes:
    changed = bytearray(data)
    for _ in range(random.randint(1, 2 if few else MOST)):
        if not changed:
            break
        # Headers decide more than data does, so that half of the changes are near the start.
        at = random.randrange(min(len(changed), 200) if random.random() < 0.5 else len(changed))
        match random.randrange(5):
            case 0:
                changed[at] = random.choice((0, 1, 0x7F, 0x80, 0xFF))
            case 1:
                changed[at] ^= 1 << random.randrange(8)
            case 2:
                changed[at] = random.randrange(256)
            case 3:
                del changed[at : at + random.choice((1, 2, 4, 100))]
            case _:
                changed[at:at] = random.randbytes(random.choice((1, 2, 4, 50)))
    return bytes(changed)
