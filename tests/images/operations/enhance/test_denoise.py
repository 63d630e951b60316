"""denoise: it brings noisy photos nearer to the clean ones, and keeps edges."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from tests.support.photos import ASTRONAUT, CAT, noisy, photo, psnr
from tests.support.recipes import array, image_of


@pytest.mark.parametrize("name", [ASTRONAUT, CAT])
@pytest.mark.parametrize(("deviation", "strength", "gain"), [(10, 25, 2.0), (17, 50, 3.5), (25, 100, 4.5)])
def test_denoise_brings_a_noisy_photo_nearer_to_the_clean_one(
    name: str, deviation: float, strength: float, gain: float
) -> None:
    clean = photo(name)
    picture = noisy(clean, deviation)
    assert psnr(image_of(picture, "denoise", strength=strength), clean) > psnr(picture, clean) + gain


def test_denoise_smooths_even_areas_and_keeps_an_edge() -> None:
    clean = Image.new("RGB", (200, 100), (40, 40, 40))
    clean.paste((200, 200, 200), (100, 0, 200, 100))
    made = array(image_of(noisy(clean, 10), "denoise"))
    assert made[:, 10:90].std() < 5
    assert made[:, 100].mean() - made[:, 99].mean() > 0.95 * 160


def test_denoise_keeps_alpha() -> None:
    picture = noisy(photo(CAT, 100), 10)
    picture.putalpha(Image.radial_gradient("L").resize(picture.size))
    assert (array(image_of(picture, "denoise"))[..., 3] == array(picture)[..., 3]).all()


def test_denoise_of_strength_0_changes_nothing() -> None:
    picture = photo(CAT, 50)
    assert image_of(picture, "denoise", strength=0).tobytes() == picture.tobytes()


def test_denoise_makes_more_strength_smoother() -> None:
    picture = noisy(Image.new("RGB", (64, 64), "grey"), 15)
    spreads = [np.std(array(image_of(picture, "denoise", strength=strength))) for strength in (10, 30, 100)]
    assert spreads == sorted(spreads, reverse=True) and spreads[2] < 6
