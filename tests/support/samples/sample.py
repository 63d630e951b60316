"""A sample, and the pictures that samples are made of."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]
"""Height x width x 3, sRGB."""

MODERATION = Path(__file__).parents[2] / "data" / "moderation"
EDGE = 128
"""Pixels along the edge of a sample; the model sees the face at this size as well as at full size."""
CAT_BOX = (75, 0, 375, 300)


@dataclass(frozen=True, slots=True)
class Sample:
    """An upload; ``shown`` is what a browser shows of it, where that is known."""

    name: str
    format: str
    data: bytes
    shown: Image.Image | None = None
    hidden: bool = False
    """Whether some viewer shows the face, in full or in one of its frames or passes."""
    valid: bool = True
    """Whether browsers show it, so that the engine has to publish it."""


@cache
def face(edge: int = EDGE) -> Pixels:
    """Return the picture that the policy of the tests forbids."""
    return _read("astronaut.png", (0, 0, 512, 512), edge)


@cache
def cat(edge: int = EDGE) -> Pixels:
    """Return a picture that it allows."""
    return _read("chelsea.png", CAT_BOX, edge)


def grey(pixels: Pixels) -> NDArray[np.uint8]:
    """Return height x width grey values (luma of ITU-R BT.601)."""
    return np.asarray(Image.fromarray(pixels).convert("L"))


def encoded(image: Image.Image | Pixels, image_format: str, **options: Any) -> bytes:
    """Return a picture as Pillow writes it."""
    file = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(file, image_format, **options)
    return file.getvalue()


def _read(name: str, box: tuple[int, int, int, int], edge: int) -> Pixels:
    with Image.open(MODERATION / name) as image:
        return np.asarray(image.convert("RGB").crop(box).resize((edge, edge), Image.Resampling.LANCZOS))
