"""Sizes, crops, aspect ratios and dominant colours, computed without encoding."""

from __future__ import annotations

import pytest
from PIL import Image

from mediagate import VariantSpec
from mediagate.images.pixels import aspect_ratio, dominant_color
from mediagate.images.pixels.sizes import shown

MIDDLE = (0.5, 0.5)


@pytest.mark.parametrize(
    ("size", "ratio"),
    [
        ((1200, 800), "3:2"),
        ((4032, 3024), "4:3"),
        ((3024, 4032), "3:4"),
        ((1920, 1080), "16:9"),
        ((1366, 768), "16:9"),
        ((1000, 667), "3:2"),
        ((2560, 1080), "19:8"),
        ((500, 500), "1:1"),
        ((501, 500), "1:1"),
        ((1, 1), "1:1"),
        ((21, 20), "21:20"),
        ((3000, 100), "30:1"),
        ((1, 40000), "1:40000"),
    ],
    ids=str,
)
def test_aspect_ratio_is_a_simple_fraction(size: tuple[int, int], ratio: str) -> None:
    assert aspect_ratio(*size) == ratio
    if ratio not in ("30:1", "1:40000"):
        across, down = map(int, ratio.split(":"))
        assert abs(across / down / (size[0] / size[1]) - 1) <= 0.01


@pytest.mark.parametrize(
    ("size", "spec", "expected"),
    [
        ((4000, 3000), VariantSpec(width=640), (640, 480)),
        ((4000, 3000), VariantSpec(height=300), (400, 300)),
        ((4000, 3000), VariantSpec(width=640, height=240), (320, 240)),
        ((500, 333), VariantSpec(width=640), (500, 333)),
        ((5, 4000), VariantSpec(height=100), (1, 100)),
        ((4000, 3000), VariantSpec(width=200, height=200, fit="cover"), (200, 200)),
        ((150, 100), VariantSpec(width=200, height=200, fit="cover"), (100, 100)),
        ((150, 100), VariantSpec(width=400, height=200, fit="cover"), (150, 75)),
        ((3, 2), VariantSpec(width=500, height=1, fit="cover"), (3, 1)),
        ((100, 40000), VariantSpec(width=640), (41, 16383)),
        ((100, 40000), VariantSpec(width=640, format="png"), (100, 40000)),
    ],
    ids=lambda value: str(value) if isinstance(value, tuple) else None,
)
def test_variant_size_never_exceeds_the_picture(
    size: tuple[int, int], spec: VariantSpec, expected: tuple[int, int]
) -> None:
    plan = shown(size, spec, MIDDLE)
    assert plan.size == expected
    left, top, right, bottom = plan.box
    assert 0 <= left < right <= size[0]
    assert 0 <= top < bottom <= size[1]
    assert plan.scale <= 1.001


def test_crop_stays_inside_the_picture_for_any_focal_point() -> None:
    spec = VariantSpec(width=100, height=100, fit="cover")
    assert shown((400, 200), spec, (0.0, 0.5)).box == (0, 0, 200, 200)
    assert shown((400, 200), spec, (1.0, 0.5)).box == (200, 0, 400, 200)
    assert shown((400, 200), spec, (0.5, 1.0)).box == (100, 0, 300, 200)
    assert shown((200, 400), spec, (0.5, 0.25)).box == (0, 0, 200, 200)
    assert shown((200, 400), spec, (0.5, 0.6)).box == (0, 140, 200, 340)


def test_dominant_color_is_that_of_most_opaque_pixels() -> None:
    picture = Image.new("RGBA", (64, 64), (200, 30, 40, 255))
    picture.paste((0, 0, 255, 255), (0, 0, 64, 20))
    assert dominant_color(picture) == "#c81e28"
    picture.paste((0, 255, 0, 0), (0, 20, 64, 60))
    assert dominant_color(picture) == "#0000ff"
    assert dominant_color(Image.new("RGBA", (8, 8))) == "#ffffff"
    assert dominant_color(Image.new("RGB", (1, 1), (1, 2, 3))) == "#010203"
