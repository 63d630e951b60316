"""look: one table that equals the function of the look, mixed with the picture by its intensity."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from mediagate.images.operations.filter.look import look_table
from mediagate.images.operations.filter.looks import LOOKS
from tests.support.charts import chart, ramp
from tests.support.recipes import applied, array, image_of, still

CUBE = np.linspace(0, 255, 12).astype(np.uint8)
COLOURS = Image.fromarray(np.stack(np.meshgrid(CUBE, CUBE, CUBE), axis=-1).reshape(12, 144, 3))


@pytest.mark.parametrize("name", LOOKS)
def test_look_equals_its_function(name: str) -> None:
    expected = [LOOKS[name](*(channel / 255 for channel in colour)) for colour in array(COLOURS).reshape(-1, 3)]
    made = array(image_of(COLOURS, "look", name=name)).reshape(-1, 3)
    assert np.abs(made - np.clip(np.array(expected) * 255, 0, 255)).max() <= 3


@pytest.mark.parametrize("name", LOOKS)
@pytest.mark.parametrize("intensity", [1, 37, 72])
def test_intensity_mixes_the_look_with_the_picture(name: str, intensity: float) -> None:
    whole = np.clip(
        [LOOKS[name](*(channel / 255 for channel in colour)) for colour in array(COLOURS).reshape(-1, 3)], -9, 9
    )
    mixed = array(COLOURS).reshape(-1, 3) * (1 - intensity / 100) + whole * 255 * intensity / 100
    made = array(image_of(COLOURS, "look", name=name, intensity=intensity)).reshape(-1, 3)
    assert np.abs(made - np.clip(mixed, 0, 255)).max() <= 3


@pytest.mark.parametrize("name", LOOKS)
def test_look_differs_from_the_picture_and_from_all_others(name: str) -> None:
    made = {other: array(image_of(COLOURS, "look", name=other)) for other in LOOKS}
    assert np.abs(made[name] - array(COLOURS)).mean() > 2
    assert all(np.abs(made[name] - made[other]).mean() > 1 for other in LOOKS if other != name)


def test_intensity_of_0_changes_nothing() -> None:
    picture = chart(64, 48)
    assert image_of(picture, "look", name="noir", intensity=0).tobytes() == picture.tobytes()


@pytest.mark.parametrize("name", ["noir", "mono"])
def test_black_and_white_looks_are_grey(name: str) -> None:
    made = array(image_of(ramp(64, 64), "look", name=name))
    assert np.abs(made[..., 0] - made[..., 2]).max() <= 1


def test_look_keeps_alpha_and_works_on_every_frame() -> None:
    frames = still(*(Image.new("RGBA", (4, 4), (200, 100, 50, alpha)) for alpha in (0, 128)))
    made = applied(frames, "look", name="mono")
    assert [image.getpixel((0, 0))[3] for image in made.images] == [0, 128]
    assert made.images[0].getpixel((0, 0))[:3] == made.images[1].getpixel((0, 0))[:3] != (200, 100, 50)


def test_tables_are_made_once() -> None:
    assert look_table("sepia", 0.5) is look_table("sepia", 0.5)
    assert look_table("sepia", 0.5) is not look_table("sepia", 0.25)
