"""The order in which the lines of a page are read: columns, then paragraphs, by the recursive X-Y cut.

Nagy and Seth, "Hierarchical representation of optically scanned documents" (1984): a page is cut along its empty
stripes, across and down by turns. Here a stripe that goes on below a heading or between two paragraphs is one cut.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median
from typing import NamedTuple

from mediagate.images.operations.ocr.reading import Block, Box, Line, around

COLUMN_GAP = 1.0
"""Width of the gap between two columns, in heights of a line."""
PARAGRAPH_GAP = 0.6
"""Height of the gap between two paragraphs."""
NARROWEST = 6.0
"""Median width of the lines of a column, in heights of a line; what is narrower is a cell of a table."""
SAME_ROW = 0.5
"""How far the middles of two parts of a line may lie apart, in heights of a line."""


class Piece(NamedTuple):
    """A line as it was found, and where it lies on the page once its lines are level."""

    level: Box
    line: Line


def arrange(pieces: Sequence[Piece]) -> tuple[Block, ...]:
    """Return the lines in reading order, parts of one line joined."""
    if not pieces:
        return ()
    height = median(piece.level.height for piece in pieces)
    return tuple(Block(tuple(_rows(part, height))) for part in _cut(pieces, height))


def _cut(pieces: Sequence[Piece], height: float) -> Iterator[Sequence[Piece]]:
    columns = _columns(pieces, height)
    if len(columns) > 1:
        parts = columns
    else:
        parts = []
        for strip in _apart(pieces, height * PARAGRAPH_GAP, across=False):
            if parts and len(_columns([*parts[-1], *strip], height)) > 1:
                parts[-1] = [*parts[-1], *strip]
            else:
                parts.append(strip)
    if len(parts) == 1:
        yield pieces
        return
    for part in parts:
        yield from _cut(part, height)


def _columns(pieces: Sequence[Piece], height: float) -> list[list[Piece]]:
    """Return the columns from left to right; all pieces as one unless each part is a column of text."""
    parts = _apart(pieces, height * COLUMN_GAP, across=True)
    if all(len(part) > 1 and median(p.level.width for p in part) >= NARROWEST * height for part in parts):
        return parts
    return [list(pieces)]


def _apart(pieces: Sequence[Piece], gap: float, *, across: bool) -> list[list[Piece]]:
    """Return the pieces in parts with gaps of at least this size between them."""
    start, end = (0, 2) if across else (1, 3)
    parts: list[list[Piece]] = []
    reached = float("-inf")
    for piece in sorted(pieces, key=lambda piece: piece.level[start]):
        if piece.level[start] - reached >= gap:
            parts.append([])
        parts[-1].append(piece)
        reached = max(reached, piece.level[end])
    return parts


def _rows(pieces: Sequence[Piece], height: float) -> Iterator[Line]:
    """Yield the lines of a part from top to bottom."""
    row: list[Piece] = []
    for piece in sorted(pieces, key=_middle):
        if row and _middle(piece) - median(map(_middle, row)) > height * SAME_ROW:
            yield _joined(row)
            row = []
        row.append(piece)
    yield _joined(row)


def _middle(piece: Piece) -> float:
    return (piece.level.top + piece.level.bottom) / 2


def _joined(row: Sequence[Piece]) -> Line:
    ordered = sorted(row, key=lambda piece: piece.level.left)
    return Line(
        tuple(word for piece in ordered for word in piece.line.words), around(piece.line.box for piece in ordered)
    )
