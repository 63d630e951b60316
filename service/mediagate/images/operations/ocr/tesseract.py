"""Tesseract by tesserocr, its only importer, with the language files that the system has installed.

The sandbox of image processes starts no programs, so Tesseract runs as a library.
"""

from __future__ import annotations

import os
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

from PIL import Image

from mediagate.errors import OperationFailed
from mediagate.images.operations.ocr.languages import tessdata
from mediagate.images.operations.ocr.reading import Block, Box, Line, Page, Word

if TYPE_CHECKING:
    from tesserocr import PyTessBaseAPI

VERTICAL = "_vert"
"""The end of the codes of languages that are written from top to bottom."""
DPI = 300
"""The resolution that Tesseract is told; without it, it guesses one and prints that."""

MOST_EDGE = 32_767
"""The longest edge in pixels that Tesseract takes (INT16_MAX)."""


@lru_cache(maxsize=1)
def load(languages: tuple[str, ...]) -> PyTessBaseAPI:
    """Return Tesseract with its models of these languages; raises ``OperationFailed`` if a file cannot be read."""
    # One core each: there are as many image processes as cores. Read when OpenMP starts.
    os.environ.setdefault("OMP_THREAD_LIMIT", "1")
    import tesserocr

    folder = tessdata()
    try:
        api = tesserocr.PyTessBaseAPI(path=str(folder), lang="+".join(languages), psm=tesserocr.PSM.AUTO)
    except RuntimeError as exc:
        raise OperationFailed(f"tesseract cannot load its files of {', '.join(languages)} in {folder}") from exc
    api.SetVariable("debug_file", os.devnull)
    return api


def read(image: Image.Image, languages: tuple[str, ...]) -> Page:
    """Return what Tesseract reads in a picture in ``RGB``, in its own reading order; raises ``OperationFailed``."""
    import tesserocr

    if max(image.size) > MOST_EDGE:
        raise OperationFailed(f"tesseract reads edges of up to {MOST_EDGE:,} pixels; crop or resize the picture before")
    api, level = load(languages), tesserocr.RIL
    api.SetImage(image)
    api.SetSourceResolution(DPI)
    blocks: list[list[Line]] = []
    words: list[Word] = []
    downwards = 0
    try:
        if not api.Recognize():
            raise OperationFailed("tesseract could not read this picture")
        found = api.GetIterator()
        for word in tesserocr.iterate_level(found, level.WORD) if found is not None else ():
            if word.Empty(level.WORD) or not (text := word.GetUTF8Text(level.WORD).strip()):
                continue
            if word.IsAtBeginningOf(level.PARA) or not blocks:
                blocks.append([])
            downwards += word.Orientation()[1] == tesserocr.WritingDirection.TOP_TO_BOTTOM
            words.append(Word(text, word.Confidence(level.WORD) / 100, Box(*word.BoundingBox(level.WORD))))
            if word.IsAtFinalElement(level.TEXTLINE, level.WORD):
                blocks[-1].append(Line(tuple(words), Box(*word.BoundingBox(level.TEXTLINE))))
                words = []
    finally:
        api.Clear()
    page = Page(tuple(Block(tuple(lines)) for lines in blocks if lines))
    count = sum(len(line.words) for line in page.lines)
    return replace(page, sideways=2 * downwards > count and not any(code.endswith(VERTICAL) for code in languages))
