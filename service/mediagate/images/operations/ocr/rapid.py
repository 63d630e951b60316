"""RapidOCR: PP-OCRv6 in ONNX, from its wheel; the only importer of rapidocr.

Its classifier of turned lines is off, because it spoils sound lines, and its drawing functions, which download fonts,
are never called. Lines are found on a reduced picture and read from the picture itself.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from PIL import Image

from mediagate.images.operations.enhance import opencv
from mediagate.images.operations.ocr.layout import Piece, arrange
from mediagate.images.operations.ocr.reading import Box, Line, Page, Word

if TYPE_CHECKING:
    from rapidocr import RapidOCR

FOUND_EDGE = 1280
"""Longer edge in pixels of the picture in which lines are searched."""
SHORTER_EDGE = 736
"""A smaller picture is enlarged to this shorter edge, as PP-OCR expects it."""
READ_HEIGHT = 48
"""Height in pixels to which the model scales a line."""
TALL = 1.5
"""From this quotient of height and width on, a line is read from top to bottom."""
FURTHEST = 1.4
"""How far the middles of two letters may lie apart, in heights of their line, with a space between them."""
MISSING = 0.25
"""Share of the width of a line without letters from which on it has some that were not read."""
GREEK = ("\u0370", "\u03ff")
FEW = 0.25
"""The same for the lines of a page in which nothing was read: some always are patterns, not letters."""
Point = tuple[float, float]
Corners = tuple[Point, Point, Point, Point]
"""The corners of a line: where it begins and ends at the top, where it ends and begins at the bottom."""


@cache
def load() -> RapidOCR:
    """Return the engine with its models."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import numpy as np
    import rapidocr

    opencv.load()
    models = Path(rapidocr.__file__).parent / "models"
    engine = rapidocr.RapidOCR(
        params={
            "Global.log_level": "critical",
            "Global.use_cls": False,
            "Global.use_preprocess_img": False,
            "Global.use_vertical_padding": False,
            "Global.return_word_box": True,
            # Given by path, so that nothing is looked up or downloaded.
            "Det.model_path": str(models / "PP-OCRv6_det_small.onnx"),
            "Det.limit_type": "max",
            "Det.limit_side_len": FOUND_EDGE,
            "Rec.model_path": str(models / "PP-OCRv6_rec_small.onnx"),
            # A line has 75 KB of scores for each of its columns, and those of a batch are padded to the longest.
            "Rec.rec_batch_num": 1,
            # One core each: there are as many image processes as cores.
            "EngineConfig.onnxruntime.intra_op_num_threads": 1,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        }
    )
    # The engine loads each model with its first picture; here, 115 MB of them do not count as memory of that.
    dark = np.zeros((READ_HEIGHT, READ_HEIGHT, 3), dtype=np.uint8)
    engine(dark, use_det=True, use_cls=False, use_rec=False)
    engine.recognize_txt([dark])
    return engine


def read(image: Image.Image) -> Page:
    """Return what the model reads in a picture in ``RGB``."""
    corners = _found(image)
    if not corners:
        return Page(())
    found = load().recognize_txt(_cropped(image, corners))
    results = list(zip(corners, found.txts or (), found.word_results, strict=True))
    lines = [(place, *_line(text, info, place)) for place, text, info in results if text.strip()]
    silent = sum(not text.strip() and _width(place) > 2 * _height(place) for place, text, _ in results)
    wide = sum(missing > MISSING for *_, missing in lines) + (silent if silent > FEW * len(results) else 0)
    degrees = median(_degrees(place) for place in corners)
    pieces = [Piece(_level(place, degrees), line) for place, line, _ in lines]
    return Page(arrange(pieces), wide, sideways=degrees > 45)


def _found(image: Image.Image) -> list[Corners]:
    """Return the places of the lines."""
    import numpy as np

    factor = min(max(1.0, SHORTER_EDGE / min(image.size)), FOUND_EDGE / max(image.size))
    size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
    small = image if size == image.size else image.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
    pixels = np.ascontiguousarray(np.asarray(small)[:, :, ::-1])
    found: Any = load()(pixels, use_det=True, use_cls=False, use_rec=False)
    boxes = () if found.boxes is None else found.boxes
    return [_corners([(float(x) / factor, float(y) / factor) for x, y in box]) for box in boxes]


