"""What an engine reads of a picture: blocks of lines of words, with their places and scores."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any, NamedTuple


class Box(NamedTuple):
    """An upright rectangle in pixels, from the top left corner of the picture."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def height(self) -> float:
        return self.bottom - self.top

    def with_(self, other: Box) -> Box:
        """Return the smallest box around both."""
        return Box(
            min(self.left, other.left),
            min(self.top, other.top),
            max(self.right, other.right),
            max(self.bottom, other.bottom),
        )

    def turned(self, degrees: int, size: tuple[int, int]) -> Box:
        """Return the place of this box after a picture of this size was turned clockwise, by a multiple of 90."""
        (left, top, right, bottom), (width, height) = self, size
        match degrees % 360:
            case 90:
                return Box(height - bottom, left, height - top, right)
            case 180:
                return Box(width - right, height - bottom, width - left, height - top)
            case 270:
                return Box(top, width - right, bottom, width - left)
        return self

    def scaled(self, factor: float) -> Box:
        """Return the place of this box in a picture that is larger by a factor."""
        return Box(*(edge * factor for edge in self))

    def to_json(self, size: tuple[int, int]) -> dict[str, int]:
        """Return it in whole pixels that lie in a picture of this size, as ``crop`` takes it."""
        left, top = min(max(0, int(self.left)), size[0] - 1), min(max(0, int(self.top)), size[1] - 1)
        right, bottom = min(size[0], max(left + 1, round(self.right))), min(size[1], max(top + 1, round(self.bottom)))
        return {"x": left, "y": top, "width": right - left, "height": bottom - top}


def around(boxes: Iterable[Box]) -> Box:
    """Return the smallest box around all; there must be one."""
    return reduce(Box.with_, boxes)


@dataclass(frozen=True, slots=True)
class Word:
    """Letters without a space between them, and how sure the engine is of them, 0-1."""

    text: str
    score: float
    box: Box


@dataclass(frozen=True, slots=True)
class Line:
    """The words of one line, of one column."""

    words: tuple[Word, ...]
    box: Box

    @property
    def text(self) -> str:
        return " ".join(word.text for word in self.words)

    @property
    def letters(self) -> int:
        """How many letters it has, spaces aside."""
        return sum(len(word.text) for word in self.words)

    @property
    def score(self) -> float:
        """The mean score of its letters."""
        return sum(word.score * len(word.text) for word in self.words) / max(1, self.letters)


@dataclass(frozen=True, slots=True)
class Block:
    """Lines that belong together, such as a paragraph."""

    lines: tuple[Line, ...]

    @property
    def box(self) -> Box:
        return around(line.box for line in self.lines)

    @property
    def text(self) -> str:
        return "\n".join(line.text for line in self.lines)


@dataclass(frozen=True, slots=True)
class Page:
    """The blocks of a picture in reading order."""

    blocks: tuple[Block, ...]
    wide_lines: int = 0
    """How many lines are much wider than the letters that were read in them."""
    sideways: bool = False
    """Whether its lines run from top to bottom."""

    @property
    def lines(self) -> Iterator[Line]:
        return (line for block in self.blocks for line in block.lines)

    @property
    def letters(self) -> int:
        return sum(line.letters for line in self.lines)

    @property
    def score(self) -> float:
        """The mean score of all letters, 0 without any."""
        return sum(line.score * line.letters for line in self.lines) / max(1, self.letters)

    @property
    def text(self) -> str:
        """The lines in reading order, with an empty line between blocks."""
        return "\n\n".join(block.text for block in self.blocks)

    def turned(self, degrees: int, size: tuple[int, int]) -> Page:
        """Return the page with the places that its words have after a picture of this size was turned."""
        return replace(self, blocks=tuple(Block(tuple(_turned(b.lines, degrees, size))) for b in self.blocks))


def _turned(lines: Sequence[Line], degrees: int, size: tuple[int, int]) -> Iterator[Line]:
    for line in lines:
        words = tuple(replace(word, box=word.box.turned(degrees, size)) for word in line.words)
        yield Line(words, line.box.turned(degrees, size))


def block_json(block: Block, size: tuple[int, int]) -> dict[str, Any]:
    """Return a block for callers."""
    return {"box": block.box.to_json(size), "lines": [_line_json(line, size) for line in block.lines]}


def _line_json(line: Line, size: tuple[int, int]) -> dict[str, Any]:
    return {
        "text": line.text,
        "score": round(line.score, 3),
        "box": line.box.to_json(size),
        "words": [
            {"text": word.text, "score": round(word.score, 3), "box": word.box.to_json(size)} for word in line.words
        ],
    }
