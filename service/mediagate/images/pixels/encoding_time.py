"""The time budget of encoding, so that no picture exceeds the time limit of an image even on a busy machine.

The time is estimated from the output, not measured, so that the result does not depend on the machine's load.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from threading import Lock
from typing import NamedTuple

from mediagate.errors import ImageTooLarge


class _Rate(NamedTuple):
    """Seconds on an idle core of 2024 at low effort, with the decoding that compares a lossy file with its picture."""

    a_pixel: float
    a_byte: float


_RATES: Mapping[str, _Rate] = {"webp": _Rate(0.03e-6, 0.22e-6), "avif": _Rate(0.05e-6, 0.35e-6)}
_OTHERS = _Rate(0.02e-6, 0.05e-6)
_MOVING = 3
"""The most times longer that a frame of an animation takes than a still: libwebp does more work for each frame."""
EXACT_S_A_PIXEL: Mapping[str, float] = {"avif": 0.8e-6}
"""The most seconds per pixel when a lossy format is written without loss, if more than a tenth of a microsecond."""


class EncodingTime:
    """A budget of seconds, reduced by each encoding; unlimited by default. Thread-safe."""

    def __init__(self, seconds: float = inf) -> None:
        self._left_s = seconds
        self._changing = Lock()

    def allows(self, seconds: float) -> bool:
        """Whether ``seconds`` are left."""
        return seconds <= self._left_s

    def check(self, seconds: float = 0.0) -> None:
        """Raise ``ImageTooLarge`` unless ``seconds`` are left."""
        if not self.allows(seconds):
            raise ImageTooLarge("the picture takes too long to encode; send a smaller one, or fewer frames")

    def spend(self, image_format: str, pixels: int, size: int, *, moves: bool) -> None:
        """Count a file of ``size`` bytes with ``pixels`` in all of its frames together."""
        rate = _RATES.get(image_format, _OTHERS)
        seconds = pixels * rate.a_pixel + size * rate.a_byte
        with self._changing:
            self._left_s -= seconds * (_MOVING if moves else 1)
