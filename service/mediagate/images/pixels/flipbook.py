"""Animated GIFs from frames with palettes."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from PIL import Image

CENTISECOND_MS = 10
LONGEST_MS = 655_350
"""A GIF counts hundredths of a second in 16 bits (GIF89a, section 23)."""
MOST_REPEATS = 65535


def gif_of(frames: Sequence[Image.Image], durations_ms: Sequence[int], plays: int) -> bytes:
    """Return a GIF of frames in mode ``P``, each with its own palette; ``plays`` 0 means for ever."""
    options: dict[str, Any] = {"optimize": False, "comment": b""}
    first = frames[0]
    if len(frames) > 1:
        rounded = [min(LONGEST_MS, round(each / CENTISECOND_MS) * CENTISECOND_MS) for each in durations_ms]
        # Each frame replaces the one before as a whole, also where it is transparent.
        options |= {"save_all": True, "append_images": frames[1:], "duration": rounded, "disposal": 2}
        if plays != 1:
            options["loop"] = 0 if plays == 0 else min(plays - 1, MOST_REPEATS)
    file = io.BytesIO()
    first.save(file, "GIF", **options)
    return file.getvalue()
