"""The memory budget refuses pictures from the size that the pages name."""

from __future__ import annotations

import re
from math import isqrt

import pytest

from mediagate import Settings, Source, VariantSpec
from mediagate.errors import ImageTooLarge
from mediagate.images.pixels import budget
from mediagate.images.pixels.budget import check_budget, needed_bytes
from mediagate.values import ImageInfo
from tests.support.pages import PAGES

HOSTILE = "beyond about (\\d+) and lossless WebP beyond about (\\d+) megapixels"
(AVIF, WEBP) = (int(number) for number in re.findall(HOSTILE, PAGES["docs/explanation/hostile-images.md"])[0])


@pytest.mark.parametrize(("image_format", "lossless", "megapixels"), [("avif", False, AVIF), ("webp", True, WEBP)])
def test_budget_refuses_squares_beyond_the_named_size(image_format: str, lossless: bool, megapixels: int) -> None:
    limit = Settings.model_fields["image_memory_bytes"].default

    def check(size: float) -> None:
        edge = isqrt(int(size * 1_000_000))
        check_budget(ImageInfo(image_format, edge, edge), Source(), limit, lossless=lossless)

    check(megapixels - 1)
    with pytest.raises(ImageTooLarge):
        check(megapixels + 1)


def test_page_of_costs_names_the_same_size() -> None:
    assert re.findall(r"lossless WebP above (\d+)", PAGES["docs/how-to/tune.md"]) == [str(WEBP)]


def test_budget_of_a_crop_counts_the_whole_picture() -> None:
    sizes = {f"w{width}": VariantSpec(width=width, format="avif", effort=6) for width in (2999, 3000)}
    source = Source(variants=sizes, original="delete")
    info = ImageInfo("jpeg", 8000, 6000)
    whole, reduced = budget.HELD * 8000 * 6000, budget.HELD * 4 * 3000 * 2250
    assert needed_bytes(info, source, cropped=True) - needed_bytes(info, source) == whole - reduced


def test_budget_counts_the_two_largest_formats_of_a_variant() -> None:
    info = ImageInfo("png", 3000, 2000)
    needed = {
        formats: needed_bytes(
            info, Source(variants={"md": VariantSpec(width=3000, formats=formats)}, original="delete")
        )
        for formats in (("avif",), ("avif", "webp"), ("avif", "webp", "jpeg"))
    }
    one, two, three = needed.values()
    assert one < two == three
