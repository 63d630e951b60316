"""Pages that lie on a side or upside down: found by what an engine reads, since the score of wrong turns is low."""

from __future__ import annotations

from collections.abc import Callable

from PIL import Image

from mediagate.images.operations.ocr.reading import Page

SURE = 0.85
"""Mean score from which a page counts as read from the right side: those reach 0.95 to 0.99, upside-down ones 0.7."""
ENOUGH = 0.5
"""Share of the letters of the first try that a better one must have at least."""
TURNS = {90: Image.Transpose.ROTATE_270, 180: Image.Transpose.ROTATE_180}
"""How Pillow turns a picture clockwise."""


def read_upright(read: Callable[[Image.Image], Page], image: Image.Image) -> tuple[Page, int]:
    """Return what is read in a picture, and by how many degrees it must be turned clockwise to be upright.

    Engines read lines that run downwards as well as level ones; such a page needs a turn to the left. A page whose
    score is low is turned to the right if its lines are upright, and upside down otherwise, and read once more.
    """
    first = read(image)
    if first.letters == 0:
        return first, 0
    if first.score >= SURE:
        return first, 270 if first.sideways else 0
    other = 90 if first.sideways else 180
    page = read(image.transpose(TURNS[other]))
    if page.score <= first.score or page.letters < first.letters * ENOUGH:
        return first, 0
    size = image.size if other == 180 else image.size[::-1]
    return page.turned(-other, size), other
