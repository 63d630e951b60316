"""The frames of an animated PNG, each as a PNG of its own (PNG, third edition, W3C 2025, section 11.3.2)."""

from __future__ import annotations

import io
import mmap
import struct
from dataclasses import dataclass, field
from functools import partial

from PIL import Image

from mediagate.images.canvas import Animation, Disposal, Part
from mediagate.images.chunks import FRAMES, PNG, chunks, is_intact, transparency, written
from mediagate.images.colour import eight_bit

_DISPOSALS = (Disposal.KEEP, Disposal.CLEAR, Disposal.RESTORE)


@dataclass(slots=True)
class _Frame:
    """A frame control chunk (section 11.3.2.3) and the data that follows it."""

    width: int
    height: int
    left: int
    top: int
    duration_ms: int
    disposal: Disposal
    over: bool
    data: list[memoryview] = field(default_factory=list)


def read(png: bytes | mmap.mmap) -> Animation | None:
    """Return the frames that a PNG is animated with, ``None`` for one that is a still to browsers.

    Frames are read up to the first that is malformed or absent; whether their pixels are whole shows when they are
    loaded.
    """
    frames: list[_Frame] = []
    promised, plays, expected, begun = 0, 0, 0, False
    before: list[bytes | memoryview] = []
    header, colours = bytes(png[16:29]), 0
    size = struct.unpack(">II", header[:8]) if len(header) == 13 else (0, 0)
    for chunk in chunks(png):
        if chunk.type in FRAMES and not is_intact(chunk):
            break
        if chunk.type == b"acTL" and not begun and len(chunk.data) == 8 and not promised:
            promised, plays = struct.unpack(">II", chunk.data)
        elif chunk.type == b"PLTE":
            colours = len(chunk.data) // 3
            before.append(chunk.whole)
        elif chunk.type == b"tRNS":
            before.append(transparency(chunk, header[8], header[9], colours))
        elif chunk.type == b"fcTL":
            frame = _control(chunk.data, expected, size)
            if frame is None or (frames and not frames[-1].data):
                break
            if not begun and (frame.width, frame.height) != size:
                return None  # its pixels are the whole picture's (section 11.3.2.3)
            frames.append(frame)
            expected += 1
        elif chunk.type == b"IDAT":
            begun = True
            if frames:
                frames[0].data.append(chunk.data)
        elif chunk.type == b"fdAT":
            if not frames or int.from_bytes(chunk.data[:4]) != expected or len(chunk.data) < 4:
                break
            frames[-1].data.append(chunk.data[4:])
            expected += 1
    whole = [frame for frame in frames if frame.data][:promised]
    if not whole:
        return None
    parts = [
        Part(
            frame.left,
            frame.top,
            frame.width,
            frame.height,
            partial(_pixels, frame, header, before),
            frame.duration_ms,
            frame.disposal,
            frame.over,
        )
        for frame in whole
    ]
    notes = (f"the animation has {len(parts)} of {promised} frames",) if len(parts) < promised else ()
    return Animation(size, parts, plays, notes)


def _control(data: memoryview, expected: int, canvas: tuple[int, int]) -> _Frame | None:
    if len(data) != 26:
        return None
    number, width, height, left, top, count, per, disposal, blend = struct.unpack(">5I2H2B", data)
    inside = width and height and left + width <= canvas[0] and top + height <= canvas[1]
    if number != expected or not inside or disposal > 2 or blend > 1:
        return None
    return _Frame(width, height, left, top, round(1000 * count / (per or 100)), _DISPOSALS[disposal], blend == 1)


def _pixels(frame: _Frame, header: bytes, before: list[bytes | memoryview]) -> Image.Image:
    """Return a frame with 8 bits a channel."""
    size = struct.pack(">II", frame.width, frame.height)
    parts = [PNG, written(b"IHDR", size + header[8:]), *before, written(b"IDAT", *frame.data), written(b"IEND")]
    with Image.open(io.BytesIO(b"".join(parts)), formats=["PNG"]) as image:
        image.load()
        return eight_bit(image)
