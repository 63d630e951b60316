"""Pages that lie on a side or upside down: found by what an engine reads, since the score of wrong turns is low."""

from __future__ import annotations

from collections.abc import Callable

from PIL import Image

from mediagate.images.operations.ocr.reading import Page

SURE = 0.85
"""Mean score from which a page counts as upright: upright pages reach 0.95 to 0.99, upside-down ones 0.7."""
ENOUGH = 0.5
"""Share of the letters of the first try that a better one must have at least."""
TURNS = {
    90: Image.Transpose.ROTATE_270,
    180: Image.Transpose.ROTATE_180,
    270: Image.Transpose.ROTATE_90,
}
"""How Pillow turns a picture clockwise."""


def read_upright(read: Callable[[Image.Image], Page], image: Image.Image) -> tuple[Page, int]:
    """Return what is read in a picture, and by how many degrees it must be turned clockwise to be upright.

    At most two more tries: a page whose lines run downwards is turned to the left, then to the right; another one
    whose score is low is turned upside down.
    """
    best, turn = read(image), 0
    letters = best.letters
    if letters == 0 or (best.score >= SURE and not best.sideways):
        return best, 0
    for degrees in (270, 90) if best.sideways else (180,):
        page = read(image.transpose(TURNS[degrees]))
        if page.letters >= letters * ENOUGH and (page.score > best.score or (best.sideways and turn == 0)):
            best, turn = page, degrees
        if best.score >= SURE:
            break
    if turn == 0:
        return best, 0
    size = image.size if turn == 180 else image.size[::-1]
    return best.turned(-turn, size), turn
