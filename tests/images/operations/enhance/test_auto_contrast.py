"""auto_contrast, beside Pillow's own."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageOps

from tests.support.charts import ramp
from tests.support.photos import ASTRONAUT, CAT, photo
from tests.support.recipes import applied, array, image_of, still

FLAT = [60 + level // 3 for level in range(256)] * 3
"""Of a picture without black and white."""


@pytest.mark.parametrize("name", [ASTRONAUT, CAT])
@pytest.mark.parametrize("cutoff", [0, 2])
def test_auto_contrast_is_that_of_pillow(name: str, cutoff: int) -> None:
    picture = photo(name).point(FLAT)
    expected = ImageOps.autocontrast(picture, cutoff, preserve_tone=True)
    assert np.abs(array(image_of(picture, "auto_contrast", cutoff=cutoff)) - array(expected)).max() <= 1


def test_auto_contrast_spreads_luma_from_0_to_255() -> None:
    grey = photo(CAT).convert("L").convert("RGB")
    assert image_of(grey.point(FLAT), "auto_contrast", cutoff=0).convert("L").getextrema() == (0, 255)


def test_auto_contrast_keeps_grey_grey() -> None:
    picture = Image.merge("RGB", [Image.linear_gradient("L").point(FLAT[:256])] * 3)
    made = array(image_of(picture, "auto_contrast"))
    assert np.ptp(made, axis=2).max() == 0 and made.max() == 255


def test_auto_contrast_does_not_count_transparent_pixels() -> None:
    picture = Image.new("RGBA", (60, 20), (0, 0, 0, 0))
    picture.paste((100, 100, 100, 255), (0, 0, 20, 20))
    picture.paste((150, 150, 150, 255), (20, 0, 40, 20))
    made = array(image_of(picture, "auto_contrast", cutoff=0))
    assert set(made[:, :20, 0].flat) == {0} and set(made[:, 20:40, 0].flat) == {255}
    assert set(made[:, 40:, 3].flat) == {0} and set(made[:, :40, 3].flat) == {255}


def test_auto_contrast_changes_all_frames_alike() -> None:
    dark, light = (Image.new("RGB", (8, 8), (level,) * 3) for level in (100, 110))
    both = Image.new("RGB", (8, 8), (90,) * 3)
    both.paste((140,) * 3, (4, 0, 8, 8))
    made = applied(still(dark, light, both), "auto_contrast", cutoff=0)
    levels = [array(image)[0, 0, 0] for image in made.images]
    assert levels == [round(10 * 255 / 50), round(20 * 255 / 50), 0]


@pytest.mark.parametrize("picture", [Image.new("RGB", (9, 9), "grey"), Image.new("RGBA", (9, 9)), ramp(1, 1)])
def test_auto_contrast_of_one_colour_changes_nothing(picture: Image.Image) -> None:
    assert image_of(picture, "auto_contrast").tobytes() == picture.tobytes()
