"""low_light and clahe."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from mediagate.images.operations import Context
from tests.support.photos import ASTRONAUT, CAT, HOPPER, lit, photo, psnr
from tests.support.recipes import applied, array, image_of, still


@pytest.mark.parametrize("name", [ASTRONAUT, CAT, HOPPER])
def test_low_light_brings_a_dark_photo_near_the_light_one(name: str) -> None:
    light = photo(name)
    dark = lit(light, 0.12, 0.12, 0.12)
    made = image_of(dark, "low_light", strength=100)
    assert psnr(made, light) > psnr(dark, light) + 5
    assert np.mean(array(made.convert("L"))) == pytest.approx(0.45 * 255, abs=15)


def test_low_light_is_as_strong_as_asked() -> None:
    dark = lit(photo(CAT), 0.1, 0.1, 0.1)
    means = [array(image_of(dark, "low_light", strength=strength)).mean() for strength in (0, 30, 60, 100)]
    assert means[0] == array(dark).mean()
    assert all(more > less + 8 for less, more in pairwise(means))


def test_low_light_leaves_a_light_photo_and_says_so() -> None:
    context = Context()
    picture = Image.new("RGB", (50, 50), (140, 140, 140))
    assert image_of(picture, "low_light", context).tobytes() == picture.tobytes()
    assert [code for code, _ in context.warnings] == ["not_dark"]


def test_low_light_keeps_grey_grey_and_alpha_as_it_is() -> None:
    picture = Image.merge("RGB", [Image.linear_gradient("L").point([level // 4 for level in range(256)])] * 3)
    picture.putalpha(Image.radial_gradient("L"))
    made = array(image_of(picture, "low_light"))
    assert np.ptp(made[..., :3], axis=2).max() <= 1
    assert (made[..., 3] == array(picture)[..., 3]).all()


def test_low_light_lightens_all_frames_by_one_curve() -> None:
    """A flash in an animation stays a flash."""
    dark, flash = Image.new("RGB", (64, 64), (10, 10, 10)), Image.new("RGB", (64, 64), (120, 120, 120))
    made = applied(still(dark, dark, dark, flash), "low_light", strength=100)
    levels = [float(array(image).mean()) for image in made.images]
    assert levels[0] == levels[1] and levels[3] > levels[0] + 60


def test_clahe_shows_details_of_a_dark_part() -> None:
    """A faint pattern of 6 levels in a shadow gets at least 1.5 times its contrast; a flat part gets none."""
    levels = np.full((256, 256), 200, np.uint8)
    levels[:, :128] = 30 + 6 * (np.indices((256, 128)).sum(axis=0) // 8 % 2)
    made = array(image_of(Image.fromarray(levels).convert("RGB"), "clahe", clip=4))[..., 0]
    assert made[:, :96].std() > 1.5 * levels[:, :96].std()
    assert made[:, 160:].std() == 0


def test_clahe_grows_contrast_by_its_clip() -> None:
    picture = photo(CAT)
    spreads = [array(image_of(picture, "clahe", clip=clip).convert("L")).std() for clip in (1.0, 2.0, 4.0)]
    assert spreads == sorted(spreads) and spreads[2] > spreads[0] * 1.1


def test_clahe_keeps_hues_and_alpha() -> None:
    picture = photo(ASTRONAUT, 200)
    picture.putalpha(77)
    made = image_of(picture, "clahe")
    assert set(array(made)[..., 3].flat) == {77}
    before, after = (array(each.convert("RGB").convert("YCbCr")) for each in (picture, made))
    inside = (array(made)[..., :3].min(axis=2) > 0) & (array(made)[..., :3].max(axis=2) < 255)
    assert np.abs(before - after)[inside][:, 1:].max() <= 2


@pytest.mark.parametrize("op", ["clahe", "low_light", "denoise"])
@pytest.mark.parametrize("size", [(1, 1), (1, 700), (700, 1), (2, 3), (17, 5)])
def test_operations_of_opencv_take_tiny_pictures(op: str, size: tuple[int, int]) -> None:
    for mode in ("RGB", "RGBA"):
        made = image_of(Image.new(mode, size, (20, 20, 20)), op)
        assert (made.size, made.mode) == (size, mode)
