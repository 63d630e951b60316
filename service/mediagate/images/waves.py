"""Cosine waves: the coefficients of a plane of values, of which BlurHash and ThumbHash consist."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cache
from math import cos, pi
from operator import mul

Wave = tuple[int, int]
"""Half periods across and down."""


def waves(values: Sequence[float], width: int, wanted: Collection[Wave]) -> list[float]:
    """Return the mean of rows of ``width`` values times each wave (type II of the discrete cosine transform).

    A wave is sampled at the middle of each value. A plane of one constant value therefore has no wave but (0, 0), as
    long as no count of half periods reaches the number of values along its edge.
    """
    columns = [values[start::width] for start in range(width)]
    height = len(columns[0])
    down = {count: [_share(column, count, height) for column in columns] for count in {wave[1] for wave in wanted}}
    return [_share(down[y], x, width) / (width * height) for x, y in wanted]


def _share(values: Sequence[float], count: int, length: int) -> float:
    """Return the sum of values times a wave of ``count`` half periods."""
    return sum(map(mul, values, _cosines(count, length))) if count else sum(values)


@cache
def _cosines(count: int, length: int) -> tuple[float, ...]:
    return tuple(cos(pi * count * (at + 0.5) / length) for at in range(length))
