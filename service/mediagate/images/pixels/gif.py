"""The blocks of a GIF, and its frames as browsers play them (GIF89a, 1990)."""

from __future__ import annotations

import io
import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple

from PIL import Image, ImageChops, ImageFile

from mediagate.images.pixels.canvas import Animation, Disposal, Part, shown_ms

GIF = (b"GIF87a", b"GIF89a")
"""The signatures of a GIF (section 17)."""
_EXTENSION, _IMAGE, _TRAILER = 0x21, 0x2C, 0x3B
_CONTROL, _COMMENT, _APPLICATION = 0xF9, 0xFE, 0xFF
"""Labels of extensions (appendix A)."""
_LOOPS = (b"NETSCAPE2.0", b"ANIMEXTS1.0")
_DISPOSALS = {2: Disposal.CLEAR, 3: Disposal.RESTORE, 4: Disposal.RESTORE}
"""By their number (section 23); browsers treat 4 like 3."""
_COLOURS = 256
_LONGEST_EDGE = 65535
_INTERLACED, _HAS_PALETTE = 0x40, 0x80
_PLAIN_PALETTE = bytes(3 * _COLOURS)


@dataclass(slots=True)
class _Control:
    """A graphic control extension (section 23)."""

    duration_ms: int = 0
    disposal: Disposal = Disposal.KEEP
    transparent: int | None = None


@dataclass(slots=True)
class Gif:
    """The content of a file, as far as it is intact."""

    lenient: bool
    size: tuple[int, int]
    parts: list[Part] = field(default_factory=list)
    plays: int = 1
    has_comment: bool = False
    warnings: list[str] = field(default_factory=list)
    cut: bool = False
    """Whether the file ends within a block, or continues with other data."""
    begun: bool = False
    """Whether a frame has been seen."""

    def animation(self) -> Animation:
        """Return the frames."""
        if self.cut:
            self.warnings.append("the GIF is truncated, or followed by other data")
        return Animation(self.size, self.parts, self.plays, self.warnings)


class _Reader:
    """Reads the bytes of a file from the first block on; raises ``IndexError`` at the end."""

    def __init__(self, data: bytes | mmap.mmap, at: int) -> None:
        self._data, self.at = data, at

    def byte(self) -> int:
        self.at += 1
        return self._data[self.at - 1]

    def take(self, size: int) -> bytes:
        taken = self._data[self.at : self.at + size]
        if len(taken) < size:
            raise IndexError("the file is truncated")
        self.at += size
        return taken

    def blocks(self) -> Iterator[bytes]:
        """Yield data blocks up to the empty one (section 15)."""
        while size := self.byte():
            yield self.take(size)

    def skip_blocks(self) -> None:
        """Skip data blocks and the empty one that ends them."""
        data, at, end = self._data, self.at, len(self._data)
        while at < end and (size := data[at]):
            at += 1 + size
        self.at = at + 1
        if self.at > end:
            raise IndexError("the file is truncated")


def read(data: bytes | mmap.mmap, *, lenient: bool = False) -> Gif:
    """Return the frames of a GIF whose signature has been checked.

    Skips frames without pixels; if ``lenient``, missing pixels are transparent. Raises ``ValueError`` if the header is
    truncated or there is no frame.
    """
    if len(data) < 13:
        raise ValueError("the header is truncated")
    gif = Gif(lenient, (int.from_bytes(data[6:8], "little"), int.from_bytes(data[8:10], "little")))
    reader, palette = _Reader(data, 13), b""
    try:
        if data[10] & _HAS_PALETTE:
            palette = reader.take(3 << (data[10] & 7) + 1)
        control = _Control()
        while reader.at < len(data) and (block := reader.byte()) != _TRAILER:
            if block == _EXTENSION:
                control = _read_extension(reader, gif, control)
            elif block == _IMAGE:
                _read_image(data, reader, gif, control, palette)
                control = _Control()
            else:
                raise IndexError("unknown block")
    except IndexError:
        gif.cut = True
    if not gif.parts or max(gif.size) > _LONGEST_EDGE:
        raise ValueError("there is no frame, or its size exceeds every canvas")
    return gif


def head(gif: Gif) -> bytes:
    """Return a GIF of the same canvas with one pixel, and with an empty comment where the file has one."""
    words = b"\x21\xfe\1 \0" if gif.has_comment else b""
    return _file(gif.size, (1, 1), words, False, b"\2\2\x4c\1\0")


def _read_extension(reader: _Reader, gif: Gif, control: _Control) -> _Control:
    label = reader.byte()
    if label == _CONTROL:
        for block in reader.blocks():
            if len(block) >= 4:
                control = _Control(
                    int.from_bytes(block[1:3], "little") * 10,
                    _DISPOSALS.get(block[0] >> 2 & 7, Disposal.KEEP),
                    block[3] if block[0] & 1 else None,
                )
    elif label == _APPLICATION:
        blocks = reader.blocks()
        name = next(blocks, b"")
        for block in blocks:
            if name in _LOOPS and len(block) >= 3 and block[0] & 7 == 1:
                repeats = int.from_bytes(block[1:3], "little")  # after the first play; 0 means for ever
                gif.plays = repeats + 1 if repeats else 0
    else:
        gif.has_comment |= label == _COMMENT
        reader.skip_blocks()
    return control


