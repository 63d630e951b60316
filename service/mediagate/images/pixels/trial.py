"""The trial of a library that does Pillow's work, before it is used."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from PIL import Image

log = logging.getLogger("mediagate")


def passes(library: str, modes: Iterable[str], as_pillow: Callable[[str], bool]) -> bool:
    """Whether a library makes what Pillow makes of pictures in each of these modes; if not, the log says so."""
    try:
        wrong = [mode for mode in modes if not as_pillow(mode)]
    except Exception as exc:
        log.warning("%s disabled: it failed with %s: %s", library, type(exc).__name__, exc)
        return False
    if wrong:
        log.warning("%s disabled: its output differs from Pillow's for %s", library, ", ".join(wrong))
    return not wrong


def sample(mode: str) -> Image.Image:
    """Return a picture of edges, ramps and all degrees of transparency, with odd numbers of rows and columns."""
    ramp = Image.linear_gradient("L").resize((41, 31))
    rings = Image.radial_gradient("L").resize((41, 31))
    bars = ramp.point([255 * (value // 16 % 2) for value in range(256)])
    channels = {"R": ramp, "G": rings, "B": bars, "A": rings.rotate(90), "L": bars}
    return Image.merge(mode, [channels[band] for band in mode])
