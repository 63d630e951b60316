"""BlurHash (https://blurha.sh): a placeholder of 28 characters.

Follows https://github.com/woltapp/blurhash/blob/master/Algorithm.md with one difference: waves are sampled at the
middle of each pixel, not at its left edge. Sampled at the edge, the waves of a single colour do not sum to 0, and a
plain picture decodes to stripes, more visibly the fewer pixels it has.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

from mediagate.images.waves import waves

COMPONENTS = (4, 3)
"""Waves across and down, as in BlurHash's own documentation."""
SIDE = 64
"""Width and height in pixels of the picture to hash, whatever its proportions: a hash does not store them."""
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz#$%*+,-.:;=?@[]^_{|}~"
_LIGHT = [
    level / 12.92 if level <= 0.04045 else ((level + 0.055) / 1.055) ** 2.4 for level in (at / 255 for at in range(256))
]
"""The light (0-1) of each level of sRGB (IEC 61966-2-1)."""


def blurhash_of(width: int, height: int, rgb: bytes) -> str:
    """Return the BlurHash of ``height x width x 3`` bytes; raises ``ValueError`` when there are fewer or more."""
    if not (width > 0 and height > 0 and len(rgb) == width * height * 3):
        raise ValueError(f"{len(rgb)} bytes do not make an RGB picture of {width} x {height} pixels")
    across, down = COMPONENTS
    wanted = [(x, y) for y, x in product(range(down), range(across))]
    planes = [waves([_LIGHT[level] for level in rgb[channel::3]], width, wanted) for channel in range(3)]
    average, *others = zip(*planes, strict=True)
    # The format counts each wave twice, except the average.
    highest = 2 * max(abs(share) for wave in others for share in wave)
    scale = max(0, min(82, int(highest * 166 - 0.5)))
    words = [
        _in_base_83((across - 1) + (down - 1) * 9, 1),
        _in_base_83(scale, 1),
        _in_base_83(_packed([_level(light) for light in average], 256), 4),
        *(_in_base_83(_packed([_step(share * 2 * 166 / (scale + 1)) for share in wave], 19), 2) for wave in others),
    ]
    return "".join(words)


def _level(light: float) -> int:
    """Return the sRGB level of linear light (0-1)."""
    share = light * 12.92 if light <= 0.0031308 else 1.055 * light ** (1 / 2.4) - 0.055
    return max(0, min(255, int(share * 255 + 0.5)))


def _step(share: float) -> int:
    """Quantize a share (-1 to 1) of the highest wave to one of 19 steps: 9 is 0, steps grow quadratically."""
    root: float = abs(share) ** 0.5 * (1 if share >= 0 else -1)
    return max(0, min(18, int(root * 9 + 9.5)))


def _packed(digits: Sequence[int], base: int) -> int:
    value = 0
    for digit in digits:
        value = value * base + digit
    return value


def _in_base_83(value: int, length: int) -> str:
    return "".join(_DIGITS[value // 83**place % 83] for place in reversed(range(length)))
