"""Photos of the test data, and what cameras and rooms do to them: noise, coloured light, darkness."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

DATA = Path(__file__).parents[1] / "data"
ASTRONAUT, HOPPER, CAT = "moderation/astronaut.png", "moderation/grace_hopper.jpg", "moderation/chelsea.png"
SHARP, PARIS = "photos/photo_2725x2225.jpg", "photos/paris_icc_exif_xmp.png"


def photo(name: str, edge: int = 480) -> Image.Image:
    """Return a photo with no edge longer than ``edge`` pixels."""
    with Image.open(DATA / name) as image:
        opened = image.convert("RGB")
    opened.thumbnail((edge, edge), Image.Resampling.BOX, reducing_gap=None)
    return opened


def noisy(picture: Image.Image, deviation: float) -> Image.Image:
    """Return a picture with normal noise of this standard deviation in levels, the same each time."""
    levels = np.asarray(picture, dtype=np.float64)
    noise = np.random.default_rng(1).normal(0, deviation, levels.shape)
    return _rounded(levels + noise)


def lit(picture: Image.Image, red: float, green: float, blue: float) -> Image.Image:
    """Return a picture in other light: each channel multiplied in linear light."""
    levels = np.asarray(picture, dtype=np.float64) / 255
    linear = np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4) * (red, green, blue)
    encoded = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear.clip(0) ** (1 / 2.4) - 0.055)
    return _rounded(encoded * 255)


def psnr(picture: Image.Image, reference: Image.Image) -> float:
    """Return the peak signal-to-noise ratio of a picture in dB."""
    errors = np.asarray(picture, dtype=np.float64) - np.asarray(reference, dtype=np.float64)
    return float(10 * np.log10(255**2 / np.square(errors).mean()))


def _rounded(levels: NDArray[np.float64]) -> Image.Image:
    return Image.fromarray(levels.round().clip(0, 255).astype(np.uint8))
