"""Pages of text in the font that Pillow brings: clean, and as a scanner or a camera shows them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import skimage.data
from PIL import Image, ImageDraw, ImageFilter, ImageFont

PHOTO = Path(__file__).parents[1] / "data" / "photos" / "dog_exif_xmp_icc.jpg"
LINES = (
    "Sphinx of black quartz, judge my vow.",
    "Invoice No. 2026-1187 of 29 November 2026",
    "The quick brown fox jumps over the lazy dog.",
    "3 boxes at $14.50 each: $43.50",
    "Pack my box with five dozen liquor jugs.",
    "How vexingly quick daft zebras jump!",
    "Please pay within 30 days by bank transfer.",
    "Questions? Write to office@example.com",
)
LEFT = (
    "Every upload waits in",
    "quarantine until a model",
    "has judged its picture.",
    "Nothing is public before",
    "that, and nothing is lost",
    "once it was accepted.",
)
RIGHT = (
    "A pipeline runs its steps",
    "in the order in which they",
    "were written, and judges",
    "each file that it makes",
    "before anybody may see it.",
    "Results have an end.",
)
BOOK = (
    "Region-based segmentation",
    "Let us first determine markers of the coins and the",
    "background. These markers are pixels that we can label",
    "unambiguously as either object or background. Here,",
    "the markers are found at the two extreme parts of the",
    "histogram of grey values:",
)
SIGNS = ("EXIT", "Platform 9", "No entry", "Open 24 hours", "Fresh bread")
PAPER, INK = (252, 250, 245), (25, 25, 30)


def page(
    lines: Sequence[str] = LINES,
    *,
    letters: int = 32,
    size: tuple[int, int] = (1000, 700),
    ink: tuple[int, int, int] = INK,
) -> Image.Image:
    """Return a page with one line below another; ``letters`` is their size in pixels."""
    image = Image.new("RGB", size, PAPER)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(letters)
    for number, line in enumerate(lines):
        draw.text((2 * letters, 2 * letters + number * letters * 1.6), line, ink, font)
    return image


def columns() -> Image.Image:
    """Return a page with a heading above two columns."""
    image = page((), size=(1000, 700))
    draw = ImageDraw.Draw(image)
    draw.text((60, 50), "How a picture gets from an upload to its readers", INK, ImageFont.load_default(38))
    for left, lines in ((60, LEFT), (540, RIGHT)):
        for number, line in enumerate(lines):
            draw.text((left, 160 + number * 48), line, INK, ImageFont.load_default(30))
    return image


def noisy(image: Image.Image, sigma: float = 18, seed: int = 1) -> Image.Image:
    """Return the picture out of focus, with the noise of a sensor."""
    soft = np.asarray(image.filter(ImageFilter.GaussianBlur(1.0))).astype(np.float32)
    noise = np.random.default_rng(seed).normal(0, sigma, soft.shape)
    return Image.fromarray((soft + noise).clip(0, 255).astype(np.uint8))


def tilted(image: Image.Image, degrees: float = 4) -> Image.Image:
    """Return a page that was laid askew."""
    return image.rotate(degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=PAPER)


def photographed(image: Image.Image) -> Image.Image:
    """Return a page as a camera sees it from one side, on a table, with a shadow."""
    table = _photo().resize((image.width + 300, image.height + 300))
    width, height = image.size
    corners = [(130, 90), (width + 190, 170), (width + 120, height + 240), (70, height + 140)]
    way = _perspective(corners, [(0, 0), (width, 0), (width, height), (0, height)])
    seen = image.transform(table.size, Image.Transform.PERSPECTIVE, way, Image.Resampling.BICUBIC)
    mask = Image.new("L", image.size, 255).transform(table.size, Image.Transform.PERSPECTIVE, way)
    table.paste(seen, (0, 0), mask)
    shade = np.linspace(1.0, 0.62, table.width, dtype=np.float32)[None, :, None]
    return noisy(Image.fromarray((np.asarray(table) * shade).astype(np.uint8)), sigma=8)


def signs() -> Image.Image:
    """Return words that are set over a photo, each with another colour, size and angle."""
    image = _photo().resize((1200, 980))
    looks = ((70, "white", 0), (48, "yellow", 12), (56, "black", -9), (40, "white", 20), (64, "red", 4))
    for number, (text, (letters, colour, degrees)) in enumerate(zip(SIGNS, looks, strict=True)):
        font = ImageFont.load_default(letters)
        box = font.getbbox(text)
        mark = Image.new("RGBA", (round(box[2]) + 20, round(box[3]) + 20))
        ImageDraw.Draw(mark).text((10, 10), text, colour, font)
        mark = mark.rotate(degrees, Image.Resampling.BICUBIC, expand=True)
        image.paste(mark, (120 + number % 2 * 420, 60 + number * 170), mark)
    return image


def book() -> Image.Image:
    """Return a real photo of a printed page, 384 pixels wide, that scikit-image brings."""
    return Image.fromarray(skimage.data.page()).crop((0, 0, 384, 140)).convert("RGB")


CASES: Mapping[str, tuple[Callable[[], Image.Image], str]] = {
    "clean": (page, "\n".join(LINES)),
    "letters of 14 pixels": (lambda: page(letters=14, size=(480, 340)), "\n".join(LINES)),
    "white on black": (lambda: Image.eval(page(), lambda level: 255 - level), "\n".join(LINES)),
    "two columns": (columns, "How a picture gets from an upload to its readers\n" + "\n".join((*LEFT, *RIGHT))),
    "noise and blur": (lambda: noisy(page()), "\n".join(LINES)),
    "askew by 4 degrees": (lambda: tilted(page()), "\n".join(LINES)),
    "photographed on a table": (lambda: photographed(page()), "\n".join(LINES)),
    "small photo of a book": (book, "\n".join(BOOK)),
    "on its side": (lambda: page().transpose(Image.Transpose.ROTATE_90), "\n".join(LINES)),
    "on its other side": (lambda: page().transpose(Image.Transpose.ROTATE_270), "\n".join(LINES)),
    "upside down": (lambda: page().transpose(Image.Transpose.ROTATE_180), "\n".join(LINES)),
    "12 megapixels": (lambda: page(letters=110, size=(4000, 3000)), "\n".join(LINES)),
    "words over a photo": (signs, "\n".join(SIGNS)),
}
"""Pictures with their text, by what is special of them."""


def error_rate(read: str, text: str) -> float:
    """Return the character error rate: the edits that make the text of what was read, per letter of the text.

    Any white space counts as one space, so that line breaks are no errors (Levenshtein 1966).
    """
    found, wanted = " ".join(read.split()), " ".join(text.split())
    row = list(range(len(found) + 1))
    for number, letter in enumerate(wanted, 1):
        before, row[0] = row[0], number
        for at, other in enumerate(found, 1):
            before, row[at] = row[at], min(row[at] + 1, row[at - 1] + 1, before + (letter != other))
    return row[-1] / max(1, len(wanted))


@cache
def _photo() -> Image.Image:
    with Image.open(PHOTO) as image:
        return image.convert("RGB")


def _perspective(seen: Sequence[tuple[int, int]], flat: Sequence[tuple[int, int]]) -> list[float]:
    """Return the coefficients by which Pillow maps seen corners to those of the flat page."""
    rows, values = [], []
    for (x, y), (u, v) in zip(seen, flat, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    return [float(value) for value in np.linalg.solve(np.array(rows, dtype=float), np.array(values, dtype=float))]
