"""rotate, straighten, deskew, flip, mirror and orient, beside NumPy and geometry done by hand."""

from __future__ import annotations

from math import cos, radians, sin
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from mediagate.images.operations import Context
from mediagate.images.operations.rotation import expanded, inner
from tests.support.charts import corners, ramp
from tests.support.recipes import applied, array, image_of, still


@pytest.mark.parametrize(("degrees", "turns"), [(90, -1), (180, 2), (270, 1), (-90, 1), (360, 0), (0, 0), (-270, -1)])
def test_quarter_turns_move_pixels_clockwise(degrees: float, turns: int) -> None:
    picture = corners(60, 40)
    made = image_of(picture, "rotate", degrees=degrees)
    assert np.array_equal(array(made), np.rot90(array(picture), turns))
    assert made.mode == "RGB"


def test_rotate_grows_to_hold_the_whole_picture() -> None:
    made = image_of(Image.new("RGB", (300, 100), "red"), "rotate", degrees=30)
    across, down = cos(radians(30)), sin(radians(30))
    assert made.size == pytest.approx((300 * across + 100 * down, 300 * down + 100 * across), abs=2)
    assert made.getpixel((0, 0)) == (0, 0, 0, 0)
    assert made.getpixel((made.width // 2, made.height // 2)) == (255, 0, 0, 255)


def test_rotate_turns_clockwise() -> None:
    picture = Image.new("RGB", (101, 101), "white")
    picture.paste((255, 0, 0), (48, 0, 53, 20))  # a hand that shows twelve o'clock
    made = image_of(picture, "rotate", degrees=45, expand=False, background="#ffffff")
    reds = np.argwhere(array(made)[..., 1] < 100)
    assert reds[:, 0].mean() < 40 and reds[:, 1].mean() > 60


def test_rotate_keeps_the_size_without_expand() -> None:
    for degrees in (10, 90, 180):
        assert image_of(ramp(80, 40), "rotate", degrees=degrees, expand=False).size == (80, 40)


def test_rotate_fills_corners_with_its_background() -> None:
    made = image_of(Image.new("RGB", (100, 100), "red"), "rotate", degrees=45, background="#0000ff")
    assert made.mode == "RGB" and made.getpixel((0, 0)) == (0, 0, 255)


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (300, 200), (50, 400)])
@pytest.mark.parametrize("degrees", [-359.9, -91, -15, -0.1, 0.1, 7.3, 44.9, 45, 89, 135, 200])
def test_size_of_a_turned_picture_is_known_before(size: tuple[int, int], degrees: float) -> None:
    made = image_of(Image.new("RGB", size, "red"), "rotate", degrees=degrees)
    bound = expanded(size, degrees)
    assert made.width <= bound[0] and made.height <= bound[1]
    assert bound[0] - made.width <= 4 and bound[1] - made.height <= 4


@pytest.mark.parametrize("degrees", [-45, -20, -3, 0.5, 5, 12, 30, 45])
@pytest.mark.parametrize("size", [(400, 300), (300, 400), (600, 100), (200, 200)])
def test_straighten_shows_no_corner(size: tuple[int, int], degrees: float) -> None:
    made = image_of(Image.new("RGBA", size, (255, 0, 0, 255)), "straighten", degrees=degrees)
    alpha = array(made)[..., 3]
    assert (alpha >= 250).mean() > 0.98 and alpha.min() > 100
    assert made.width * made.height > 0.9 * inner(size, degrees)[0] * inner(size, degrees)[1]


def test_straighten_keeps_the_mode() -> None:
    assert image_of(ramp(100, 80), "straighten", degrees=4).mode == "RGB"
    assert image_of(ramp(1, 1), "straighten", degrees=45).size == (1, 1)


def page() -> Image.Image:
    image = Image.new("RGB", (900, 1200), "white")
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(26)
    for number, top in enumerate(range(120, 1080, 44)):
        draw.text((90, top), "Sphinx of black quartz, judge my vow"[: 20 + number % 16] + " 0123456789", "black", font)
    return image


@pytest.mark.parametrize("degrees", [4.0, -7.3, 1.5, 0.4, -14.6, 15.0])
def test_deskew_finds_the_angle_of_a_page(degrees: float) -> None:
    from mediagate.images.operations.transform.deskew import skew

    turned = page().rotate(-degrees, Image.Resampling.BICUBIC, fillcolor="white")
    assert skew(turned, 15.0) == pytest.approx(degrees, abs=0.1)


def test_deskew_turns_the_page_back() -> None:
    from mediagate.images.operations.transform.deskew import skew

    turned = page().rotate(-5, Image.Resampling.BICUBIC, fillcolor="white")
    made = image_of(turned, "deskew")
    assert skew(made, 15.0) == 0
    assert made.getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize("picture", [Image.new("RGB", (1, 1)), Image.new("RGB", (500, 400), "red"), page()])
def test_deskew_leaves_a_straight_page_and_says_so(picture: Image.Image) -> None:
    context = Context()
    assert image_of(picture, "deskew", context).tobytes() == picture.tobytes()
    assert [code for code, _ in context.warnings] == ["not_skewed"]


def test_flip_and_mirror_match_numpy() -> None:
    picture = corners(61, 40)
    assert np.array_equal(array(image_of(picture, "flip")), array(picture)[::-1])
    assert np.array_equal(array(image_of(picture, "mirror")), array(picture)[:, ::-1])


def test_turns_work_on_every_frame_and_keep_alpha() -> None:
    frames = still(*(Image.new("RGBA", (20, 10), (red, 0, 0, 128)) for red in (10, 200)))
    turns: list[tuple[str, dict[str, Any]]] = [("rotate", {"degrees": degrees}) for degrees in (8, 90)]
    for op, params in (*turns, ("flip", {}), ("mirror", {}), ("orient", {})):
        made = applied(frames, op, **params)
        for image, red in zip(made.images, (10, 200), strict=True):
            assert array(image)[image.height // 2, image.width // 2] == pytest.approx([red, 0, 0, 128], abs=1), op
