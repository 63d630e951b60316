"""Pictures with a palette."""

from __future__ import annotations

from PIL import Image

from mediagate.images import pixels


def palette_of(image: Image.Image, image_format: str, colours: int) -> Image.Image:
    """Return a picture in mode ``P`` with up to this many colours, without dithering.

    In a GIF a pixel is transparent or not; in a PNG each colour has an alpha. A picture that has no more colours than
    that keeps them.
    """
    if image_format == "gif":
        return pixels.paletted(image, colours)
    if image.mode == "RGBA":
        return image.quantize(colours, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    return image.quantize(colours, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
