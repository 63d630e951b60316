"""Resizing with SIMD instructions: the same pixels as Pillow's, under the limits of an image process."""

from __future__ import annotations

import io
import logging
import resource
import subprocess
import sys
import threading
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from mediagate.config import Source, VariantSpec
from mediagate.images.pixels import lanczos
from mediagate.images.render import render
from tests.support.charts import chart

Box = tuple[float, float, float, float]
pytestmark = pytest.mark.skipif(
    lanczos.simd is None, reason='no cykooz-resizer: pip install "mediagate[fast]" (it has no wheel for Linux on ARM)'
)


def picture(mode: str, width: int, height: int) -> Image.Image:
    """Return a picture of fine details; alpha falls from left to right."""
    image = chart(width, height).convert(mode if mode != "RGBA" else "RGB")
    if mode == "RGBA":
        image.putalpha(Image.linear_gradient("L").rotate(90).resize((width, height)))
    return image


def premultiplied(image: Image.Image) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return np.asarray(image.convert("RGBa") if image.mode == "RGBA" else image, float)


@pytest.mark.parametrize("mode", lanczos.MODES)
@pytest.mark.parametrize(
    ("whole", "size", "box"),
    [
        ((1201, 803), (1200, 802), None),
        ((1201, 803), (640, 428), None),
        ((1201, 803), (64, 43), None),
        ((1201, 803), (1, 1), None),
        ((1201, 803), (1, 700), (600.5, 0.25, 601.75, 803.0)),
        ((1201, 803), (333, 222), (1 / 3, 2 / 3, 1200.9999999, 803.0)),
        ((1, 5000), (1, 300), None),
        ((5000, 1), (64, 1), None),
        ((1, 1), (1, 1), None),
        ((7, 3), (700, 300), None),
    ],
    ids=str,
)
def test_lanczos_resizes_as_pillow_does(
    mode: str, whole: tuple[int, int], size: tuple[int, int], box: Box | None
) -> None:
    image = picture(mode, *whole)
    made = lanczos.resize(image, size, box or (0, 0, *whole))
    assert (made.mode, made.size) == (mode, size)
    difference = np.abs(premultiplied(made) - premultiplied(image.resize(size, Image.Resampling.LANCZOS, box=box)))
    # Both clip to 0-255 between their passes, in a different order, so single pixels of hard edges differ.
    assert difference.max() <= 48
    assert difference.mean() < 0.75


@pytest.mark.parametrize("size", [(1200, 802), (640, 428), (64, 43)], ids=str)
def test_lanczos_is_as_close_to_exact_numbers_as_pillow(size: tuple[int, int]) -> None:
    image = picture("L", 1201, 803)
    exact = np.clip(np.asarray(image.convert("F").resize(size, Image.Resampling.LANCZOS)), 0, 255)
    made, pillows = lanczos.resize(image, size, (0, 0, 1201, 803)), image.resize(size, Image.Resampling.LANCZOS)
    error, pillows_error = (np.abs(np.asarray(each, float) - exact).mean() for each in (made, pillows))
    assert error <= pillows_error + 0.25