def _read_image(data: bytes | mmap.mmap, reader: _Reader, gif: Gif, control: _Control, palette: bytes) -> None:
    """Read one frame (section 20)."""
    descriptor = reader.take(9)
    left, top, width, height = (int.from_bytes(descriptor[at : at + 2], "little") for at in (0, 2, 4, 6))
    if descriptor[8] & _HAS_PALETTE:
        palette = reader.take(3 << (descriptor[8] & 7) + 1)
    start = reader.at
    if not gif.begun:
        # Browsers enlarge the canvas for the first frame and clip later ones.
        gif.size = max(gif.size[0], left + width), max(gif.size[1], top + height)
        gif.begun = True
    try:
        reader.byte()
        reader.skip_blocks()
    finally:
        if not width * height:
            # Browsers extend the previous frame by the duration of a frame without pixels.
            if gif.parts:
                longer = shown_ms(gif.parts[-1].duration_ms) + shown_ms(control.duration_ms)
                gif.parts[-1] = replace(gif.parts[-1], duration_ms=longer)
        else:
            coded = _Coded(data, start, reader.at, (width, height), bool(descriptor[8] & _INTERLACED))
            load = partial(_pixels, coded, palette, control.transparent, gif.warnings if gif.lenient else None)
            gif.parts.append(Part(left, top, width, height, load, control.duration_ms, control.disposal))


class _Coded(NamedTuple):
    """The position of a frame's coded indices in a file."""

    data: bytes | mmap.mmap
    start: int
    end: int
    size: tuple[int, int]
    interlaced: bool


def _pixels(coded: _Coded, palette: bytes, transparent: int | None, lenient: list[str] | None) -> Image.Image:
    """Return a frame in ``RGB``, or in ``RGBA`` if parts are transparent; indices without a colour are black.

    Raises ``OSError`` where pixels are missing; if ``lenient`` is a list, a warning is added to it instead.
    """
    colours = palette[: 3 * _COLOURS].ljust(3 * _COLOURS, b"\0")
    try:
        indices = _indices(coded)
    except OSError:
        if lenient is None:
            raise
        lenient.append("pixels of the GIF are missing")
        return _pixels_there(coded, colours, transparent)
    if transparent is None:
        indices.putpalette(colours)
        return indices.convert("RGB")
    alpha = bytearray(b"\xff" * _COLOURS)
    alpha[transparent] = 0
    indices.putpalette(b"".join(bytes((*colours[3 * at : 3 * at + 3], alpha[at])) for at in range(_COLOURS)), "RGBA")
    return indices.convert("RGBA")


def _indices(coded: _Coded, fill: int | None = None) -> Image.Image:
    """Return the indices of a frame; ``fill`` replaces unreadable ones."""
    control = b"" if fill is None else b"\x21\xf9\4\1\0\0" + bytes((fill, 0))
    # A palette that is not grey makes Pillow return indices.
    file = _file(coded.size, coded.size, control, coded.interlaced, coded.data[coded.start : coded.end])
    with Image.open(io.BytesIO(file), formats=["GIF"]) as image:
        image.load()
        image.info = {}
        return image


def _pixels_there(coded: _Coded, colours: bytes, transparent: int | None) -> Image.Image:
    """Return a partly readable frame: pixels that change with the fill are missing."""
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    try:
        one, other = (_indices(coded, fill) for fill in (0, 1))
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = False
    there = ImageChops.difference(*(_plain(each) for each in (one, other))).point([255] + [0] * 255)
    if transparent is not None:
        shown = _plain(one).point([0 if index == transparent else 255 for index in range(_COLOURS)])
        there = ImageChops.multiply(there, shown)
    one.putpalette(colours)
    image = one.convert("RGB")
    image.putalpha(there)
    return image


def _plain(indices: Image.Image) -> Image.Image:
    """Return indices as grey."""
    return Image.frombytes("L", indices.size, indices.tobytes())


def _file(canvas: tuple[int, int], size: tuple[int, int], before: bytes, interlaced: bool, coded: bytes) -> bytes:
    """Return a GIF of one frame in the upper left corner, in a palette of black."""
    screen = struct.pack("<HHBBB", *canvas, _HAS_PALETTE | 0x77, 0, 0)
    descriptor = b"," + struct.pack("<HHHHB", 0, 0, *size, _INTERLACED if interlaced else 0)
    return b"GIF89a" + screen + _PLAIN_PALETTE + before + descriptor + coded + b";"
