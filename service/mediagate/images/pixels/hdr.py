"""Pictures in PQ and HLG, tone-mapped for displays without high dynamic range."""

from __future__ import annotations

import math
from functools import lru_cache

from PIL import ImageFilter

from mediagate.images.pixels.code_points import HLG, PRIMARIES, CodePoints
from mediagate.images.pixels.primaries import BT_2020, Primaries, Vector, multiply

_SDR_WHITE = 203.0
"""cd/m² of diffuse white (ITU-R BT.2408, section 2.1)."""
PEAK = 1000.0
"""cd/m² of the brightest light, where the file does not say; HLG is made for such a display (BT.2100, table 5)."""
_WHITE_AT_PEAK = 0.5
"""The value of diffuse white, so that highlights up to 1000 cd/m² and more have room above it."""
_KAPPA = 0.65
"""How far along the knee the middle control point lies."""
_SYSTEM_GAMMA = 1.2
"""Of HLG on a display of 1000 cd/m² (ITU-R BT.2100, table 5)."""
_STEPS = 33
"""Entries of the table per channel."""


@lru_cache(maxsize=8)
def tone_mapping(points: CodePoints, peak: float, target: Primaries) -> ImageFilter.Color3DLUT:
    """Return a filter from 8-bit RGB in PQ or HLG to 8-bit RGB with the curve of sRGB and the target's primaries.

    ``peak`` is the brightest light of the picture in cd/m².

    The filter is the reference white tone mapping of SMPTE ST 2094-50, which Chromium applies: linear up to diffuse
    white, then a quadratic Bézier curve up to the peak. The gain depends on the largest of the three channels in
    BT.2020, which preserves hues.
    """
    tone = _ToneCurve(peak)
    source = PRIMARIES[points.primaries]
    working, shown = source.to(BT_2020), BT_2020.to(target)
    luminance = source.to_xyz()[1]
    light = [_hlg(at / (_STEPS - 1)) if points.transfer == HLG else _pq(at / (_STEPS - 1)) for at in range(_STEPS)]

    def mapped(red: float, green: float, blue: float) -> Vector:
        # The filter's positions are on the grid, so the light can be looked up.
        signal = (_at(light, red), _at(light, green), _at(light, blue))
        if points.transfer == HLG:
            signal = _scaled(signal, PEAK / _SDR_WHITE * _scene_gain(luminance, signal))
        scene = multiply(working, signal)
        brightest = max(scene)
        if brightest <= 0:
            return 0.0, 0.0, 0.0
        r, g, b = multiply(shown, _scaled(scene, tone(brightest) / brightest))
        return _encoded(r), _encoded(g), _encoded(b)

    return ImageFilter.Color3DLUT.generate(_STEPS, mapped)


def _at(light: list[float], position: float) -> float:
    return light[round(position * (_STEPS - 1))]


def _scaled(vector: Vector, factor: float) -> Vector:
    return vector[0] * factor, vector[1] * factor, vector[2] * factor


def _pq(value: float) -> float:
    """Return light relative to diffuse white (ITU-R BT.2100, table 4)."""
    power = value ** (32 / 2523)
    return float(10000 * (max(power - 0.8359375, 0) / (18.8515625 - 18.6875 * power)) ** (16384 / 2610)) / _SDR_WHITE


def _hlg(value: float) -> float:
    """Return the light of the scene, 0 to 1 (ITU-R BT.2100, table 5)."""
    if value <= 0.5:
        return value * value / 3
    return (math.exp((value - 0.55991073) / 0.17883277) + 0.28466892) / 12


def _scene_gain(luminance: Vector, signal: Vector) -> float:
    light = sum(weight * channel for weight, channel in zip(luminance, signal, strict=True))
    return float(max(light, 0.0) ** (_SYSTEM_GAMMA - 1))


class _ToneCurve:
    """Maps scene light, relative to diffuse white, to display light, relative to the display's maximum."""

    def __init__(self, peak: float) -> None:
        self._peak = max(peak / _SDR_WHITE, 1.0)
        room = min(math.log2(self._peak) / math.log2(PEAK / _SDR_WHITE), 1.0)
        self._white = 1 - (1 - _WHITE_AT_PEAK) * room
        # The control points are (1, white), (middle, ...) and (peak, 1); the first two continue the linear part.
        self._middle = 1 - _KAPPA + _KAPPA / self._white

    def __call__(self, light: float) -> float:
        if light <= 1:
            return light * self._white
        if light >= self._peak:
            return 1.0
        a, b = 1 - 2 * self._middle + self._peak, 2 * (self._middle - 1)
        t = (math.sqrt(b * b + 4 * a * (light - 1)) - b) / (2 * a)
        return (1 - t) ** 2 * self._white + 2 * t * (1 - t) * self._middle * self._white + t * t


def _encoded(light: float) -> float:
    """Return the sRGB value of linear light (IEC 61966-2-1), mirrored below 0.

    Values outside 0 to 1 are clipped after the interpolation, which would otherwise be wrong next to clipped entries.
    """
    if light < 0:
        return -_encoded(-light)
    return float(12.92 * light if light <= 0.0031308 else 1.055 * light ** (1 / 2.4) - 0.055)
