"""white_balance: known casts are taken away to within a few levels."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from tests.support.photos import ASTRONAUT, CAT, lit, photo
from tests.support.recipes import applied, array, image_of, still

CASTS = [(1, 0.75, 0.45), (0.6, 0.8, 1), (0.7, 1, 0.7)]
"""A bulb, a blue sky, and fluorescent tubes, as factors of red, green and blue light."""


def greys() -> Image.Image:
    return Image.merge("RGB", [Image.linear_gradient("L").point([min(level, 240) for level in range(256)])] * 3)


@pytest.mark.parametrize("cast", CASTS)
def test_white_balance_makes_greys_under_coloured_light_grey(cast: tuple[float, float, float]) -> None:
    picture = lit(greys(), *cast)
    assert np.ptp(array(picture), axis=2).max() > 30
    made = array(image_of(picture, "white_balance"))
    assert np.ptp(made, axis=2).max() <= 3
    assert np.ptp(made, axis=2).mean() <= 1


@pytest.mark.parametrize("cast", CASTS)
@pytest.mark.parametrize("name", [ASTRONAUT, CAT])
def test_white_balance_takes_the_cast_off_a_photo(name: str, cast: tuple[float, float, float]) -> None:
    """A balanced photo in coloured light is balanced again, to within the rounding of its levels."""
    balanced = image_of(photo(name).point([value * 7 // 8 for value in range(256)] * 3), "white_balance")
    made = image_of(lit(balanced, *cast), "white_balance")
    assert np.abs(array(made) - array(balanced)).mean() <= 3


def test_white_balance_at_half_strength_takes_half_of_the_cast() -> None:
    picture = lit(greys(), 1, 0.64, 0.64)
    half = array(image_of(picture, "white_balance", strength=50))
    assert np.abs(half - array(lit(greys(), 1, 0.8, 0.8))).max() <= 3


def test_white_balance_keeps_white_white_and_makes_nothing_darker() -> None:
    picture = lit(photo(ASTRONAUT), 1, 0.8, 0.6)
    picture.paste("white", (0, 0, 40, 40))
    made = array(image_of(picture, "white_balance"))
    assert set(made[:40, :40].flat) == {255}
    assert (made >= array(picture) - 1).all()


def test_white_balance_does_not_measure_transparent_pixels() -> None:
    picture = lit(greys(), 1, 0.8, 0.6).convert("RGBA")
    expected = image_of(picture, "white_balance")
    hidden = Image.new("RGBA", (256, 512), (0, 0, 200, 0))
    hidden.paste(picture, (0, 0))
    made = image_of(hidden, "white_balance")
    assert np.abs(array(made.crop((0, 0, 256, 256))) - array(expected)).max() <= 2
    assert set(array(made)[256:, :, 3].flat) == {0}


def test_white_balance_changes_all_frames_alike() -> None:
    first, second = (lit(Image.new("RGB", (9, 9), (level,) * 3), 1, 0.7, 0.5) for level in (200, 90))
    made = applied(still(first, second), "white_balance")
    assert [round(array(image).mean()) for image in made.images] == [200, 90]
    assert max(np.ptp(array(image)) for image in made.images) <= 1


@pytest.mark.parametrize("picture", [Image.new("RGB", (9, 9), "white"), Image.new("RGB", (9, 9), (0, 90, 0))])
def test_white_balance_of_light_that_cannot_be_measured_changes_nothing(picture: Image.Image) -> None:
    assert image_of(picture, "white_balance").tobytes() == picture.tobytes()
