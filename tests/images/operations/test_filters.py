"""blur, sharpen, pixelate, vignette and grain, beside NumPy."""

from __future__ import annotations

from hashlib import shake_128
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.support.charts import chart, ramp
from tests.support.recipes import applied, array, image_of, still
from tests.support.references import sharpness

PHOTO = Path(__file__).parents[2] / "data" / "photos" / "photo_2725x2225.jpg"


@pytest.mark.parametrize("radius", [1, 3.5, 12])
def test_blur_is_nearly_gaussian(radius: float) -> None:
    picture = chart(200, 150)
    expected = gaussian(gaussian(np.asarray(picture, float), radius, 0), radius, 1)
    assert np.abs(array(image_of(picture, "blur", radius=radius)) - expected).mean() < 1.5


@pytest.mark.parametrize("radius", [4, 20])
def test_blur_of_a_large_picture_is_nearly_gaussian(radius: float) -> None:
    with Image.open(PHOTO) as image:
        picture = image.resize((1200, 900))
    expected = gaussian(gaussian(np.asarray(picture, float), radius, 0), radius, 1)
    for mode in ("RGB", "RGBA"):
        difference = np.abs(array(image_of(picture.convert(mode), "blur", radius=radius))[..., :3] - expected)
        assert difference.mean() < 1 and np.quantile(difference, 0.999) < 8


def gaussian(pixels: NDArray[np.float64], deviation: float, axis: int) -> NDArray[np.float64]:
    """Return pixels filtered along an axis; beyond the edges the outermost pixels repeat."""
    reach = int(4 * deviation) + 1
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / deviation) ** 2)
    wide = np.pad(pixels, [(reach, reach) if each == axis else (0, 0) for each in range(3)], mode="edge")
    return np.apply_along_axis(np.convolve, axis, wide, kernel / kernel.sum(), "valid")


def test_blur_does_not_spread_transparent_colours() -> None:
    picture = Image.new("RGBA", (60, 60), (255, 0, 0, 0))
    picture.paste((0, 0, 255, 255), (20, 20, 40, 40))
    made = array(image_of(picture, "blur", radius=4))
    shown = made[made[..., 3] > 20]
    assert shown[..., 0].max() <= 12 and shown[..., 2].min() >= 240


def test_blur_larger_than_the_picture_is_its_mean() -> None:
    made = array(image_of(ramp(30, 30), "blur", radius=250))
    assert made.std(axis=(0, 1)).max() < 3


def test_sharpen_makes_edges_clearer_and_keeps_alpha() -> None:
    picture = chart(200, 150).resize((100, 75)).resize((200, 150))
    assert sharpness(image_of(picture, "sharpen", percent=150), picture) > 1.3
    picture.putalpha(100)
    assert set(array(image_of(picture, "sharpen"))[..., 3].flat) == {100}


def test_pixelate_shows_the_mean_of_each_block() -> None:
    picture = ramp(50, 40)
    made = array(image_of(picture, "pixelate", size=8))
    source = array(picture)
    for top in range(0, 40, 8):
        for left in range(0, 50, 8):
            block = made[top : top + 8, left : left + 8].reshape(-1, 3)
            assert np.ptp(block, axis=0).max() == 0
            assert np.abs(block[0] - source[top : top + 8, left : left + 8].mean(axis=(0, 1))).max() <= 1


@pytest.mark.parametrize("size", [(1, 1), (1, 30), (30, 1), (3, 3), (999, 2)])
def test_pixelate_of_blocks_larger_than_the_picture_is_its_mean(size: tuple[int, int]) -> None:
    picture = ramp(*size)
    made = array(image_of(picture, "pixelate", size=1000))
    assert made.shape[:2] == size[::-1]
    assert np.abs(made - array(picture).mean(axis=(0, 1))).max() <= 1


def test_vignette_darkens_by_the_square_of_the_distance() -> None:
    made = array(image_of(Image.new("RGB", (201, 101), (200, 200, 200)), "vignette", strength=50))[..., 0]
    assert made[50, 100] >= 198
    assert made[0, 0] == pytest.approx(100, abs=4) and made[100, 200] == pytest.approx(100, abs=4)
    assert made[50, 0] == pytest.approx(150, abs=4) and made[0, 100] == pytest.approx(150, abs=4)
    assert made[50, 50] == pytest.approx(200 * (1 - 0.5 * 0.125), abs=4)


def test_grain_is_the_same_for_the_same_seed_only() -> None:
    picture = ramp(64, 48)
    made = [image_of(picture, "grain", seed=seed).tobytes() for seed in (1, 1, 2)]
    assert made[0] == made[1] != made[2]


def test_grain_has_the_same_pixels_on_every_machine() -> None:
    made = image_of(Image.new("RGB", (4, 1), (128, 128, 128)), "grain", strength=100, seed=7)
    drawn = shake_128(b"7:0").digest(8)
    means = [(first + second) // 2 for first, second in zip(drawn[:4], drawn[4:], strict=True)]
    assert [pixel[0] for pixel in array(made)[0]] == [round(128 + (mean - 127.5) * 128 / 255) for mean in means]


@pytest.mark.parametrize("strength", [10, 100])
def test_grain_is_around_0_and_as_strong_as_asked(strength: int) -> None:
    noise = array(image_of(Image.new("RGB", (300, 300), (128, 128, 128)), "grain", strength=strength)) - 128
    assert abs(noise.mean()) < 1
    assert np.abs(noise).max() <= 64 * strength / 100 + 1
    assert noise.std() == pytest.approx(64 * strength / 100 / 6**0.5, rel=0.2)
    assert np.ptp(noise, axis=2).max() == 0


def test_grain_differs_between_frames() -> None:
    made = applied(still(ramp(20, 20), ramp(20, 20)), "grain")
    assert made.images[0].tobytes() != made.images[1].tobytes()


@pytest.mark.parametrize("op", ["vignette", "grain"])
def test_strength_of_0_changes_nothing(op: str) -> None:
    assert image_of(ramp(9, 9), op, strength=0).tobytes() == ramp(9, 9).tobytes()


@pytest.mark.parametrize("size", [(1, 1), (1, 700), (700, 1)])
@pytest.mark.parametrize(
    ("op", "params"),
    [("blur", {"radius": 50}), ("sharpen", {}), ("vignette", {}), ("grain", {}), ("look", {"name": "noir"})],
)
def test_filters_take_pictures_of_one_pixel(size: tuple[int, int], op: str, params: dict[str, Any]) -> None:
    for mode in ("RGB", "RGBA"):
        made = image_of(Image.new(mode, size, "grey"), op, **params)
        assert (made.size, made.mode) == (size, mode)
