"""The memory budget refuses pictures from the size that the pages name."""

from __future__ import annotations

import re
from math import isqrt

import pytest

from mediagate import Settings, Source
from mediagate.errors import ImageTooLarge
from mediagate.images.pixels.budget import check_budget
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
