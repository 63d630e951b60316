"""The crop of an upload: which texts are boxes, and which pixels they name."""

from __future__ import annotations

import random
from typing import Any

import pytest

from mediagate.errors import InvalidCrop
from mediagate.values import CropBox, read_crop


@pytest.mark.parametrize("value", ["0.1,0.2,0.5,0.25", " 0.1, 0.2 ,0.5,2.5e-1", (0.1, 0.2, 0.5, 0.25)])
def test_crop_is_read_from_text_and_numbers(value: Any) -> None:
    box = read_crop(value)
    assert box == CropBox(0.1, 0.2, 0.5, 0.25)
    box.check()
    assert read_crop(str(box)) == box


@pytest.mark.parametrize("value", [None, "", "0,0,1,1", "0,0,1.0,1e0", (0, 0, 1, 1)])
def test_crop_of_everything_is_none(value: Any) -> None:
    assert read_crop(value) is None


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("0,0,1", "four numbers"),
        ("0,0,1,1,1", "four numbers"),
        ("a,b,c,d", "four numbers"),
        ("nan,0,1,1", "four numbers"),
        ("0,0,nan,0.5", "four numbers"),
        ("0,0,0.5,nan", "four numbers"),
        ("0,0,inf,1", "four numbers"),
        ("-0.1,0,1,1", "four numbers"),
        ("0,0,0,1", "above 0"),
        ("0.5,0.5,0,0", "above 0"),
        ("0.6,0,0.5,1", "leaves the picture"),
        ("0,0.00001,1,1", "leaves the picture"),
        ((True, 0, 0.5, 1), "four numbers"),
        ((0, 0, None, 1), "four numbers"),
        (7, "four numbers"),
        ("0," * 5000, "four numbers"),
    ],
)
def test_crop_outside_the_picture_is_refused(value: Any, told: str) -> None:
    box = read_crop(value)
    assert box is not None
    with pytest.raises(InvalidCrop, match=told):
        box.check()


def test_crop_whose_sum_is_rounded_up_is_accepted() -> None:
    box = CropBox(0.8, 0.7 + 0.1 + 0.1, 0.2, 0.1 + 0.00000000001)
    assert box.y + box.height > 1
    box.check()
    assert box.on((10, 10)) == (8, 9, 10, 10)


def test_crop_has_pixels_inside_every_picture() -> None:
    chance = random.Random(7)
    for _ in range(2000):
        x, y = chance.random(), chance.random()
        box = CropBox(x, y, (1 - x) * chance.random() or 1e-9, (1 - y) * chance.random() or 1e-9)
        width, height = chance.randint(1, 50), chance.randint(1, 5000)
        left, top, right, bottom = box.on((width, height))
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height
        assert abs(left - x * width) <= 1
        assert abs(bottom - (box.y + box.height) * height) <= 1.5


def test_crop_halves_share_their_edge() -> None:
    assert CropBox(0, 0, 0.5, 1).on((101, 3))[2] == CropBox(0.5, 0, 0.5, 1).on((101, 3))[0]
