"""The crop of an upload: what is outside of it is neither judged nor published."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from mediagate import Source, VariantSpec
from mediagate.images.render import render
from mediagate.values import CropBox
from tests.support.references import opened
from tests.support.rendered import MIDDLE, picture
from tests.support.showing.engine import Recording

pytestmark = pytest.mark.usefixtures("each_resizer")

LEFT, RIGHT = (255, 0, 0), (0, 0, 255)
UPRIGHT = {1: None, 3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
"""How an upright picture is stored for each EXIF orientation."""
SOURCES = {
    original: Source(
        variants={
            "all": VariantSpec(width=4000, format="png"),
            "small": VariantSpec(width=40, format="png"),
            "square": VariantSpec(width=30, height=30, fit="cover", format="png"),
        },
        original=original,
        animation="keep",
        placeholders=("blurhash", "thumbhash"),
    )
    for original in ("keep", "delete")
}


def halves(size: tuple[int, int] = (1200, 800)) -> Image.Image:
    """Return a picture whose left half is red and whose right half is blue."""
    image = Image.new("RGB", size, LEFT)
    image.paste(RIGHT, (size[0] // 2, 0, *size))
    return image


def stored(image: Image.Image, image_format: str, orientation: int = 1) -> bytes:
    turn = UPRIGHT[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    turned = image if turn is None else image.transpose(turn)
    turned.save(file, image_format, exif=exif, quality=95, subsampling=0)
    return file.getvalue()


def colours(image: Image.Image) -> set[str]:
    """Return which of the two halves are seen, far enough from any edge."""
    middle = image.height // 2
    row = opened_rgb(image).crop((2, middle, image.width - 2, middle + 1)).tobytes()
    return {"left" if red > blue else "right" for red, blue in zip(row[0::3], row[2::3], strict=True)}


def opened_rgb(image: Image.Image) -> Image.Image:
    return image.convert("RGB")


@pytest.mark.parametrize("original", SOURCES)
@pytest.mark.parametrize(
    ("image_format", "orientation"), [("JPEG", 1), ("JPEG", 3), ("JPEG", 6), ("JPEG", 8), ("PNG", 1)]
)
def test_crop_is_of_the_upright_picture(original: str, image_format: str, orientation: int) -> None:
    data, seen = stored(halves(), image_format, orientation), Recording()
    rendered = render(data, SOURCES[original], MIDDLE, seen, crop=CropBox(0.5, 0.25, 0.5, 0.5))
    assert (rendered.info.width, rendered.info.height, rendered.aspect_ratio) == (600, 400, "3:2")
    assert [(file.name, file.width, file.height) for file in rendered.variants] == [
        ("all", 600, 400),
        ("small", 40, 27),
        ("square", 30, 30),
    ]
    assert (rendered.original is not None) == (original == "keep")
    for file in rendered.files:
        assert colours(picture(file)) == {"right"}, file.name
    assert {colour for judged in seen.pictures for colour in colours(judged)} == {"right"}
    assert rendered.dominant_color == "#0000ff" or rendered.dominant_color.startswith("#0000f")


def test_crop_shows_exactly_its_pixels() -> None:
    image = Image.effect_noise((200, 100), 90).convert("RGB")
    rendered = render(stored(image, "PNG"), SOURCES["keep"], MIDDLE, None, crop=CropBox(0.1, 0.2, 0.35, 0.5))
    expected = image.crop((20, 20, 90, 70))
    for file in (rendered.original, rendered.variants[0]):
        assert picture(file).convert("RGB").tobytes() == expected.tobytes()


def test_crop_cuts_every_frame_of_an_animation() -> None:
    frames = [halves((60, 40)), halves((60, 40)).transpose(Image.Transpose.FLIP_LEFT_RIGHT)]
    file = io.BytesIO()
    frames[0].save(file, "WEBP", save_all=True, append_images=frames[1:], duration=200, lossless=True)
    seen = Recording()
    rendered = render(file.getvalue(), SOURCES["keep"], MIDDLE, seen, crop=CropBox(0, 0, 0.5, 1))
    assert (rendered.info.width, rendered.info.frames) == (30, 2)
    assert {frozenset(colours(judged)) for judged in seen.pictures} == {frozenset({"left"}), frozenset({"right"})}


def test_crop_of_a_pixel_is_published() -> None:
    rendered = render(stored(halves(), "PNG"), SOURCES["keep"], MIDDLE, None, crop=CropBox(1, 1, 1e-9, 1e-9))
    assert opened(rendered.variants[0].data).size == (1, 1)


def test_focal_point_is_of_the_cropped_part() -> None:
    # Of the right three quarters, a third is red: a square at its left edge shows only that.
    data = stored(halves((1200, 300)), "PNG")
    for focal, expected in (((0.0, 0.5), "left"), ((1.0, 0.5), "right")):
        rendered = render(data, SOURCES["keep"], focal, None, crop=CropBox(0.25, 0, 0.75, 1))
        assert colours(picture(rendered.variants[2])) == {expected}