@pytest.mark.parametrize("mode", lanczos.MODES)
@pytest.mark.parametrize(
    ("whole", "size", "box"),
    [
        ((2016, 1512), (1920, 1440), (0.0, 0.0, 2016.0, 1512.0)),
        ((1999, 1501), (1280, 961), (0.0, 0.0, 1999.0, 1501.0)),
        ((1999, 1501), (997, 1499), (1 / 3, 2 / 7, 1998.7, 1500.9)),
        ((300, 4000), (2900, 3), (0.0, 10.5, 300.0, 3999.5)),
        ((700, 500), (2800, 2000), (0.0, 0.0, 700.0, 500.0)),
    ],
    ids=str,
)
def test_bands_have_the_pixels_of_the_picture_in_one_piece(
    mode: str, whole: tuple[int, int], size: tuple[int, int], box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = picture(mode, *whole)
    banded = lanczos.resize(image, size, box)
    monkeypatch.setattr(lanczos, "MOST_BANDS", 1)
    difference = np.abs(premultiplied(banded) - premultiplied(lanczos.resize(image, size, box)))
    # Boxes of bands are rounded, and so are the weights then.
    assert difference.max() <= 2
    assert difference.mean() < 0.001


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_bands_end_within_the_picture(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanczos, "BAND_BYTES", 1)
    monkeypatch.setattr(lanczos, "BAND_ROWS", 1)
    image = picture(mode, 40, 997)
    for height in range(60, 997):
        for rows in (997 - 1 / 3, 997 * 0.7, 997 - 997 / height, 996.9999999):
            lanczos.resize(image, (5, height // 7), (0.0, 997 - rows, 40.0, 997.0))


def test_crop_at_the_bottom_of_an_odd_size_is_published() -> None:
    picture(mode := "RGB", 5181, 5824).save(file := io.BytesIO(), "PNG", compress_level=0)
    source = Source(variants={"tall": VariantSpec(width=925, height=1017, fit="cover")})
    (made,) = render(file.getvalue(), source, (0.5, 1.0), None).variants
    assert (Image.open(io.BytesIO(made.data)).mode, made.width, made.height) == (mode, 925, 1017)


def test_resizing_holds_little_besides_the_result() -> None:
    program = f"""
import resource
from pathlib import Path
from PIL import Image
from mediagate.images.pixels import lanczos

assert lanczos.usable()
image = Image.new("RGB", (4000, 3000), (90, 60, 30))
used = int(Path("/proc/self/statm").read_text().split()[0]) * {resource.getpagesize()}
resource.setrlimit(resource.RLIMIT_AS, (used + 4 * 3000 * 2250 + (16 << 20), resource.RLIM_INFINITY))
lanczos.resize(image, (3000, 2250), (0, 0, 4000, 3000))
"""
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize("share", [1 / 3, 2 / 7, 0.1 + 0.2, 1 - 1e-16])
def test_lanczos_accepts_boxes_whose_ends_are_rounded(share: float) -> None:
    image = picture("RGB", 997, 31)
    left = 997 * share
    made = lanczos.resize(image, (100, 31), (min(left, 996.9), 0.0, 997.0, 31.0))
    assert made.size == (100, 31)


def test_lanczos_takes_no_second_thread() -> None:
    before = threading.active_count()
    lanczos.resize(picture("RGB", 2000, 1500), (640, 480), (0.0, 0.0, 2000.0, 1500.0))
    assert threading.active_count() == before


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_lack_of_memory_is_an_error_instead_of_a_crash(mode: str) -> None:
    program = f"""
import resource
from pathlib import Path
from PIL import Image
from mediagate.images.pixels import lanczos

assert lanczos.usable()
image = Image.new({mode!r}, (4000, 3000), (90, 60, 30, 120)[: len({mode!r})])
used = int(Path("/proc/self/statm").read_text().split()[0]) * {resource.getpagesize()}
outcomes = set()
for spare in range(10 << 20, 140 << 20, 1 << 20):
    resource.setrlimit(resource.RLIMIT_AS, (used + spare, resource.RLIM_INFINITY))
    try:
        lanczos.resize(image, (3000, 2250), (0, 0, 4000, 3000))
    except MemoryError:
        outcomes.add("refused")
    else:
        outcomes.add("resized")
print(*sorted(outcomes))
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout.split()) == (0, ["refused", "resized"]), ran.stderr[-500:]


def wrong_pixels(image: Image.Image, size: tuple[int, int], box: Box) -> Image.Image:
    return image.resize(size, Image.Resampling.NEAREST, box=box)


def wrong_mode(image: Image.Image, size: tuple[int, int], box: Box) -> Image.Image:
    return image.resize(size, Image.Resampling.LANCZOS, box=box).convert("CMYK")


def failing(image: Image.Image, size: tuple[int, int], box: Box) -> Image.Image:
    raise AttributeError("no such internal")


class Panic(BaseException):
    """Derives from ``BaseException``, as the exception of PyO3 does."""


class Panicking:
    def resize_pil(self, image: Image.Image, made: Image.Image, options: object) -> None:
        raise Panic("index out of bounds")


def test_lanczos_is_not_used_where_the_library_panics(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(lanczos.simd, "Resizer", Panicking)
    with caplog.at_level(logging.WARNING, "mediagate"):
        assert not lanczos.usable.__wrapped__()
    assert "cykooz-resizer disabled" in caplog.text


def test_panic_of_a_picture_is_an_ordinary_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanczos.simd, "Resizer", Panicking)
    with pytest.raises(RuntimeError, match="index out of bounds"):
        lanczos.resize(picture("RGB", 20, 15), (10, 7), (0.0, 0.0, 20.0, 15.0))


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_lanczos_does_not_swallow_what_ends_a_process(
    stop: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    def ending(*args: object) -> None:
        raise stop

    monkeypatch.setattr(Panicking, "resize_pil", ending)
    monkeypatch.setattr(lanczos.simd, "Resizer", Panicking)
    with pytest.raises(stop):
        lanczos.usable.__wrapped__()


@pytest.mark.parametrize("resize", [wrong_pixels, wrong_mode, failing])
def test_lanczos_is_not_used_where_it_differs_from_pillow(
    resize: Callable[..., Image.Image], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(lanczos, "resize", resize)
    with caplog.at_level(logging.WARNING, "mediagate"):
        assert not lanczos.usable.__wrapped__()
    assert "cykooz-resizer disabled" in caplog.text
