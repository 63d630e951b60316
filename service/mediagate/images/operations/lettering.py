"""Text as a picture, in the font that Pillow brings or in a file of the operator."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from PIL.ImageFont import FreeTypeFont

from mediagate.errors import ConfigError
from mediagate.images.operations.parameters import rgba

MEASURED = 100
"""Size of the letters that are measured, in pixels."""
SMALLEST, LARGEST = 4, 2000
"""Sizes of letters in pixels."""
NO_LETTER = "\U0010fffe"
"""A character that no font has."""


def lettered(text: str, width: int, colour: str, path: Path | None = None) -> Image.Image:
    """Return a text about ``width`` pixels wide, as ``RGBA`` without margins."""
    left, _, right, _ = font(MEASURED, path).getbbox(text)
    size = min(LARGEST, max(SMALLEST, round(MEASURED * width / max(1, right - left))))
    box = font(size, path).getbbox(text)
    red, green, blue, alpha = rgba(colour)
    made = Image.new("RGBA", (max(1, round(box[2] - box[0])), max(1, round(box[3] - box[1]))), (red, green, blue, 0))
    ImageDraw.Draw(made).text((-box[0], -box[1]), text, (red, green, blue, alpha), font(size, path))
    return made


def unknown_letters(text: str, path: Path | None = None) -> list[str]:
    """Return the letters that the font draws as an empty box."""
    letters = font(MEASURED, path)
    nothing = bytes(letters.getmask(NO_LETTER))
    return [
        letter for letter in dict.fromkeys(text) if not letter.isspace() and bytes(letters.getmask(letter)) == nothing
    ]


@lru_cache(maxsize=8)
def font(size: int, path: Path | None = None) -> FreeTypeFont:
    """Return a font, without ``path`` Pillow's own; raises ``ConfigError`` if Pillow was built without FreeType."""
    found = ImageFont.load_default(size) if path is None else ImageFont.truetype(path, size)
    if not isinstance(found, FreeTypeFont):
        raise ConfigError("Pillow was built without FreeType, which text needs: install a wheel from PyPI")
    return found
