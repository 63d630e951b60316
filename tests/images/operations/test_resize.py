"""resize and change_dimensions, beside Pillow's own filters and sizes worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.support.charts import chart, corners, ramp
from tests.support.recipes import OPERATIONS, applied, array, image_of, still
from tests.support.references import resized, ssim

pytestmark = pytest.mark.usefixtures("each_resizer")


@pytest.mark.parametrize(
    ("params", "size"),
    [
        ({"width": 100}, (100, 50)),
        ({"height": 100}, (200, 100)),
        ({"width": 100, "height": 100}, (100, 50)),
        ({"width": 800}, (400, 200)),
        ({"width": 800, "enlarge": True}, (800, 400)),
        ({"percent": 50}, (200, 100)),
        ({"percent": 200}, (400, 200)),
        ({"percent": 200, "enlarge": True}, (800, 400)),
        ({"megapixels": 0.02}, (200, 100)),
        ({"megapixels": 8}, (400, 200)),
        ({"megapixels": 0.32, "enlarge": True}, (800, 400)),
        ({"width": 100, "height": 100, "fit": "cover"}, (100, 100)),
        ({"width": 800, "height": 800, "fit": "cover"}, (200, 200)),
        ({"width": 300, "height": 300, "fit": "contain"}, (300, 300)),
        ({"width": 800, "height": 600, "fit": "contain"}, (800, 600)),
        ({"width": 100, "height": 100, "fit": "fill"}, (100, 100)),
        ({"width": 800, "height": 800, "fit": "fill"}, (200, 200)),
        ({"width": 800, "height": 800, "fit": "fill", "enlarge": True}, (800, 800)),
        ({"width": 1}, (1, 1)),
    ],
)
def test_resize_gives_this_size(params: dict[str, Any], size: tuple[int, int]) -> None:
    assert image_of(ramp(400, 200), "resize", **params).size == size


@pytest.mark.parametrize("size", [(300, 200), (97, 65), (700, 466)])
def test_resize_matches_a_single_lanczos_filter(size: tuple[int, int]) -> None:
    picture = chart(600, 400)
    made = image_of(picture, "change_dimensions", width=size[0], height=size[1])
    assert ssim(made, resized(picture, size)) > 0.99


def test_resize_premultiplies_alpha() -> None:
    picture = Image.new("RGBA", (200, 200), (255, 0, 0, 0))
    picture.paste((0, 255, 0, 255), (0, 0, 100, 200))
    made = array(image_of(picture, "resize", width=50))
    assert made[..., 0].max() <= 2, "red of transparent pixels has spread"


def test_cover_keeps_the_focal_point() -> None:
    picture = corners(400, 200)
    left = image_of(picture, "resize", width=100, height=100, fit="cover", focal_x=0.0)
    right = image_of(picture, "resize", width=100, height=100, fit="cover", focal_x=1.0)
    assert np.abs(array(left) - array(resized(picture, (100, 100), (0, 0, 200, 200)))).mean() < 2
    assert np.abs(array(right) - array(resized(picture, (100, 100), (200, 0, 400, 200)))).mean() < 2


def test_contain_shows_the_whole_picture_on_its_background() -> None:
    blue = Image.new("RGB", (400, 200), "blue")
    size: dict[str, Any] = {"width": 100, "height": 100, "fit": "contain"}
    made = image_of(blue, "resize", background="#f00", **size)
    assert made.mode == "RGB"
    assert made.getpixel((50, 10)) == (255, 0, 0) and made.getpixel((50, 50)) == (0, 0, 255)
    clear = image_of(blue, "resize", **size)
    assert clear.getpixel((50, 10)) == (0, 0, 0, 0) and clear.getpixel((50, 50)) == (0, 0, 255, 255)


def test_resize_works_on_every_frame() -> None:
    made = applied(still(ramp(80, 40), corners(80, 40)), "resize", width=40)
    assert [image.size for image in made.images] == [(40, 20)] * 2
    assert (made.durations_ms, made.plays) == ((100, 100), 0)


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1)])
def test_resize_leaves_at_least_one_pixel(size: tuple[int, int]) -> None:
    assert image_of(Image.new("RGB", size, "red"), "resize", width=3, height=3).getpixel((0, 0)) == (255, 0, 0)


@pytest.mark.parametrize(
    ("params", "size"),
    [({"width": 65_500, "enlarge": True}, (65_500, 65_500)), ({"percent": 1000, "enlarge": True}, (10, 10))],
)
def test_resize_tells_its_size_before_it_runs(params: dict[str, Any], size: tuple[int, int]) -> None:
    model = OPERATIONS["resize"].params.model_validate(params)
    assert OPERATIONS["resize"].resized(model, (1, 1)) == size
