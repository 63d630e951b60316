"""upscale, by the model and by Lanczos, and its tiles."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from mediagate.images.operations import Context, Extra
from mediagate.images.operations.enhance import upscale
from mediagate.images.operations.enhance.tiles import in_tiles
from tests.support.charts import ramp
from tests.support.photos import ASTRONAUT, CAT, photo, psnr
from tests.support.recipes import applied, array, image_of, still


def halves(name: str) -> tuple[Image.Image, Image.Image]:
    """Return a part of a photo, and the same at half of its size."""
    whole = photo(name).crop((100, 60, 340, 300))
    return whole, whole.resize((120, 120), Image.Resampling.BOX)


@pytest.mark.parametrize("name", [ASTRONAUT, CAT])
def test_upscale_by_the_model_is_nearer_to_the_photo_than_lanczos(name: str) -> None:
    whole, half = halves(name)
    made = image_of(half, "upscale")
    assert made.size == whole.size
    assert psnr(made, whole) > psnr(half.resize(whole.size, Image.Resampling.LANCZOS), whole) + 0.7
    assert psnr(made, whole) > psnr(image_of(half, "upscale", method="lanczos"), whole)


def test_upscale_has_the_same_pixels_in_tiles_as_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    _, half = halves(ASTRONAUT)
    at_once = array(image_of(half, "upscale"))
    monkeypatch.setattr(upscale, "TILE", 50)
    in_tiles = array(image_of(half, "upscale"))
    # Sums of floats depend on their order, which a network may choose by the size of a tile.
    assert np.abs(at_once - in_tiles).max() <= 1 and (at_once != in_tiles).mean() < 1e-3


@pytest.mark.parametrize(("size", "tile"), [((1, 1), 5), ((37, 23), 5), ((10, 10), 10), ((11, 10), 10), ((3, 40), 7)])
def test_tiles_meet_without_gaps(size: tuple[int, int], tile: int) -> None:
    """With a network that repeats each pixel and checks what it is shown around it."""
    reach = 2
    colours = np.random.default_rng(0).integers(0, 255, (*size, 3)).astype(np.uint8)
    wide = np.pad(colours, ((reach, reach), (reach, reach), (0, 0)), mode="edge")

    def network(part: NDArray[np.uint8]) -> NDArray[np.uint8]:
        assert max(part.shape[:2]) <= tile + 2 * reach
        assert part.tobytes() in {
            wide[top : top + part.shape[0], left : left + part.shape[1]].tobytes()
            for top in range(wide.shape[0] - part.shape[0] + 1)
            for left in range(wide.shape[1] - part.shape[1] + 1)
        }
        return part[reach:-reach, reach:-reach].repeat(2, axis=0).repeat(2, axis=1)

    made = in_tiles(colours, 2, reach, tile, network)
    assert (made == colours.repeat(2, axis=0).repeat(2, axis=1)).all()


def test_upscale_keeps_a_colour_and_the_place_of_an_edge() -> None:
    picture = Image.new("RGB", (60, 40), (200, 30, 60))
    picture.paste((20, 120, 220), (30, 0, 60, 40))
    made = array(image_of(picture, "upscale"))
    assert np.abs(made[:, :50] - (200, 30, 60)).max() <= 4
    assert np.abs(made[:, 70:] - (20, 120, 220)).max() <= 4
    assert np.abs(made[:, 59] - (200, 30, 60)).max() < np.abs(made[:, 60] - (200, 30, 60)).max()


@pytest.mark.parametrize("method", ["model", "lanczos"])
def test_upscale_keeps_transparency_without_a_dark_rim(method: str) -> None:
    picture = Image.new("RGBA", (40, 40), (0, 0, 0, 0))
    picture.paste((250, 200, 60, 255), (10, 10, 30, 30))
    made = array(image_of(picture, "upscale", method=method))
    assert made[2, 2, 3] == 0 and made[40, 40, 3] == 255
    shown = made[made[..., 3] > 60]
    assert np.abs(shown[:, :3] - (250, 200, 60)).max() <= 24


def test_upscale_of_more_than_4_megapixels_is_by_lanczos_with_a_warning() -> None:
    context = Context()
    made = image_of(ramp(1001, 1000), "upscale", context)
    assert made.size == (2002, 2000)
    assert [code for code, _ in context.warnings] == ["model_not_used"]
    assert "4,004,000" in context.warnings[0][1]
    assert made.tobytes() == image_of(ramp(1001, 1000), "upscale", method="lanczos").tobytes()


def test_upscale_counts_the_pixels_of_all_frames() -> None:
    context = Context()
    applied(still(*[ramp(501, 500)] * 4), "upscale", context)
    assert [code for code, _ in context.warnings] == ["model_not_used"]


def test_upscale_without_opencv_is_by_lanczos_and_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Extra, "available", property(lambda _: False))
    context = Context()
    made = image_of(ramp(20, 10), "upscale", context)
    assert made.size == (40, 20)
    assert 'pip install "mediagate[enhance]"' in context.warnings[0][1]


def test_upscale_by_lanczos_costs_a_fraction_of_the_model() -> None:
    model, lanczos = (upscale.Upscale(method=method) for method in ("model", "lanczos"))
    assert upscale.cost(model, 4_000_000).cpu_ms > 20 * upscale.cost(lanczos, 4_000_000).cpu_ms
    assert upscale.cost(model, 4_000_001) == upscale.cost(lanczos, 4_000_001)


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (161, 2)])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_upscale_takes_pictures_of_one_pixel(size: tuple[int, int], mode: str) -> None:
    made = image_of(Image.new(mode, size, "grey"), "upscale")
    assert (made.size, made.mode) == ((2 * size[0], 2 * size[1]), mode)
