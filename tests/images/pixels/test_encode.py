"""Encoding: tiny and flat pictures are lossless unless that makes them larger."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from mediagate import Source, VariantSpec
from mediagate.images.pixels import encode
from mediagate.images.render import render
from tests.support.charts import saved
from tests.support.references import opened

MIDDLE = (0.5, 0.5)


def checkers(edge: int, colours: int) -> Image.Image:
    """Return squares of 2 x 2 pixels in up to ``colours`` saturated colours."""
    down, across = np.mgrid[0:edge, 0:edge] // 2
    number = (across * 7 + down * 13) % colours
    table = np.random.default_rng(colours).permutation(np.mgrid[0:256:51, 0:256:51, 0:256:51].reshape(3, -1).T)
    return Image.fromarray(table[number].astype(np.uint8))


def published(picture: Image.Image, upload: str, variant: Any, **options: Any) -> list[Image.Image]:
    """Return a full-size variant and the original as RGB."""
    source = Source(variants={"all": VariantSpec(width=picture.width, format=variant)})
    return [
        opened(file.data).convert("RGB")
        for file in render(saved(picture, upload, **options), source, MIDDLE, None).files
    ]


@pytest.mark.parametrize("edge", [8, 16, 100, 400])
@pytest.mark.parametrize("upload", ["PNG", "GIF", "WEBP"])
def test_pixel_art_keeps_its_colours(upload: str, edge: int) -> None:
    art = checkers(edge, 24)
    options = {"lossless": True} if upload == "WEBP" else {}
    for made in published(art, upload, "webp", **options):
        assert made.tobytes() == art.tobytes()


def noise(edge: int, mode: str) -> Image.Image:
    pixels = np.random.default_rng(edge).normal(128, 40, (edge, edge, len(mode))).clip(0, 255).astype(np.uint8)
    return Image.fromarray(pixels.squeeze()).convert("RGB")


@pytest.mark.parametrize("picture", [noise(64, "RGB"), noise(300, "L")], ids=["tiny", "grey"])
def test_encode_chooses_lossy_webp_if_lossless_is_larger(picture: Image.Image) -> None:
    assert len(encode([picture], [0], 1, "webp", 80, 4)) == len(saved(picture, "WEBP", quality=80, method=4))


def test_tiny_picture_is_published_losslessly_if_not_larger() -> None:
    ramp = Image.merge("RGB", [Image.linear_gradient("L").resize((40, 40)).rotate(at) for at in (0, 90, 180)])
    assert ramp.getcolors(256) is None
    for made in published(ramp, "PNG", "webp"):
        assert made.tobytes() == ramp.tobytes()


Band = Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.int64]]
SMOOTH: dict[str, tuple[Band, Band, Band]] = {
    "ramps": (lambda x, y: x, lambda x, y: y, lambda x, y: 255 - x),
    "equal ramps": (lambda x, y: x, lambda x, y: x, lambda x, y: y),
    "sums": (lambda x, y: (x + y) // 2, lambda x, y: x, lambda x, y: y),
    "products": (lambda x, y: x, lambda x, y: y, lambda x, y: x * y // 256),
    "bits": (lambda x, y: x ^ y, lambda x, y: x & y, lambda x, y: x | y),
    "arcs": (lambda x, y: (x * x + y * y) // 512, lambda x, y: x * y // 256, lambda x, y: y),
}
"""Red, green and blue by place, 0 to 255 from left and top."""


@pytest.mark.parametrize("edge", [48, 64])
@pytest.mark.parametrize("name", SMOOTH)
def test_tiny_picture_gets_the_smaller_of_lossy_and_optimized_lossless(name: str, edge: int) -> None:
    y, x = np.mgrid[0:edge, 0:edge] * 256 // edge
    bands = [band(x, y) for band in SMOOTH[name]]
    picture = Image.fromarray(np.stack(bands, axis=-1).astype(np.uint8))
    lossless = saved(picture, "WEBP", lossless=True, quality=80, method=4)
    lossy = saved(picture, "WEBP", quality=80, method=4)
    assert picture.getcolors(256) is None
    assert len(encode([picture], [0], 1, "webp", 80, 4)) == min(len(lossless), len(lossy))


def test_encode_chooses_lossless_webp_for_large_flat_picture() -> None:
    flat = Image.new("RGB", (900, 700), (10, 200, 30))
    for at in range(0, 900, 30):
        flat.paste((at % 256, 0, 255), (at, at % 600, at + 9, at % 600 + 50))
    file = encode([flat], [0], 1, "webp", 80, 4)
    assert b"VP8L" in file[:16]
    assert Image.open(io.BytesIO(file)).convert("RGB").tobytes() == flat.tobytes()
