"""The colours that the code points of ITU-T H.273 (ISO/IEC 23091-2) describe, as browsers read them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeAlias

from mediagate.images.pixels.primaries import BT_709, BT_2020, D65, DISPLAY_P3, Primaries

Curve: TypeAlias = Callable[[float], float]
"""From a coded value to linear light, both 0 to 1."""
PQ, HLG = 16, 18
_SRGB_PRIMARIES, _SRGB_TRANSFER = 1, 13
_C = (0.310, 0.316)
PRIMARIES: Mapping[int, Primaries] = {
    1: BT_709,
    4: Primaries((0.67, 0.33), (0.21, 0.71), (0.14, 0.08), _C),
    5: Primaries((0.64, 0.33), (0.29, 0.60), (0.15, 0.06), D65),
    6: Primaries((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), D65),
    7: Primaries((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), D65),
    8: Primaries((0.681, 0.319), (0.243, 0.692), (0.145, 0.049), _C),
    9: BT_2020,
    10: Primaries((1.0, 0.0), (0.0, 1.0), (0.0, 0.0), (1 / 3, 1 / 3)),
    11: Primaries((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), (0.314, 0.351)),
    12: DISPLAY_P3,
    22: Primaries((0.630, 0.340), (0.295, 0.605), (0.155, 0.077), D65),
}
"""H.273, table 2."""


def srgb(value: float) -> float:
    """Return the linear light of an sRGB value (IEC 61966-2-1)."""
    return value / 12.92 if value <= 0.04045 else float(((value + 0.055) / 1.055) ** 2.4)


def gamma(exponent: float) -> Curve:
    return lambda value: float(value**exponent)


def _smpte_240(value: float) -> float:
    return value / 4 if value <= 4 * 0.0228 else float(((value + 0.1115) / 1.1115) ** (1 / 0.45))


def _smpte_428(value: float) -> float:
    return min(52.37 / 48 * float(value**2.6), 1.0)


_BT_1886 = gamma(2.4)
"""The curve of displays for BT.709 and related transfers (ITU-R BT.1886); Chromium applies it to PNG."""
CURVES: Mapping[int, Curve] = {
    1: _BT_1886,
    4: gamma(2.2),
    5: gamma(2.8),
    6: _BT_1886,
    7: _smpte_240,
    8: gamma(1.0),
    11: _BT_1886,
    13: srgb,
    14: _BT_1886,
    15: _BT_1886,
    17: _smpte_428,
}
"""H.273, table 3, without PQ and HLG."""
_SRGB_IN_PROFILES = (1, 6, 11)
_SRGB_IN_VIDEO = (1, 2, 6, 14, 15)
"""BT.709, related transfers and unspecified, which Chromium 156 reads as sRGB in ICC profiles and in AVIF."""


class CodePoints(NamedTuple):
    """The primaries and the transfer characteristics of a picture."""

    primaries: int
    transfer: int

    @property
    def known(self) -> bool:
        """Whether both have a meaning; Chromium ignores the pair in PNG and in ICC profiles otherwise."""
        return self.primaries in PRIMARIES and (self.transfer in CURVES or self.is_hdr)

    @property
    def is_hdr(self) -> bool:
        return self.transfer in (PQ, HLG)

    @property
    def is_srgb(self) -> bool:
        return self == (_SRGB_PRIMARIES, _SRGB_TRANSFER)

    def for_profile(self) -> CodePoints:
        """Return the pair as browsers read it in an ICC profile."""
        return self._replace(transfer=_SRGB_TRANSFER) if self.transfer in _SRGB_IN_PROFILES else self

    def for_video(self) -> CodePoints:
        """Return the pair as browsers read it in AVIF, where each code point has its own default.

        Measured in Chromium 156: undefined primaries are read as BT.709, the transfer of BT.709 and related ones as
        sRGB, and a pair with a reserved transfer as sRGB.
        """
        transfer = _SRGB_TRANSFER if self.transfer in _SRGB_IN_VIDEO else self.transfer
        if transfer not in CURVES and transfer not in (PQ, HLG):
            return CodePoints(_SRGB_PRIMARIES, _SRGB_TRANSFER)
        return CodePoints(self.primaries if self.primaries in PRIMARIES else _SRGB_PRIMARIES, transfer)
