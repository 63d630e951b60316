"""The frames of an opened file as browsers play them, under the limits of a source."""

from __future__ import annotations

import io
import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import prod
from typing import IO

from PIL import Image

from mediagate.config import Source
from mediagate.errors import AnimationRefused, ImageTooLarge, MediagateError
from mediagate.images.pixels import apng, gif, webp
from mediagate.images.pixels.aperture import aperture
from mediagate.images.pixels.canvas import Animation, shown_ms
from mediagate.images.pixels.formats import FORMATS, damaged, decodable
from mediagate.images.pixels.png_chunks import PNG, for_pixels
from mediagate.images.pixels.structure import check_frames

ANIMATED = ("webp", "avif")
"""Formats whose further frames are an animation that the decoder composes; in others they are separate pictures."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A file whose header was read, by its decoder or as an animation that is composed here.

    With ``lenient`` an animation ends before its first undecodable frame, unless that is frame 0.
    """

    image: Image.Image
    size: tuple[int, int]
    """The size of a shown frame before it is turned upright."""
    cut: bool = False
    """Whether the decoder's frames are larger than ``size`` and must be cropped."""
    animation: Animation | None = None
    lenient: bool = False
    warnings: list[str] = field(default_factory=list)

    @property
    def format(self) -> str:
        """Mediagate's name of the format."""
        return FORMATS[self.image.format or ""]

    @property
    def plays(self) -> int:
        """How often the animation plays in total; 0 means for ever."""
        return int(self.image.info.get("loop", 0)) if self.animation is None else self.animation.plays

    def count(self, source: Source) -> int:
        """Return the number of frames to decode; raises if the source does not accept them."""
        if self.animation is not None:
            count = len(self.animation.parts)
        elif self.format in ANIMATED and getattr(self.image, "is_animated", False):
            count = int(getattr(self.image, "n_frames", 1))
        else:
            count = 1
        if count == 1 or source.animation == "first_frame":
            self._check(1, source)
            return 1
        if source.animation == "reject":
            raise AnimationRefused("animated pictures are not accepted here; send a still picture")
        check_frames(count, source)
        pixels = self._check(count, source)
        if pixels > source.max_animation_pixels:
            raise ImageTooLarge(
                f"the animation's frames have {pixels:,} pixels; up to {source.max_animation_pixels:,} are accepted"
            )
        return count

    def _check(self, count: int, source: Source) -> int:
        """Return the total pixels of the first frames; a stored frame larger than the canvas counts in full."""
        canvas = prod(self.size)
        if self.animation is None:
            return count * canvas
        for part in self.animation.parts[:count]:
            check_size(part.width, part.height, source)
        return sum(max(canvas, part.width * part.height) for part in self.animation.parts[:count])

    def frames(self, count: int) -> Iterator[tuple[Image.Image, int]]:
        """Yield the first frames, each with its duration in milliseconds; 0 for a still picture."""
        shown = self._decoded(count) if self.animation is None else self.animation.frames(count)
        for number in range(count):
            try:
                frame, stored_ms = next(shown)
            except (MediagateError, MemoryError):
                raise
            except Exception:
                if not number or not self.lenient:
                    raise
                self.warnings.append(f"the animation ends with frame {number}: the next one is damaged")
                return
            yield frame, 0 if count == 1 else shown_ms(stored_ms)

    def _decoded(self, count: int) -> Iterator[tuple[Image.Image, int]]:
        for number in range(count):
            if count > 1:
                self.image.seek(number)
            self.image.load()
            # Decoders draw the next frame into the same picture, so it is copied.
            frame = self.image.crop((0, 0, *self.size)) if self.cut or count > 1 else self.image
            yield frame, round(self.image.info.get("duration") or 0)


def check_size(width: int, height: int, source: Source) -> None:
    """Raise for a picture without pixels, or with too many."""
    if not width * height:
        raise damaged()
    if width * height > source.max_pixels:
        raise ImageTooLarge(f"the picture has {width} x {height} pixels; up to {source.max_pixels:,} are accepted")


@contextmanager
def opened(data: bytes | mmap.mmap, file: IO[bytes], source: Source) -> Iterator[Opened]:
    """Open a picture for its decoder, without the parts that decoders refuse and browsers ignore.

    Raises ``UnidentifiedImageError`` and the errors of decoders.
    """
    animation, lenient = None, source.damaged == "accept"
    if data[: len(PNG)] == PNG:
        # The still in an APNG for programs without animation need not be its first frame.
        animation = None if source.animation == "first_frame" else apng.read(data)
        file = io.BytesIO(for_pixels(data))
    elif data[:6] in gif.GIF:
        read = gif.read(data, lenient=lenient)
        animation = read.animation()
        file = io.BytesIO(gif.head(read))
    elif playable := webp.playable(data, 1 if source.animation == "first_frame" else None, lenient=lenient):
        file = io.BytesIO(playable)
    with Image.open(file, formats=decodable(source.formats)) as image:
        size = aperture(data, image.size) if image.format == "AVIF" else image.size
        yield Opened(image, size, size != image.size, animation, lenient, animation.warnings if animation else [])