def _corners(box: Sequence[Point]) -> Corners:
    """Return the corners of a line from those of its box: top left, top right, bottom right, bottom left."""
    first, second, third, fourth = box
    if max(math.dist(first, fourth), math.dist(second, third)) < TALL * max(
        math.dist(first, second), math.dist(third, fourth)
    ):
        return first, second, third, fourth
    return second, third, fourth, first


def _cropped(image: Image.Image, corners: Sequence[Corners]) -> list[Any]:
    """Return the level pixels of each line, from a picture in which it is less than twice as high as it is read."""
    import numpy as np

    cv2 = opencv.load()
    levels = [image]
    arrays: dict[int, Any] = {}
    made = []
    for place in corners:
        width, height = _width(place), _height(place)
        level = max(0, int(math.log2(max(1.0, height / READ_HEIGHT))))
        while len(levels) <= level:
            levels.append(levels[-1].reduce(2))
        if level not in arrays:
            arrays[level] = np.asarray(levels[level])
        factor = 2.0**-level
        size = max(1, round(width * factor)), max(1, round(height * factor))
        target = np.array([(0, 0), (size[0], 0), size, (0, size[1])], dtype=np.float32)
        turn = cv2.getPerspectiveTransform(np.array(place, dtype=np.float32) * factor, target)
        line = cv2.warpPerspective(arrays[level], turn, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        made.append(np.ascontiguousarray(line[:, :, ::-1]))
    return made


def _line(text: str, info: Any, place: Corners) -> tuple[Line, float]:
    """Return a line, and the share of its width in which letters are missing.

    The model tells in which of its columns it saw each letter. The places of words are estimated from that.
    """
    columns = iter([column for word in info.word_cols for column in word])
    at = [None if letter.isspace() else (next(columns) + 0.5) / info.line_txt_len for letter in text]
    missing = _missing([share for share in at if share is not None], _height(place) / max(1.0, _width(place)))
    # The model knows the letters of formulas, but drops those with an accent.
    missing = max(missing, sum(GREEK[0] <= letter <= GREEK[1] for letter in text) / len(text))
    sure = 1.0 if missing <= MISSING else 1.0 - missing
    half = _half_letter(at)
    words, begin = [], 0
    for word in text.split():
        begin = text.index(word, begin)
        end = begin + len(word)
        first, last = at[begin] or 0.0, at[end - 1] or 0.0
        score = sure * sum(info.confs[begin:end]) / len(word)
        words.append(Word(word, score, _box(_part(place, max(0.0, first - half), min(1.0, last + half)))))
        begin = end
    return Line(tuple(words), _box(place)), missing


def _missing(at: Sequence[float], height: float) -> float:
    """Return the share of a line that is too far from its letters; ``height`` is that of the line by its width."""
    edges = [max(0.0, at[0] - height), max(0.0, 1.0 - at[-1] - height)]
    return sum(edges) + sum(max(0.0, second - first - FURTHEST * height) for first, second in pairwise(at))


def _half_letter(at: Sequence[float | None]) -> float:
    """Return half of the usual distance of two letters, as a share of the line."""
    steps = [second - first for first, second in pairwise(at) if first is not None and second is not None]
    return (median(steps) if steps else 1 / max(1, len(at))) / 2


def _part(place: Corners, begin: float, end: float) -> Corners:
    """Return the corners of a part of a line, given by shares of its width."""
    first, second, third, fourth = place
    return (
        _between(first, second, begin),
        _between(first, second, end),
        _between(fourth, third, end),
        _between(fourth, third, begin),
    )


def _between(first: Point, second: Point, share: float) -> Point:
    return first[0] + (second[0] - first[0]) * share, first[1] + (second[1] - first[1]) * share


def _width(place: Corners) -> float:
    return max(math.dist(place[0], place[1]), math.dist(place[3], place[2]))


def _height(place: Corners) -> float:
    return max(math.dist(place[0], place[3]), math.dist(place[1], place[2]))


def _degrees(place: Corners) -> float:
    """Return the direction in which a line is read: 0 to the right, 90 downwards."""
    return math.degrees(math.atan2(place[1][1] - place[0][1], place[1][0] - place[0][0]))


def _level(place: Corners, degrees: float) -> Box:
    """Return the box of a line on a page that was turned back by these degrees around its corner."""
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return _box([(x * cosine + y * sine, y * cosine - x * sine) for x, y in place])


def _box(points: Sequence[Point]) -> Box:
    across, down = [x for x, _ in points], [y for _, y in points]
    return Box(min(across), min(down), max(across), max(down))
