"""A picture as moderators see it, and the small facts that are read off its pixels."""

from __future__ import annotations

import io
from dataclasses import dataclass

from PIL import Image

from mediagate.images.colour import flattened, opaque
from mediagate.images.resize import within
from mediagate.images.sizes import MODERATED_EDGE

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


def pictures(frame: Image.Image) -> list[PixelPicture]:
    """Return what must be judged of one frame: it, or if it is transparent, it on white and on black."""
    factor = max(frame.size) // MODERATED_EDGE
    small = frame.reduce(factor) if factor > 1 else frame
    backgrounds = BACKGROUNDS[:1] if opaque(small) else BACKGROUNDS
    return [PixelPicture(flattened(small, background)) for background in backgrounds]


def jpeg_of(width: int, height: int, rgb: bytes) -> bytes:
    """Return a picture as a JPEG that holds nothing but its pixels."""
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
