"""The ICC profile of published Display P3 pictures."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageCms

from mediagate.images.pixels.icc import display_p3_profile, tags
from tests.support.colorimetry import P3, SRGB_CURVE, chart, converted, decoded, levels, matrix_profile, parametric

DISPLAY_P3_COLORANTS = {
    b"rXYZ": (0.5151, 0.2412, -0.0011),
    b"gXYZ": (0.2920, 0.6922, 0.0419),
    b"bXYZ": (0.1571, 0.0666, 0.7841),
}
"""The columns of the matrix from Display P3 to XYZ, adapted to D50 (CSS Color 4, section 10.3)."""


def numbers(tag: bytes, start: int = 8) -> list[float]:
    offset, size = tags(display_p3_profile())[tag]
    body = display_p3_profile()[offset + start : offset + size]
    return [value / 65536 for value in struct.unpack(f">{len(body) // 4}i", body)]


def test_display_p3_profile_has_a_valid_header() -> None:
    icc = display_p3_profile()
    assert int.from_bytes(icc[:4]) == len(icc) < 700
    assert (icc[8], icc[12:24], icc[36:40]) == (4, b"mntrRGB XYZ ", b"acsp")
    assert struct.unpack(">3i", icc[68:80]) == (0xF6D6, 0x10000, 0xD32D)


def test_display_p3_profile_has_the_d50_white_point() -> None:
    assert numbers(b"wtpt") == pytest.approx((0.9642, 1, 0.8249), abs=2e-5)
    adapted = np.array(numbers(b"chad")).reshape(3, 3) @ (0.3127 / 0.3290, 1, 0.3583 / 0.3290)
    assert adapted == pytest.approx((0.9642, 1, 0.8249), abs=1e-4)


@pytest.mark.parametrize("tag", DISPLAY_P3_COLORANTS)
def test_display_p3_profile_has_the_colorants_of_css_color_4(tag: bytes) -> None:
    assert numbers(tag) == pytest.approx(DISPLAY_P3_COLORANTS[tag], abs=2e-4)


def test_display_p3_profile_has_the_curve_of_srgb() -> None:
    for tag in (b"rTRC", b"gTRC", b"bTRC"):
        assert numbers(tag, 12) == pytest.approx(SRGB_CURVE[1:], abs=2e-5)


@pytest.mark.parametrize("intent", list(ImageCms.Intent))
def test_display_p3_profile_is_read_by_lcms(intent: ImageCms.Intent) -> None:
    source = ImageCms.ImageCmsProfile(io.BytesIO(display_p3_profile()))
    srgb = ImageCms.ImageCmsProfile(io.BytesIO(matrix_profile(curve=parametric(*SRGB_CURVE))))
    shown = ImageCms.profileToProfile(Image.fromarray(chart()), source, srgb, intent)
    assert shown is not None
    assert np.abs(levels(shown) - converted(decoded(chart() / 255), P3)).max() <= 3
