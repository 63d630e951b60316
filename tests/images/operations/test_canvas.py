"""trim, pad and extend_canvas."""

from __future__ import annotations

from typing import Any

import pytest
from PIL import Image

from mediagate.images.operations import Context
from tests.support.charts import corners
from tests.support.recipes import applied, array, faults, image_of, still


def framed(colour: Any, mode: str = "RGB") -> Image.Image:
    picture = Image.new(mode, (100, 80), colour)
    picture.paste(corners(40, 30).convert(mode), (25, 20))
    return picture


def test_trim_cuts_the_border_of_the_top_left_colour() -> None:
    assert image_of(framed("white"), "trim").tobytes() == corners(40, 30).tobytes()


def test_trim_cuts_the_named_colour_only() -> None:
    picture = framed("white")
    assert image_of(picture, "trim", colour="#000").size == (100, 80)
    picture.putpixel((0, 0), (255, 0, 0))
    assert image_of(picture, "trim", colour="#fff").size == (65, 50)


@pytest.mark.parametrize(("tolerance", "size"), [(5, (40, 30)), (4, (75, 60)), (0, (100, 80))])
def test_trim_tolerates_so_many_levels(tolerance: int, size: tuple[int, int]) -> None:
    picture = framed((200, 200, 200))
    picture.putpixel((99, 79), (205, 200, 200))
    picture.putpixel((99, 0), (200, 200, 196))
    picture.putpixel((0, 79), (200, 203, 200))
    assert image_of(picture, "trim", tolerance=tolerance).size == size


def test_trim_cuts_transparency_of_any_hidden_colour() -> None:
    picture = framed((0, 0, 0, 0), "RGBA")
    picture.putpixel((90, 70), (255, 255, 255, 0))
    assert image_of(picture, "trim").size == (40, 30)


def test_trim_leaves_a_plain_picture_and_says_so() -> None:
    context = Context()
    assert image_of(Image.new("RGB", (5, 5)), "trim", context).size == (5, 5)
    assert context.warnings[0][0] == "nothing_to_keep"


def test_trim_keeps_what_any_frame_shows() -> None:
    other = Image.new("RGB", (100, 80), "white")
    other.putpixel((99, 79), (0, 0, 0))
    made = applied(still(framed("white"), other), "trim")
    assert [image.size for image in made.images] == [(75, 60)] * 2


def test_pad_adds_these_sides() -> None:
    made = image_of(corners(20, 10), "pad", top=1, right=2, bottom=3, left=4, background="#00f")
    assert made.size == (26, 14)
    assert made.crop((4, 1, 24, 11)).tobytes() == corners(20, 10).tobytes()
    assert made.getpixel((3, 5)) == (0, 0, 255)


def test_pad_all_sets_the_sides_that_are_not_set() -> None:
    assert image_of(corners(20, 10), "pad", all=5, left=0).size == (25, 20)


def test_pad_is_transparent_by_default() -> None:
    assert image_of(corners(20, 10), "pad", all=1).getpixel((0, 0)) == (0, 0, 0, 0)


def test_half_transparent_background_is_as_transparent_as_asked() -> None:
    made = image_of(Image.new("RGBA", (4, 4), (255, 0, 0, 128)), "pad", all=1, background="#0000ff80")
    assert made.getpixel((0, 0)) == (0, 0, 255, 128)
    red, _, blue, alpha = array(made)[2, 2]
    assert (alpha, red > blue) == (pytest.approx(192, abs=1), True)


@pytest.mark.parametrize(
    ("params", "size", "corner"),
    [
        ({"width": 40, "height": 30}, (40, 30), (10, 10)),
        ({"width": 10, "height": 30}, (20, 30), (0, 10)),
        ({"aspect": "1:1"}, (20, 20), (0, 5)),
        ({"aspect": "1:1", "position": "top"}, (20, 20), (0, 0)),
        ({"aspect": "3:1", "position": "right"}, (30, 10), (10, 0)),
        ({"width": 30, "height": 30, "position": "bottom_left"}, (30, 30), (0, 20)),
    ],
)
def test_extend_canvas_places_the_picture(
    params: dict[str, Any], size: tuple[int, int], corner: tuple[int, int]
) -> None:
    made = image_of(corners(20, 10), "extend_canvas", background="#fff", **params)
    assert made.size == size
    assert made.crop((*corner, corner[0] + 20, corner[1] + 10)).tobytes() == corners(20, 10).tobytes()


@pytest.mark.parametrize(
    "step",
    [
        {"op": "pad"},
        {"op": "pad", "all": 0},
        {"op": "pad", "all": 3, "background": "red"},
        {"op": "pad", "all": 3, "background": "#ggg"},
        {"op": "extend_canvas"},
        {"op": "extend_canvas", "width": 5, "aspect": "1:1"},
        {"op": "extend_canvas", "width": 5, "position": "centre_left"},
    ],
)
def test_canvas_steps_refuse_what_they_cannot_do(step: dict[str, Any]) -> None:
    assert faults(step)
