"""Tables of colours in the format .cube (Adobe, Cube LUT Specification 1.0), as callers send them: hostile text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from PIL import ImageFilter

LARGEST = 33
"""The most colours along an edge."""
LONGEST_TEXT = 2_000_000
"""Characters; a table of 33 colours an edge has about 1,000,000."""
LONGEST_LINE = 250
"""Characters, as the specification says."""
FURTHEST = 1.0
"""How far an entry may lie beyond 0-1; it is clipped."""
_NUMBER = re.compile(r"[+-]?(\d{1,12}(\.\d{0,30})?|\.\d{1,30})(e[+-]?\d{1,3})?", re.ASCII | re.IGNORECASE)


class InvalidCube(ValueError):
    """The text is not a table that can be used; the message names the line."""


@lru_cache(maxsize=4)
def read_cube(text: str) -> ImageFilter.Color3DLUT:
    """Return the table in a text; raises ``InvalidCube``.

    Accepted are three-dimensional tables of 2 to 33 colours an edge for inputs within 0-1, with a title and comments.
    """
    if len(text) > LONGEST_TEXT:
        raise InvalidCube(f"longer than {LONGEST_TEXT:,} characters")
    edge, table = 0, list[float]()
    for number, line in _lines(text):
        words = line.split()
        keyword = words[0].upper()
        if keyword == "TITLE":
            continue
        if keyword == "LUT_3D_SIZE" and not edge and not table:
            edge = _size(words, number)
        elif keyword in ("DOMAIN_MIN", "DOMAIN_MAX") and not table:
            if _numbers(words[1:], number) != [float(keyword == "DOMAIN_MAX")] * 3:
                raise InvalidCube(f"line {number}: only inputs within 0-1 are accepted")
        elif keyword[0].isalpha() and keyword not in ("NAN", "INF", "INFINITY"):
            raise InvalidCube(f"line {number}: {keyword[:20]!r} is unknown or out of place")
        elif not edge:
            raise InvalidCube(f"line {number}: colours before LUT_3D_SIZE")
        else:
            table += _entry(words, number)
            if len(table) > 3 * edge**3:
                raise InvalidCube(f"line {number}: more than {edge**3:,} colours")
    if not edge:
        raise InvalidCube("there is no LUT_3D_SIZE")
    if len(table) != 3 * edge**3:
        raise InvalidCube(f"{len(table) // 3:,} colours; LUT_3D_SIZE {edge} needs {edge**3:,}")
    return ImageFilter.Color3DLUT(edge, table, _copy_table=False)


def write_cube(table: ImageFilter.Color3DLUT) -> str:
    """Return the shortest text of a table, exact to a fiftieth of a level of 8 bits; ``read_cube`` reads it."""
    numbers = [f"{value:.4f}".rstrip("0").rstrip(".") for value in table.table]
    rows = (" ".join(numbers[start : start + 3]) for start in range(0, len(numbers), 3))
    return "\n".join([f"LUT_3D_SIZE {table.size[0]}", *rows])


def _lines(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.splitlines(), 1):
        if len(line) > LONGEST_LINE:
            raise InvalidCube(f"line {number}: longer than {LONGEST_LINE} characters")
        content = line.strip()
        if content and not content.startswith("#"):
            yield number, content


def _size(words: list[str], number: int) -> int:
    if len(words) != 2 or not re.fullmatch(r"\d{1,3}", words[1], re.ASCII) or not 2 <= int(words[1]) <= LARGEST:
        raise InvalidCube(f"line {number}: LUT_3D_SIZE is a whole number from 2 to {LARGEST}")
    return int(words[1])


def _entry(words: list[str], number: int) -> list[float]:
    entry = _numbers(words, number)
    if any(not -FURTHEST <= value <= 1 + FURTHEST for value in entry):
        raise InvalidCube(f"line {number}: a colour lies far beyond 0-1")
    return [min(max(value, 0.0), 1.0) for value in entry]


def _numbers(words: list[str], number: int) -> list[float]:
    if len(words) != 3 or not all(map(_NUMBER.fullmatch, words)):
        raise InvalidCube(f"line {number}: not three finite numbers")
    return [float(word) for word in words]
