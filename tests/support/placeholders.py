"""BlurHash and ThumbHash decoded by their definitions, slowly, and what each could tell of a picture at best."""

from __future__ import annotations

from base64 import b64decode

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Floats = NDArray[np.float64]
BASE83 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz#$%*+,-.:;=?@[]^_{|}~"


def blurhash_shown(hashed: str, width: int = 32, height: int = 32) -> Floats:
    """Return the picture (rows of RGB, 0-255) that a BlurHash tells, by woltapp/blurhash's Algorithm.md."""
    digits = [BASE83.index(character) for character in hashed]
    down, across = (part + 1 for part in divmod(digits[0], 9))
    assert len(digits) == 4 + 2 * across * down
    highest = (digits[1] + 1) / 166
    average = sum(digit * 83**place for place, digit in enumerate(reversed(digits[2:6])))
    waves = [light(np.array([average >> 16, average >> 8 & 255, average & 255], float))]
    for at in range(6, len(digits), 2):
        value = digits[at] * 83 + digits[at + 1]
        steps = np.array([value // 361, value // 19 % 19, value % 19], float) - 9
        waves.append(np.sign(steps) * (steps / 9) ** 2 * highest)
    # A decoder may look at any points of the picture; these are the middles of the pixels.
    shown = sum_of(np.array(waves).reshape(down, across, 3), width, height)
    return levels(shown)


def thumbhash_shown(hashed: str) -> Floats:
    """Return the picture (rows of RGBA, 0-255, edges up to 32) that a ThumbHash tells, by evanw/thumbhash."""
    data = b64decode(hashed, validate=True)
    head, second = int.from_bytes(data[:3], "little"), int.from_bytes(data[3:5], "little")
    alpha, landscape = head >> 23 & 1, second >> 15 & 1
    most, told = 5 if alpha else 7, second & 7
    across, down = (most, told) if landscape else (told, most)
    steps = [nibble for byte in data[6 if alpha else 5 :] for nibble in (byte & 15, byte >> 4)]

    def channel(mean: float, scale: float, columns: int, rows: int) -> Floats:
        waves = np.zeros((rows, columns, 1))
        waves[0, 0] = mean
        for y in range(rows):
            for x in range(columns):
                if (x or y) and x * rows < columns * (rows - y):
                    waves[y, x] = 2 * (steps.pop(0) / 7.5 - 1) * scale
        return sum_of(waves, *size)[..., 0]

    ratio = across / down
    size = (round(32 * min(1, ratio)), round(32 / max(1, ratio)))
    brightness = channel((head & 63) / 63, (head >> 18 & 31) / 31, max(3, across), max(3, down))
    yellow = channel((head >> 6 & 63) / 31.5 - 1, (second >> 3 & 63) / 63 * 1.25, 3, 3)
    red_green = channel((head >> 12 & 63) / 31.5 - 1, (second >> 9 & 63) / 63 * 1.25, 3, 3)
    opacity = channel((data[5] & 15) / 15, (data[5] >> 4) / 15, 5, 5) if alpha else np.ones(size[::-1])
    assert not any(steps)
    blue = brightness - 2 / 3 * yellow
    red = (3 * brightness - blue + red_green) / 2
    return np.clip(np.stack([red, red - red_green, blue, opacity], axis=-1), 0, 1) * 255


def sum_of(waves: Floats, width: int, height: int) -> Floats:
    """Return the sum of cosine waves (rows of columns of channels) at the middles of pixels."""
    down, across, _ = waves.shape
    columns = np.cos(np.pi / width * np.outer(np.arange(across), np.arange(width) + 0.5))
    rows = np.cos(np.pi / height * np.outer(np.arange(down), np.arange(height) + 0.5))
    summed: Floats = np.einsum("dac,aw,dh->hwc", waves, columns, rows)
    return summed


def smooth(image: Image.Image, across: int, down: int, width: int = 32, height: int = 32) -> Floats:
    """Return what a BlurHash of so many waves would tell of a picture (RGB, 0-255) if it had room for all digits."""
    linear = light(np.arange(256.0))[np.asarray(image.convert("RGB"))]
    rows, columns, _ = linear.shape
    over = np.cos(np.pi / columns * np.outer(np.arange(across), np.arange(columns) + 0.5))
    under = np.cos(np.pi / rows * np.outer(np.arange(down), np.arange(rows) + 0.5))
    waves = 2 * np.einsum("hwc,aw,dh->dac", linear, over, under, optimize=True) / (rows * columns)
    waves[0, 0] /= 2
    return levels(sum_of(waves, width, height))


def light(values: Floats) -> Floats:
    """Return the light (0-1) of levels of sRGB (IEC 61966-2-1)."""
    shares = values / 255
    return np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)


def levels(linear: Floats) -> Floats:
    """Return the levels of sRGB of light."""
    clipped = np.clip(linear, 0, 1)
    return 255 * np.where(clipped <= 0.0031308, clipped * 12.92, 1.055 * clipped ** (1 / 2.4) - 0.055)
