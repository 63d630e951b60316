"""crop: boxes in pixels and fractions, aspect ratios around a point, and the part with most details."""

from __future__ import annotations

from typing import Any

import pytest
from PIL import Image

from mediagate.errors import OperationFailed
from tests.support.charts import chart, corners
from tests.support.recipes import applied, faults, image_of, still


@pytest.mark.parametrize(
    ("params", "box"),
    [
        ({"x": 10, "y": 20, "width": 30, "height": 40}, (10, 20, 40, 60)),
        ({"x": 0, "y": 0, "width": 1, "height": 1}, (0, 0, 1, 1)),
        ({"x": 90, "y": 90, "width": 500, "height": 500}, (90, 90, 200, 100)),
        ({"x": 0.25, "y": 0.5, "width": 0.5, "height": 0.5, "unit": "fraction"}, (50, 50, 150, 100)),
        ({"x": 0, "y": 0, "width": 1, "height": 1, "unit": "fraction"}, (0, 0, 200, 100)),
        ({"x": 0.5, "y": 0, "width": 1e-9, "height": 1e-9, "unit": "fraction"}, (100, 0, 101, 1)),
        ({"x": 0.333, "y": 0, "width": 0.001, "height": 1, "unit": "fraction"}, (66, 0, 67, 100)),
        ({"aspect": "1:1"}, (50, 0, 150, 100)),
        ({"aspect": "1:1", "focal_x": 0.0}, (0, 0, 100, 100)),
        ({"aspect": "1:1", "focal_x": 1.0}, (100, 0, 200, 100)),
        ({"aspect": "4:1", "focal_y": 1.0}, (0, 50, 200, 100)),
        ({"aspect": "2:1"}, (0, 0, 200, 100)),
        ({"aspect": "9999:1"}, (0, 50, 200, 51)),
    ],
)
def test_crop_keeps_this_box(params: dict[str, Any], box: tuple[int, int, int, int]) -> None:
    picture = corners(200, 100)
    made = image_of(picture, "crop", **params)
    assert made.size == (box[2] - box[0], box[3] - box[1])
    assert made.tobytes() == picture.crop(box).tobytes()


def test_crop_to_content_finds_details() -> None:
    picture = Image.new("RGB", (600, 200), "white")
    picture.paste(chart(150, 200), (430, 0))
    made = image_of(picture, "crop", aspect="1:1", to="content")
    assert made.tobytes() == picture.crop((400, 0, 600, 200)).tobytes()


def test_crop_to_content_of_a_plain_picture_is_its_middle() -> None:
    assert image_of(Image.new("RGB", (300, 100), "red"), "crop", aspect="1:1", to="content").size == (100, 100)


def test_crop_outside_of_the_picture_fails() -> None:
    with pytest.raises(OperationFailed, match="the picture, which has 200 x 100 pixels"):
        image_of(corners(200, 100), "crop", x=200, y=0, width=5, height=5)


def test_crop_works_on_every_frame() -> None:
    made = applied(still(corners(20, 20), corners(20, 20)), "crop", x=0, y=0, width=5, height=5)
    assert [image.size for image in made.images] == [(5, 5)] * 2


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"x": 1, "y": 1, "width": 1},
        {"x": 0.5, "y": 0, "width": 5, "height": 5},
        {"x": 0, "y": 0, "width": 1.5, "height": 1, "unit": "fraction"},
        {"x": 0, "y": 0, "width": 0, "height": 1},
        {"x": 0, "y": 0, "width": 5, "height": 5, "aspect": "1:1"},
        {"aspect": "1/1"},
        {"aspect": "0:3"},
        {"aspect": "12345:1"},
    ],
)
def test_crop_refuses_ambiguous_and_impossible_boxes(params: dict[str, Any]) -> None:
    assert faults({"op": "crop", **params})
