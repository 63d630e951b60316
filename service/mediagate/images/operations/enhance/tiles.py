"""A network on a picture of any size, tile by tile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import ceil
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Levels = NDArray[Any]


def in_tiles(colours: Levels, factor: int, reach: int, tile: int, network: Callable[[Levels], Levels]) -> Levels:
    """Return an array of rows, columns and channels as a network enlarges it, as if it had seen all of it at once.

    ``network`` returns ``factor`` times as many rows and columns as it gets, without ``reach`` of the input's on each
    side: that is how far it looks. Beyond the picture, the outermost pixels repeat. A tile has up to ``tile`` rows and
    columns, and those around it.
    """
    import numpy as np

    rows, columns, channels = colours.shape
    wide = np.pad(colours, ((reach, reach), (reach, reach), (0, 0)), mode="edge")
    made = np.empty((rows * factor, columns * factor, channels), dtype=colours.dtype)
    for top, bottom in _parts(rows, tile):
        for left, right in _parts(columns, tile):
            part = network(wide[top : bottom + 2 * reach, left : right + 2 * reach])
            made[top * factor : bottom * factor, left * factor : right * factor] = part
    return made


def _parts(length: int, most: int) -> Iterator[tuple[int, int]]:
    """Yield start and end of parts of nearly equal length."""
    step = ceil(length / ceil(length / most))
    for start in range(0, length, step):
        yield start, min(start + step, length)
