"""The frames of an animated PNG, each as a PNG of its own (PNG, third edition, W3C 2025, section 11.3.2)."""

from __future__ import annotations

import io
import mmap
import struct
from dataclasses import dataclass, field
from functools import partial

from PIL import Image

from mediagate.images.pixels.canvas import Animation, Disposal, Part
from mediagate.images.pixels.colour import eight_bit
from mediagate.images.pixels.png_chunks import PNG, Chunk, chunks, is_intact, palette, transparency, written
from mediagate.images.pixels.rows import check_pixels

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
    """Return the animation of a PNG, ``None`` for a PNG that browsers show as a still.

    Frames are read up to the first malformed or missing one. Whether their pixels are complete is checked when they are
    loaded.
    """
    header = bytes(png[16:29])
    if len(header) < 13:
        return None
    reader = _Reader(header)
    for chunk in chunks(png):
        if not reader.read(chunk):
            break
    return reader.animation()


class _Reader:
    """Collects frames, one chunk at a time."""

    def __init__(self, header: bytes) -> None:
        self._header = header
        self._size = int.from_bytes(header[:4]), int.from_bytes(header[4:8])
        self._frames: list[_Frame] = []
        self._before: list[bytes | memoryview] = []
        """The chunks to write before the pixels of each frame."""
        self._promised, self._plays, self._expected, self._colours = 0, 0, 0, 0
        self._begun = False

    def read(self, chunk: Chunk) -> bool:
        """Process a chunk; ``False``: the following chunks are not shown."""
        match chunk.type:
            case b"acTL" | b"fcTL" | b"fdAT" if not is_intact(chunk):
                return False
            case b"acTL" if not self._begun and len(chunk.data) == 8 and not self._promised:
                self._promised, self._plays = struct.unpack(">II", chunk.data)
            case b"PLTE":
                self._colours = len(chunk.data) // 3
                self._before.append(palette(chunk, self._header[8]))
            case b"tRNS":
                self._before.append(transparency(chunk, self._header[8], self._header[9], self._colours))
            case b"fcTL":
                return self._begin(chunk.data)
            case b"IDAT":
                self._begun = True
                if self._frames:
                    self._frames[0].data.append(chunk.data)
            case b"fdAT":
                if not self._frames or not self._follows(chunk.data[:4]):
                    return False
                self._frames[-1].data.append(chunk.data[4:])
        return True

    def animation(self) -> Animation | None:
        """Return the animation that was read, ``None`` for a still."""
        whole = [frame for frame in self._frames if frame.data][: self._promised]
        if not whole:
            return None
        parts = [
            Part(
                frame.left,
                frame.top,
                frame.width,
                frame.height,
                partial(_pixels, frame, self._header, self._before),
                frame.duration_ms,
                frame.disposal,
                frame.over,
            )
            for frame in whole
        ]
        lacks = len(parts) < self._promised
        notes = [f"the animation has {len(parts)} of {self._promised:,} frames"] if lacks else []
        return Animation(self._size, parts, self._plays, notes)

    def _begin(self, data: memoryview) -> bool:
        frame = _control(data, self._size)
        if frame is None or not self._follows(data[:4]) or (self._frames and not self._frames[-1].data):
            return False
        # A frame that shares its pixels with the whole picture must have its size (section 11.3.2.3).
        if not self._begun and (frame.width, frame.height) != self._size:
            return False
        self._frames.append(frame)
        return True

    def _follows(self, number: memoryview) -> bool:
        """Whether a sequence number is the next one (section 11.3.2.1)."""
        self._expected += 1
        return len(number) == 4 and int.from_bytes(number) == self._expected - 1


def _control(data: memoryview, canvas: tuple[int, int]) -> _Frame | None:
    if len(data) != 26:
        return None
    _, width, height, left, top, count, per, disposal, blend = struct.unpack(">5I2H2B", data)
    inside = width and height and left + width <= canvas[0] and top + height <= canvas[1]
    if not inside or disposal > 2 or blend > 1:
        return None
    return _Frame(width, height, left, top, round(1000 * count / (per or 100)), _DISPOSALS[disposal], blend == 1)


def _pixels(frame: _Frame, header: bytes, before: list[bytes | memoryview]) -> Image.Image:
    """Return a frame with 8 bits a channel."""
    size = struct.pack(">II", frame.width, frame.height)
    parts = [PNG, written(b"IHDR", size + header[8:]), *before, written(b"IDAT", *frame.data), written(b"IEND")]
    png = b"".join(parts)
    with Image.open(io.BytesIO(png), formats=["PNG"]) as image:
        image.load()
        check_pixels(png, image)
        return eight_bit(image)
