"""Variants of several formats: one file for each, all of the same pixels."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from mediagate import Source, VariantSpec
from mediagate.images.render import render
from tests.support.charts import glow, saved
from tests.support.references import opened
from tests.support.rendered import MIDDLE

pytestmark = pytest.mark.usefixtures("each_resizer")

SOURCE = Source(
    variants={
        "sm": VariantSpec(width=64, formats=("avif", "webp", "jpeg", "png")),
        "md": VariantSpec(width=120, formats=("webp", "avif")),
        "plain": VariantSpec(width=32, format="jpeg"),
    },
    original="delete",
    effort=0,
)


def made(data: bytes) -> dict[str, str]:
    """Return the format of each file by its name; its bytes are of this format and its size is as told."""
    found = {}
    for file in render(data, SOURCE, MIDDLE, None).files:
        with Image.open(io.BytesIO(file.data)) as image:
            assert (image.format or "").lower() == file.format
            assert image.size == (file.width, file.height)
        found[file.name] = file.format
    return found


def test_variant_has_one_file_for_each_format(photo: bytes) -> None:
    assert made(photo) == {
        "sm": "avif",
        "sm.webp": "webp",
        "sm.jpeg": "jpeg",
        "sm.png": "png",
        "md": "webp",
        "md.avif": "avif",
        "plain": "jpeg",
    }


def test_variant_with_alpha_has_no_avif_and_webp_once() -> None:
    assert made(saved(glow(200), "PNG")) == {
        "sm": "webp",
        "sm.jpeg": "jpeg",
        "sm.png": "png",
        "md": "webp",
        "plain": "jpeg",
    }


def test_formats_of_a_variant_show_the_same(photo: bytes) -> None:
    files = {file.name: opened(file.data).convert("RGB") for file in render(photo, SOURCE, MIDDLE, None).files}
    exact = files["sm.png"]
    for name in ("sm", "sm.webp", "sm.jpeg"):
        small = [image.resize((8, 8), Image.Resampling.BOX).tobytes() for image in (files[name], exact)]
        assert max(abs(one - other) for one, other in zip(*small, strict=True)) <= 12, name
