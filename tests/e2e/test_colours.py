"""Colour conversion gives the colours that Chromium shows for the same file."""

from __future__ import annotations

import base64
import io
import struct
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page

from mediagate.images.pixels.conversion import read_conversion
from mediagate.images.pixels.icc import display_p3_profile
from tests.support.colorimetry import (
    ADOBE,
    P3,
    Floats,
    chart,
    cicp,
    decoded,
    gama,
    gamma,
    iccp,
    levels,
    lookup_table,
    matrix_profile,
    png,
    profile,
    table,
)

SHOW = """async (url) => {
    const image = new Image();
    image.src = url;
    await image.decode();
    const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight);
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0);
    return btoa(String.fromCharCode(...context.getImageData(0, 0, canvas.width, canvas.height).data));
}"""
LINEAR = matrix_profile(curve=gamma(1.0))
RAMP = np.linspace(0, 1, 1024)


def negative(device: Floats) -> Floats:
    return np.stack([100 - 100 * device[..., 1], 0 * device[..., 0], 0 * device[..., 0]], -1)


def grey(device: Floats) -> Floats:
    return np.stack([10 + 80 * device[..., 1], 0 * device[..., 0], 0 * device[..., 0]], -1)


PNGS = {
    "linear": [iccp(LINEAR)],
    "Adobe RGB": [iccp(matrix_profile(ADOBE, gamma(2.2)))],
    "falling": [iccp(matrix_profile(curve=table(decoded(1 - RAMP))))],
    "permuted": [iccp(matrix_profile(curve=table(np.random.default_rng(1).permutation(256) / 255)))],
    "table": [iccp(profile([(b"A2B0", lookup_table(grey))], connection=b"Lab "))],
    "two tables": [
        iccp(profile([(b"A2B1", lookup_table(negative)), (b"A2B0", lookup_table(grey))], connection=b"Lab "))
    ],
    "A2B1 alone": [iccp(profile([(b"A2B1", lookup_table(negative))], connection=b"Lab "))],
    "A2B2": [iccp(matrix_profile(P3, extra=[(b"A2B2", lookup_table(negative))]))],
    "cicp tag": [iccp(matrix_profile(extra=[(b"cicp", b"cicp\0\0\0\0\x09\x08\0\1")], version=4))],
    "version 5": [iccp(matrix_profile(P3, version=5))],
    "grey profile": [iccp(profile([(b"kTRC", gamma(1.0))], space=b"GRAY"))],
    "gamma 1": [gama(100_000)],
    "gamma near sRGB": [gama(43_300)],
    "gamma off sRGB": [gama(43_000)],
    "sRGB and gamma": [(b"sRGB", b"\0"), gama(100_000)],
    "cICP and iCCP": [cicp(12, 13), iccp(LINEAR)],
    "unspecified cICP and iCCP": [cicp(2, 2), iccp(LINEAR)],
    "PQ of 400 cd/m²": [cicp(9, 16), (b"cLLI", struct.pack(">2I", 4_000_000, 1))],
    "PQ of 4000 cd/m²": [cicp(9, 16), (b"mDCV", bytes(16) + struct.pack(">2I", 40_000_000, 50))],
    "our Display P3": [iccp(display_p3_profile())],
} | {f"cICP {primaries}, {transfer}": [cicp(primaries, transfer)] for primaries, transfer in [
    (4, 13), (5, 5), (6, 6), (7, 7), (8, 8), (9, 1), (9, 14), (10, 13), (11, 4), (12, 11), (22, 15), (9, 16), (1, 18),
]}  # fmt: skip
AVIFS = [(1, 13), (1, 1), (2, 2), (9, 1), (9, 2), (9, 0), (12, 4), (5, 6), (99, 8), (9, 18)]


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    opened = browser.new_page()
    yield opened
    opened.close()


@pytest.mark.parametrize("name", PNGS)
def test_png_is_converted_as_chromium_shows_it(page: Page, name: str) -> None:
    assert_same(page, png(chart(), *PNGS[name]), "png")


@pytest.mark.parametrize(("primaries", "transfer"), AVIFS)
def test_avif_is_converted_as_chromium_shows_it(page: Page, primaries: int, transfer: int) -> None:
    file = io.BytesIO()
    Image.fromarray(chart()).save(file, "AVIF", quality=100, subsampling="4:4:4", speed=10)
    data = bytearray(file.getvalue())
    at = data.index(b"colrnclx") + 8
    data[at : at + 4] = bytes([0, primaries, 0, transfer])
    assert_same(page, bytes(data), "avif")


def assert_same(page: Page, data: bytes, image_format: str) -> None:
    """Compare all pixels; lookup tables of the two engines and 33 steps of tone mapping differ slightly."""
    pixels = page.evaluate(SHOW, f"data:image/{image_format};base64,{base64.b64encode(data).decode()}")
    with Image.open(io.BytesIO(data)) as image:
        conversion = read_conversion(image, data, image_format, [])
        image.load()
    shown = np.frombuffer(base64.b64decode(pixels), np.uint8).reshape(image.height, image.width, 4)[..., :3]
    difference = np.abs(levels(conversion.to_srgb(image) if conversion else image) - shown)
    assert float(difference.mean()) <= 1
    assert float(np.percentile(difference, 99)) <= 14
