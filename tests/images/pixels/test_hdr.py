"""HDR conversion of PQ and HLG, against the formulas of ITU-R BT.2100 and SMPTE ST 2094-50."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from PIL import Image

from mediagate.images.pixels.conversion import Conversion, read_conversion
from tests.support.colorimetry import (
    BT2020,
    D65,
    P3,
    SRGB,
    Floats,
    chart,
    cicp,
    converted,
    encoded,
    levels,
    png,
    rgb_to_xyz,
)

PEAK = 1000 / 203


@pytest.mark.parametrize("primaries", [(1, SRGB), (9, BT2020), (12, P3)], ids=["BT.709", "BT.2020", "P3"])
@pytest.mark.parametrize("transfer", [16, 18], ids=["PQ", "HLG"])
@pytest.mark.parametrize("target", [SRGB, P3], ids=["to sRGB", "to P3"])
def test_hdr_is_tone_mapped(
    primaries: tuple[int, tuple[tuple[float, float], ...]], transfer: int, target: tuple[tuple[float, float], ...]
) -> None:
    conversion, _ = hdr(primaries[0], transfer)
    apply = conversion.to_srgb if target is SRGB else conversion.to_display_p3
    found = levels(apply(Image.fromarray(chart())))
    difference = np.abs(found - reference(chart() / 255, primaries[1], transfer, target))
    # The table has 33 steps; its error is largest where a channel begins to clip.
    assert float(difference.mean()) < 0.8
    assert float(np.percentile(difference, 99)) < 14


@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG")])
def test_hdr_conversion_adds_a_warning(transfer: int, name: str) -> None:
    conversion, warnings = hdr(9, transfer)
    assert warnings == [f"the picture is HDR ({name}); it was tone-mapped to SDR"]
    assert conversion.wide


def test_diffuse_white_leaves_room_for_highlights() -> None:
    conversion, _ = hdr(1, 16)
    white = round(255 * 0.5807)  # 203 cd/m² in PQ (ITU-R BT.2408, table 1)
    shown = conversion.to_srgb(Image.new("RGB", (1, 1), (white, white, white)))
    assert levels(shown)[0, 0] == pytest.approx(188, abs=3)  # half of the light


@pytest.mark.parametrize(("peak", "shown"), [(203, 1), (400, 0.787), (1000, 0.5), (4000, 0.5)])
def test_diffuse_white_depends_on_the_declared_peak(peak: int, shown: float) -> None:
    data = png(chart(), cicp(1, 16), (b"cLLI", struct.pack(">2I", peak * 10_000, 1)))
    conversion = read_conversion(Image.new("RGB", (1, 1)), data, "png", [])
    assert conversion is not None
    # 128 is 94 cd/m² (ITU-R BT.2100, table 4).
    grey = conversion.to_srgb(Image.new("RGB", (1, 1), (128, 128, 128)))
    assert levels(grey)[0, 0] == pytest.approx(encoded(np.full(3, shown * 94.0 / 203)), abs=2)


def test_hdr_keeps_alpha() -> None:
    conversion, _ = hdr(9, 16)
    shown = conversion.to_srgb(Image.new("RGBA", (1, 1), (255, 255, 255, 7)))
    assert (shown.mode, shown.getpixel((0, 0))) == ("RGBA", (255, 255, 255, 7))


def test_hdr_black_stays_black() -> None:
    conversion, _ = hdr(9, 18)
    assert conversion.to_srgb(Image.new("L", (1, 1))).getpixel((0, 0)) == (0, 0, 0)


def hdr(primaries: int, transfer: int) -> tuple[Conversion, list[str]]:
    warnings: list[str] = []
    data = png(chart(), cicp(primaries, transfer))
    conversion = read_conversion(Image.new("RGB", (1, 1)), data, "png", warnings)
    assert conversion is not None
    return conversion, warnings


def reference(
    signal: Floats, source: tuple[tuple[float, float], ...], transfer: int, target: tuple[tuple[float, float], ...]
) -> Floats:
    if transfer == 16:
        power = signal ** (1 / 78.84375)
        light = (
            10000 / 203 * (np.maximum(power - 0.8359375, 0) / (18.8515625 - 18.6875 * power)) ** (1 / 0.1593017578125)
        )
    else:
        scene = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - 0.55991073) / 0.17883277) + 0.28466892) / 12)
        luminance = scene @ rgb_to_xyz(source, D65)[1]
        light = PEAK * scene * np.maximum(luminance, 1e-12)[..., None] ** 0.2
    wide = light @ (np.linalg.inv(rgb_to_xyz(BT2020)) @ rgb_to_xyz(source)).T
    brightest = np.maximum(wide.max(-1, keepdims=True), 1e-12)
    return converted(wide * knee(brightest) / brightest, BT2020, target)


def knee(light: Floats) -> Floats:
    """Return the tone curve from points of its Bézier curve from (1, 0.5) over (1.65, 0.825) to (peak, 1)."""
    t = np.linspace(0, 1, 10001)
    x = (1 - t) ** 2 + 2 * t * (1 - t) * 1.65 + t**2 * PEAK
    y = (1 - t) ** 2 * 0.5 + 2 * t * (1 - t) * 0.825 + t**2
    return np.where(light <= 1, light / 2, np.interp(light, x, y))
