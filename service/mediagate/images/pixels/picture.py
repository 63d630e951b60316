"""A picture as moderators see it, and small properties of its pixels."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageChops

from mediagate.images.pixels.colour import opaque
from mediagate.images.pixels.resize import within

WHITE, GREY = 255, 128
"""Backgrounds in addition to black; content visible on only one of the three would otherwise escape moderation."""
LOOKS = 5
"""The most looks of a transparent frame: one on each background, and two without its alpha."""
ROUNDING = 2
"""Pictures that differ by at most this many levels are equal: they were rounded in a different order."""


@dataclass(frozen=True, slots=True)
class PixelPicture:
    """One opaque upright picture in sRGB."""

    image: Image.Image

    @property
    def width(self) -> int:
        """Pixels across."""
        return self.image.width

    @property
    def height(self) -> int:
        """Pixels down."""
        return self.image.height

    def resized(self, width: int, height: int) -> PixelPicture:
        """Return the picture stretched to exactly this size (bilinear with antialiasing)."""
        return PixelPicture(self.image.resize((width, height), Image.Resampling.BILINEAR))

    def rgb(self) -> bytes:
        """Return ``height x width x 3`` bytes, row by row."""
        return self.image.tobytes()


def looks(frame: Image.Image, box: tuple[int, int, int, int], edge: int) -> list[Image.Image]:
    """Return the looks of a box of a frame, reduced to at most ``edge`` pixels: ``RGB`` pictures of one size.

    An opaque box has one look. Others have five: on white, on black, on grey 128, and twice as in software that ignores
    alpha. Of these two, one discards alpha before reducing, the other after it, as variants do, which weights colours
    by their alpha. Equal looks may be the same object: a box that is black where it is transparent hides nothing.
    """
    if frame.mode != "RGBA":
        return [_reduced(frame, box, edge)]
    part = frame if box == (0, 0, *frame.size) else frame.crop(box)
    whole = (0, 0, *part.size)
    alpha = part.getchannel("A")
    opacity = _reduced(alpha, whole, edge)
    clear = ImageChops.invert(opacity)
    # One channel at a time: copies of all channels would take several times the memory of the frame.
    bare, black = [], []
    for name in "RGB":
        channel = part.getchannel(name)
        bare.append(_reduced(channel, whole, edge))
        black.append(_reduced(ImageChops.multiply(channel, alpha), whole, edge))
    without_alpha, on_black = Image.merge("RGB", bare), Image.merge("RGB", black)
    if alpha.getextrema()[0] == 255:
        return [without_alpha]
    on_white, on_grey = (
        Image.merge("RGB", [ImageChops.add(channel, clear.point(_share_of(level))) for channel in black])
        for level in (WHITE, GREY)
    )
    difference = ImageChops.difference(without_alpha, on_black).getextrema()
    same = all(isinstance(channel, tuple) and channel[1] <= ROUNDING for channel in difference)
    weighted = Image.merge("RGBa", [*black, opacity]).convert("RGBA").convert("RGB")
    return [on_white, on_black, on_grey, on_black if same else without_alpha, weighted]


def count_looks(frame: Image.Image) -> int:
    """Return the most distinct ``looks`` that a frame has: 1 if it is opaque, 4 if its alpha is only 0 or 255."""
    if opaque(frame):
        return 1
    return LOOKS if sum(frame.getchannel("A").histogram()[1:255]) else LOOKS - 1


def mean(pictures: Sequence[Image.Image], weights: Sequence[float]) -> Image.Image:
    """Return the weighted mean of pictures of one size."""
    result, total = pictures[0], weights[0]
    for picture, weight in zip(pictures[1:], weights[1:], strict=True):
        total += weight
        result = Image.blend(result, picture, weight / total)
    return result


def _share_of(level: int) -> list[int]:
    """Return for each alpha the contribution of a background of this level to a colour."""
    return [round(clear * level / 255) for clear in range(256)]


def _reduced(image: Image.Image, box: tuple[int, int, int, int], edge: int) -> Image.Image:
    """Return a box of the picture reduced to at most ``edge``: a box filter by a whole factor, then bilinear."""
    width, height = box[2] - box[0], box[3] - box[1]
    scale = edge / max(width, height)
    if scale >= 1:
        return image if box == (0, 0, *image.size) else image.crop(box)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return image.resize(size, Image.Resampling.BILINEAR, box=box, reducing_gap=1.0)


def jpeg_of(width: int, height: int, rgb: bytes) -> bytes:
    """Return a picture as a JPEG without metadata."""
    file = io.BytesIO()
    Image.frombytes("RGB", (width, height), rgb).save(file, "JPEG", quality=90)
    return file.getvalue()


def dominant_color(image: Image.Image) -> str:
    """Return the most frequent colour of the opaque pixels as ``#rrggbb`` (median cut into eight colours)."""
    seen = within(image, 32)
    if seen.mode == "RGBA":
        pixels = seen.tobytes()
        shown = b"".join(pixels[at : at + 3] for at in range(0, len(pixels), 4) if pixels[at + 3] >= 128)
        if not shown:
            return "#ffffff"
        seen = Image.frombytes("RGB", (len(shown) // 3, 1), shown)
    colours = seen.quantize(8, Image.Quantize.MEDIANCUT)
    counts = colours.histogram()
    index = counts.index(max(counts))
    red, green, blue = (colours.getpalette() or [])[3 * index : 3 * index + 3]
    return f"#{red:02x}{green:02x}{blue:02x}"
