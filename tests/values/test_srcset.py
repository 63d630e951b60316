"""The srcset of a media: only files among which a browser may choose by width."""

from __future__ import annotations

from itertools import product

import pytest

from mediagate.values import Variant, variant_of
from mediagate.values.srcset import srcset_of


def a_file(name: str, width: int, height: int, image_format: str = "webp", look: str | None = None) -> Variant:
    return Variant(name, f"key/{name}", image_format, width, height, 1, look)


def widths(*files: Variant) -> dict[str, list[str]]:
    """Return the names and widths in each srcset."""
    made = srcset_of(files, {file.name: file.name for file in files})
    return {image_format: text.split(", ") for image_format, text in made.items()}


def test_srcset_names_each_width_once_in_rising_order() -> None:
    made = widths(a_file("lg", 640, 480), a_file("xs", 64, 48), a_file("xl", 640, 480), a_file("sm", 320, 240))
    assert made == {"webp": ["xs 64w", "sm 320w", "lg 640w"]}


def test_srcset_has_the_formats_in_the_order_of_the_files() -> None:
    files = [a_file("sm", 64, 48, "avif"), a_file("sm.webp", 64, 48, "webp"), a_file("sm.jpeg", 64, 48, "jpeg")]
    assert list(widths(*files)) == ["avif", "webp", "jpeg"]
    assert {variant_of(file.name) for file in files} == {"sm"}
    assert [file.first for file in files] == [True, False, False]


def test_srcset_leaves_out_crops_of_the_largest_variant() -> None:
    assert widths(a_file("thumb", 64, 64), a_file("md", 640, 480), a_file("sm", 64, 48)) == {
        "webp": ["sm 64w", "md 640w"]
    }


def test_srcset_of_square_crops_has_all_of_them() -> None:
    assert widths(a_file("sm", 64, 64), a_file("lg", 256, 256)) == {"webp": ["sm 64w", "lg 256w"]}


def test_srcset_leaves_out_other_looks() -> None:
    files = [a_file("md", 640, 480), a_file("noir", 320, 240, look="n"), a_file("sm", 64, 48)]
    assert widths(*files) == {"webp": ["sm 64w", "md 640w"]}
    assert widths(files[1], a_file("dark", 32, 24, look="n")) == {"webp": ["dark 32w", "noir 320w"]}


def test_srcset_without_files_is_empty() -> None:
    assert srcset_of((), {}) == {}


@pytest.mark.parametrize("whole", [(4032, 3024), (1000, 667), (3000, 37), (37, 3000), (641, 640)])
def test_srcset_keeps_every_size_of_one_picture_despite_rounding(whole: tuple[int, int]) -> None:
    for one, other in product((1, 7, 64, 65, 256, 1920), repeat=2):
        sizes = []
        for edge in (one, other):
            scale = min(1.0, edge / whole[0])
            sizes.append((max(1, round(whole[0] * scale)), max(1, round(whole[1] * scale))))
        files = [a_file(f"v{at}", *size) for at, size in enumerate(sizes)]
        if min(min(size) for size in sizes) > 1:  # an edge of a pixel has lost its proportions
            assert len(widths(*files)["webp"]) == len({size[0] for size in sizes})
