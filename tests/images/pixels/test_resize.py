"""Resizing: sizes, crops and orientation of variants, compared with plainly made references."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from PIL import Image
from PIL.Image import Transpose

from mediagate import Source, VariantSpec
from mediagate.images.render import render
from tests.support.charts import CORNERS, corners, ramp, saved
from tests.support.references import Box, colour_difference, reference, resized
from tests.support.rendered import MIDDLE, lossless, picture, variants

pytestmark = pytest.mark.usefixtures("each_resizer")


@pytest.mark.parametrize("image_format", ["JPEG", "PNG"])
@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((1, 1), [(1, 1), (1, 1), (1, 1)]),
        ((1, 3000), [(1, 3000), (1, 3000), (1, 300)]),
        ((3, 5000), [(3, 5000), (3, 5000), (1, 300)]),
        ((5000, 3), [(64, 1), (640, 1), (5000, 3)]),
        ((63, 65), [(63, 65), (63, 65), (63, 65)]),
        ((641, 479), [(64, 48), (640, 478), (401, 300)]),
        ((1279, 11), [(64, 1), (640, 6), (1279, 11)]),
        ((1281, 11), [(64, 1), (640, 5), (1281, 11)]),
        ((1921, 1079), [(64, 36), (640, 359), (534, 300)]),
        ((1277, 1601), [(64, 80), (640, 802), (239, 300)]),
    ],
    ids=str,
)
def test_variant_has_its_exact_size(size: tuple[int, int], expected: list[tuple[int, int]], image_format: str) -> None:
    source = Source(
        variants={"xs": lossless(width=64), "md": lossless(width=640), "low": lossless(height=300)}, original="keep"
    )
    data = saved(ramp(*size), image_format)
    rendered = render(data, source, MIDDLE, None)
    assert [picture(file).size for file in rendered.variants] == expected
    assert picture(rendered.original).size == size


@pytest.mark.parametrize(
    "width",
    [1278, 1279, 1280, 1281, 1282, 2557, 2559, 2560, 2561, 2563],
)
@pytest.mark.parametrize("kept", ["keep", "delete"])
def test_variant_is_not_shifted_near_multiples_of_its_width(width: int, kept: Literal["keep", "delete"]) -> None:
    data = saved(ramp(width, 201), "JPEG", quality=95, subsampling=0)
    made = variants(Source(variants={"md": lossless(width=640)}, original=kept), data)["md"]
    assert made.size == (640, round(201 * 640 / width))
    shift = np.asarray(made, dtype=float) - np.asarray(reference(data, made.size))
    # A shift by one pixel of a picture of 50 rows changes levels by 5.
    # A picture decoded at full size is reduced in one more step, whose rounding adds a little.
    assert np.abs(shift.mean(axis=(0, 1))).max() <= {"keep": 0.35, "delete": 0.3}[kept]
    assert np.abs(shift).max() <= 4


@pytest.mark.parametrize(
    ("focal", "box"),
    [
        ((0.0, 0.0), (0, 0, 900, 900)),
        ((1.0, 0.0), (450, 0, 1350, 900)),
        ((0.0, 1.0), (0, 0, 900, 900)),
        ((1.0, 1.0), (450, 0, 1350, 900)),
        ((0.5, 0.5), (225, 0, 1125, 900)),
        ((0.4, 0.2), (90, 0, 990, 900)),
    ],
    ids=str,
)
@pytest.mark.parametrize("tall", [False, True])
def test_crop_follows_the_focal_point(focal: tuple[float, float], box: Box, tall: bool) -> None:
    size, whole = (1350, 900), (300, 200)
    if tall:
        size, whole, focal, box = (900, 1350), (200, 300), (focal[1], focal[0]), (box[1], box[0], box[3], box[2])
    data = saved(corners(*size), "JPEG")
    specs = {
        "all": lossless(width=300, height=300),
        "cut": VariantSpec(width=200, height=200, fit="cover", format="png"),
    }
    made = variants(Source(variants=specs, original="delete"), data, focal)
    for name, expected, shown in (("all", whole, None), ("cut", (200, 200), box)):
        assert made[name].size == expected
        assert colour_difference(made[name], reference(data, expected, shown)) < 0.5


def test_crop_of_a_too_small_picture_keeps_its_aspect_ratio() -> None:
    data = saved(corners(99, 61), "PNG")
    source = Source(variants={"cut": VariantSpec(width=640, height=320, fit="cover", format="png")})
    made = variants(source, data, (1.0, 1.0))["cut"]
    assert made.size == (99, 50)
    assert colour_difference(made, reference(data, (99, 50), (0, 11, 99, 61))) < 0.5


STORED = {
    1: None,
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_90,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_270,
}
"""How a camera stores an upright picture under each orientation (Exif 2.32, section 4.6.4)."""


@pytest.mark.parametrize(
    ("image_format", "original"), [("JPEG", "keep"), ("JPEG", "delete"), ("PNG", "keep"), ("WEBP", "keep")]
)
@pytest.mark.parametrize("orientation", STORED)
def test_files_are_upright_for_every_exif_orientation(
    orientation: int, image_format: str, original: Literal["keep", "delete"]
) -> None:
    size = (1301, 903) if image_format == "JPEG" else (301, 203)
    upright, turn = corners(*size), STORED[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True, "method": 0} if image_format == "WEBP" else {}
    data = saved(upright if turn is None else upright.transpose(turn), image_format, exif=exif.tobytes(), **options)
    source = Source(variants={"xs": lossless(width=200), "sm": lossless(width=61)}, original=original)
    rendered = render(data, source, MIDDLE, None)
    assert (rendered.original is not None) == (original == "keep")
    for file in (*rendered.variants, *([rendered.original] if rendered.original else [])):
        image = picture(file).convert("RGB")
        right, bottom = image.width - 4, image.height - 4
        seen = [image.getpixel(at) for at in ((3, 3), (right, 3), (3, bottom), (right, bottom))]
        assert np.abs(np.array(seen, dtype=int) - CORNERS).max() <= 6, file.name
        assert colour_difference(image, resized(upright, image.size)) < 0.6, file.name
        if file.name == "original":
            assert image.size == size
            assert image_format == "JPEG" or image.tobytes() == upright.tobytes()


def test_variant_is_not_made_from_a_smaller_one() -> None:
    picture = corners(96, 8)
    source = Source(variants={"small": lossless(width=93), "whole": lossless(width=512)}, original="delete")
    assert variants(source, saved(picture, "PNG"))["whole"].convert("RGB").tobytes() == picture.tobytes()
