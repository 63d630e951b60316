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
    rows = [values[start : start + width] for start in range(0, len(values), width)]
    height = len(rows)
    across = {count: [_share(row, count, width) for row in rows] for count in {wave[0] for wave in wanted}}
    return [_share(across[x], y, height) / (width * height) for x, y in wanted]


def _share(values: Sequence[float], count: int, length: int) -> float:
    """Return the sum of values times a wave of ``count`` half periods."""
    return sum(map(mul, values, _cosines(count, length))) if count else sum(values)


@cache
def _cosines(count: int, length: int) -> tuple[float, ...]:
    return tuple(cos(pi * count * (at + 0.5) / length) for at in range(length))
