"""A picture as moderators see it, and the small facts that are read off its pixels."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image

from mediagate.images.colour import flattened, is_transparent
from mediagate.images.resize import within

EDGE = 1280
"""A moderator is given a picture halved, cut to a third … until its longer edge would fall below this many pixels."""
BACKGROUNDS = ((255, 255, 255), (0, 0, 0))
"""What shows only on one of these would else pass unseen."""


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


def pictures(image: Image.Image) -> list[PixelPicture]:
    """Return what must be judged of one frame: it, or if it is transparent, it on white and on black."""
    small = image.reduce(max(1, max(image.size) // EDGE))
    backgrounds = BACKGROUNDS if is_transparent(small) else BACKGROUNDS[:1]
    return [PixelPicture(flattened(small, background)) for background in backgrounds]


def dominant_color(image: Image.Image) -> str:
    """Return the most frequent colour of the opaque pixels as ``#rrggbb`` (median cut into eight colours)."""
    pixels = within(image, 64).convert("RGBA").tobytes()
    opaque = b"".join(pixels[at : at + 3] for at in range(0, len(pixels), 4) if pixels[at + 3] >= 128)
    if not opaque:
        return "#ffffff"
    strip = Image.frombytes("RGB", (len(opaque) // 3, 1), opaque).quantize(8, Image.Quantize.MEDIANCUT)
    counts = strip.getcolors() or []
    index = max(counts)[1]
    palette = strip.getpalette() or []
    red, green, blue = palette[3 * int(index) : 3 * int(index) + 3]  # type: ignore[call-overload]  # an index, not a colour
    return f"#{red:02x}{green:02x}{blue:02x}"
