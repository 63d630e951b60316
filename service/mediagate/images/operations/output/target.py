"""A size in bytes, met by the quality of an encoder."""

from __future__ import annotations

from collections.abc import Callable

from mediagate.errors import OperationFailed


def encoded_within(encode: Callable[[int], bytes], quality: int, target_bytes: int) -> bytes:
    """Return the file of the highest quality that has at most ``target_bytes``, found by bisection of 1 to ``quality``.

    Encodes at most eight times. Raises ``OperationFailed`` if even the smallest file that was found is larger.
    """
    file = encode(quality)
    if len(file) <= target_bytes:
        return file
    smallest, fitting = len(file), None
    low, high = 1, quality - 1
    while low <= high:
        middle = (low + high) // 2
        file = encode(middle)
        smallest = min(smallest, len(file))
        if len(file) <= target_bytes:
            fitting, low = file, middle + 1
        else:
            high = middle - 1
    if fitting is None:
        raise OperationFailed(
            f"no quality makes a file of {target_bytes:,} bytes; the smallest has {smallest:,}. "
            "Resize the picture, or allow more bytes"
        )
    return fitting
