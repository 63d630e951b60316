"""remove_background, on photos of people and of none."""

from __future__ import annotations

import pytest
from PIL import Image

from mediagate.images.operations import Context
from tests.support.charts import saved
from tests.support.photos import ASTRONAUT, HOPPER, PARIS, SHARP, photo
from tests.support.recipes import applied, array, image_of, opened, ran, still

FACES = {ASTRONAUT: (0.38, 0.16, 0.48, 0.30), HOPPER: (0.38, 0.14, 0.62, 0.42)}
"""Left, top, right and bottom of each face, in parts of the photo."""


def part(picture: Image.Image, box: tuple[float, float, float, float]) -> Image.Image:
    left, top, right, bottom = box
    width, height = picture.size
    return picture.crop((round(left * width), round(top * height), round(right * width), round(bottom * height)))


@pytest.mark.parametrize("name", FACES)
@pytest.mark.parametrize("edge", [320, 1500])
def test_remove_background_keeps_a_face_and_not_the_upper_corners(name: str, edge: int) -> None:
    picture = photo(name).resize((edge, edge * 5 // 4))
    made = image_of(picture, "remove_background")
    assert (made.mode, made.size) == ("RGBA", picture.size)
    face = array(part(made, FACES[name]))
    assert face[..., 3].min() > 240
    assert (face[..., :3] == array(part(picture, FACES[name]))).all()
    for corner in ((0, 0, 0.1, 0.1), (0.9, 0, 1, 0.1)):
        assert array(part(made, corner))[..., 3].mean() < 8, corner


def test_remove_background_puts_people_on_a_colour() -> None:
    made = image_of(photo(HOPPER), "remove_background", background="#00ff00")
    assert made.mode == "RGB"
    assert (array(part(made, (0, 0, 0.08, 0.08))) == (0, 255, 0)).all()


def test_remove_background_leaves_transparent_what_was() -> None:
    picture = photo(HOPPER).convert("RGBA")
    picture.paste((0, 0, 0, 0), (0, 0, picture.width // 2, picture.height))
    made = array(image_of(picture, "remove_background"))
    assert made[:, : picture.width // 2, 3].max() == 0
    assert made[:, picture.width // 2 :, 3].max() == 255


@pytest.mark.parametrize(
    "picture", [photo(SHARP), photo(PARIS), Image.new("RGB", (300, 200), "white"), Image.new("RGB", (1, 1))]
)
def test_remove_background_without_a_person_leaves_the_picture_and_says_so(picture: Image.Image) -> None:
    context = Context()
    assert image_of(picture, "remove_background", context).tobytes() == picture.tobytes()
    assert [code for code, _ in context.warnings] == ["no_person"]


def test_remove_background_looks_at_each_frame() -> None:
    person = photo(HOPPER, 300)
    made = applied(still(person, Image.new("RGB", person.size, "white")), "remove_background")
    assert [array(image)[0, 0, 3] for image in made.images] == [0, 255]


@pytest.mark.parametrize("image_format", ["png", "webp"])
def test_alpha_of_remove_background_is_in_the_saved_file(image_format: str) -> None:
    file = saved(photo(HOPPER), "JPEG")
    produced = ran(file, {"op": "remove_background"}, {"op": "save", "format": image_format})
    shown = opened(produced.outputs[0])
    assert shown.mode == "RGBA" and shown.getchannel("A").getextrema() == (0, 255)
    assert produced.warnings == ()


def test_loss_of_transparency_in_the_format_of_the_input_is_told() -> None:
    produced = ran(saved(photo(HOPPER, 200), "JPEG"), {"op": "remove_background"})
    assert produced.outputs[0].format == "jpeg"
    assert [warning.code for warning in produced.warnings] == ["transparency_lost"]
