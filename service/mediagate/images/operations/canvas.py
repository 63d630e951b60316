"""Backgrounds behind pictures, for operations that add pixels."""

from __future__ import annotations

from PIL import Image

from mediagate.images.operations.frames import Frames
from mediagate.images.operations.parameters import Position, offset, rgba


def placed(frames: Frames, size: tuple[int, int], at: Position | tuple[int, int], background: str) -> Frames:
    """Return the frames on a plain canvas, at a named position or with their top left corner at a point.

    The canvas must hold all of a frame.
    """
    left_top = offset(at, frames.size, size) if isinstance(at, str) else at
    if frames.size == size and left_top == (0, 0):
        return frames
    colour = rgba(background)
    opaque = colour[3] == 255 and not frames.has_alpha
    return frames.each(lambda image: _on_canvas(image, size, left_top, colour[:3] if opaque else colour))


def behind(image: Image.Image, background: str) -> Image.Image:
    """Return the picture with a colour behind it; with alpha unless the colour is opaque."""
    colour = rgba(background)
    if image.mode != "RGBA" or colour[3] == 0:
        return image
    plain = Image.new("RGBA", image.size, colour)
    plain.alpha_composite(image)
    return plain.convert("RGB") if colour[3] == 255 else plain


def _on_canvas(
    image: Image.Image, size: tuple[int, int], left_top: tuple[int, int], colour: tuple[int, ...]
) -> Image.Image:
    canvas = Image.new("RGB" if len(colour) == 3 else "RGBA", size, colour)
    if canvas.mode == "RGB" or image.mode == "RGB":
        canvas.paste(image, left_top)
    else:
        canvas.alpha_composite(image, left_top)
    return canvas
