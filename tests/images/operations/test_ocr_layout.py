"""The reading order of lines whose places are known."""

from __future__ import annotations

from mediagate.images.operations.ocr.layout import Piece, arrange
from mediagate.images.operations.ocr.reading import Box, Line, Word


def piece(text: str, left: float, top: float, width: float = 300, height: float = 20) -> Piece:
    box = Box(left, top, left + width, top + height)
    return Piece(box, Line((Word(text, 1.0, box),), box))


def order(*pieces: Piece) -> list[list[str]]:
    """Return the lines of each block, given in the wrong order."""
    return [[line.text for line in block.lines] for block in arrange(pieces[::-1])]


def test_arrange_without_lines_has_no_blocks() -> None:
    assert arrange([]) == ()


def test_arrange_reads_from_top_to_bottom() -> None:
    assert order(piece("a", 0, 0), piece("b", 0, 25), piece("c", 0, 50)) == [["a", "b", "c"]]


def test_arrange_splits_paragraphs_at_larger_gaps() -> None:
    assert order(piece("a", 0, 0), piece("b", 0, 24), piece("c", 0, 80)) == [["a", "b"], ["c"]]


def test_arrange_reads_columns_under_a_heading_one_after_the_other() -> None:
    left = [piece(f"l{n}", 0, 100 + 24 * n) for n in range(3)]
    right = [piece(f"r{n}", 400, 103 + 24 * n) for n in range(3)]
    pieces = [piece("heading", 0, 0, 700, 30), *left, *right, piece("end", 0, 300, 700)]
    assert order(*pieces) == [["heading"], ["l0", "l1", "l2"], ["r0", "r1", "r2"], ["end"]]


def test_arrange_reads_all_paragraphs_of_a_column_before_the_next() -> None:
    tops = (0, 24, 100, 124)
    pieces = [piece(f"{side}{n}", left, top) for side, left in (("l", 0), ("r", 400)) for n, top in enumerate(tops)]
    assert order(*pieces) == [["l0", "l1"], ["l2", "l3"], ["r0", "r1"], ["r2", "r3"]]


def test_arrange_reads_a_receipt_by_its_rows() -> None:
    rows = [[piece(f"item{n}", 0, 24 * n), piece(f"{n}.00", 500, 24 * n + 2, width=60)] for n in range(3)]
    assert order(*rows[0], *rows[1], *rows[2]) == [["item0 0.00", "item1 1.00", "item2 2.00"]]
