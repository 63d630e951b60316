"""ThumbHash (https://evanw.github.io/thumbhash/): a placeholder of about 25 bytes with proportions and alpha.

Follows the algorithm of its author, Evan Wallace (https://github.com/evanw/thumbhash, js/thumbhash.js).
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mediagate.images.waves import Wave, waves

MOST_WAVES, MOST_WAVES_WITH_ALPHA = 7, 5
"""Waves of brightness along the longer edge; the shorter edge has proportionally fewer, at least one."""
COLOUR_WAVES, ALPHA_WAVES = 3, 5
FEWEST_PIXELS = 8
"""The fewest pixels along an edge that suffice for every number of waves."""


@dataclass(frozen=True, slots=True)
class _Channel:
    """The coefficients of a channel: its mean, the others in steps of 0 to 15, and the scale of these steps."""

    mean: float
    steps: list[int]
    scale: float


def thumbhash_of(width: int, height: int, rgba: bytes, shape: tuple[int, int]) -> str:
    """Return the ThumbHash, in Base64, of ``height x width x 4`` bytes that show a picture of ``shape`` pixels.

    The bytes and ``shape`` may differ in proportions, so that a thin picture can be given enough pixels. Raises
    ``ValueError`` for a wrong number of bytes, and for fewer than 8 pixels along an edge.
    """
    if not (width >= FEWEST_PIXELS and height >= FEWEST_PIXELS and len(rgba) == width * height * 4):
        raise ValueError(f"{len(rgba)} bytes do not make an RGBA picture of {width} x {height} pixels, 8 x 8 or more")
    alpha = [level / 255 for level in rgba[3::4]]
    opaque = min(alpha) == 1
    red, green, blue = (_on_average(rgba[channel::4], alpha) for channel in range(3))
    most = MOST_WAVES if opaque else MOST_WAVES_WITH_ALPHA
    across, down = (max(1, _rounded(most * edge / max(shape))) for edge in shape)
    colours = list(zip(red, green, blue, strict=True))
    brightness = _channel([sum(colour) / 3 for colour in colours], width, max(3, across), max(3, down))
    yellow = _channel([(r + g) / 2 - b for r, g, b in colours], width, COLOUR_WAVES, COLOUR_WAVES)
    red_green = _channel([r - g for r, g, _ in colours], width, COLOUR_WAVES, COLOUR_WAVES)
    landscape = shape[0] > shape[1]
    head = _packed(
        (_rounded(63 * brightness.mean), 6),
        (_rounded(31.5 + 31.5 * yellow.mean), 6),
        (_rounded(31.5 + 31.5 * red_green.mean), 6),
        (_rounded(31 * brightness.scale), 5),
        (not opaque, 1),
        (down if landscape else across, 3),
        (_rounded(63 * yellow.scale), 6),
        (_rounded(63 * red_green.scale), 6),
        (landscape, 1),
    )
    steps = [*brightness.steps, *yellow.steps, *red_green.steps]
    if not opaque:
        opacity = _channel(alpha, width, ALPHA_WAVES, ALPHA_WAVES)
        head += _packed((_rounded(15 * opacity.mean), 4), (_rounded(15 * opacity.scale), 4))
        steps += opacity.steps
    return b64encode(head + _packed(*((step, 4) for step in steps))).decode("ascii")


def _on_average(levels: bytes, alpha: Sequence[float]) -> list[float]:
    """Return a channel (0-1) composited onto its own average, weighted by alpha."""
    shown = [level / 255 * opacity for level, opacity in zip(levels, alpha, strict=True)]
    ground = sum(shown) / (sum(alpha) or 1)
    return [level + ground * (1 - opacity) for level, opacity in zip(shown, alpha, strict=True)]


def _channel(values: Sequence[float], width: int, across: int, down: int) -> _Channel:
    mean, *others = waves(values, width, list(_triangle(across, down)))
    scale = max(map(abs, others))
    if scale < 1e-9:  # rounding noise must not become a pattern
        return _Channel(mean, [0] * len(others), 0)
    return _Channel(mean, [_rounded(15 * (0.5 + 0.5 / scale * share)) for share in others], scale)


def _triangle(across: int, down: int) -> Iterable[Wave]:
    """Yield the encoded waves, (0, 0) first: a triangle with fewer waves across the more there are down."""
    return ((x, y) for y in range(down) for x in range(across) if x * down < across * (down - y))


def _rounded(value: float) -> int:
    return int(value + 0.5)


def _packed(*fields: tuple[int, int]) -> bytes:
    """Pack pairs of a number and its bits into bytes, the lowest bits first."""
    value = length = 0
    for number, bits in fields:
        value |= number << length
        length += bits
    return value.to_bytes((length + 7) // 8, "little")
