"""Lossless recompression of PNGs by oxipng; its only importer."""

from __future__ import annotations

import os

from mediagate.errors import OperationFailed
from mediagate.images.operations.costs import RECOMPRESSING
from mediagate.images.pixels.allocation import ensure_room

LEVEL = 2
"""Of 0 to 6: further levels take several times as long to save a hundredth of the bytes."""


def recompressed(png: bytes, size: tuple[int, int], frames: int) -> bytes:
    """Return a PNG with the same pixels in fewer bytes; the same file if there is none, or if it is animated.

    Raises ``MemoryError``, and ``OperationFailed`` if oxipng refuses the file.
    """
    if frames > 1:
        return png
    # One thread: parallelism comes from the image processes. Read when the library makes its first thread.
    os.environ.setdefault("RAYON_NUM_THREADS", "1")
    import oxipng

    # Rust ends the process when an allocation fails.
    ensure_room(round(RECOMPRESSING.bytes * size[0] * size[1]))
    try:
        made: bytes = oxipng.optimize_from_memory(png, level=LEVEL)
    except (MemoryError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as exc:  # a panic of Rust is not derived from ``Exception`` by PyO3
        raise OperationFailed(f"the PNG cannot be recompressed ({exc}); leave recompress out") from exc
    return min(made, png, key=len)
