"""Views: every published part of a picture is judged, and is large enough in one of them."""

from __future__ import annotations

import random
from typing import Any

import pytest

from mediagate import Source, VariantSpec
from mediagate.images import pixels as images
from mediagate.images.views import Box, views

EDGE = 320


def boxes(size: tuple[int, int], focal: tuple[float, float] = (0.5, 0.5), **options: Any) -> list[Box]:
    source = Source(**options)
    return views(size, images.plan(size, source, focal), source, EDGE)


def edge(box: Box) -> int:
    return max(box[2] - box[0], box[3] - box[1])


def holds(box: Box, part: Box) -> bool:
    return box[0] <= part[0] and box[1] <= part[1] and box[2] >= part[2] and box[3] >= part[3]


def closest(found: list[Box], part: Box) -> int:
    """Return the longer edge of the smallest view that contains a part."""
    return min(edge(box) for box in found if holds(box, part))


def parts(size: tuple[int, int], length: int, count: int = 200) -> list[Box]:
    """Return square parts of a picture, at random places and in its corners."""
    chance = random.Random(length)
    width, height = size[0] - length, size[1] - length
    places = [(0, 0), (width, height), (0, height), (width, 0)]
    places += [(chance.randint(0, width), chance.randint(0, height)) for _ in range(count)]
    return [(left, top, left + length, top + length) for left, top in places]


@pytest.mark.parametrize("size", [(1, 1), (400, 300), (640, 640), (1279, 700)], ids=str)
def test_small_picture_has_one_view_of_the_whole(size: tuple[int, int]) -> None:
    assert boxes(size) == [(0, 0, *size)]


def test_large_picture_has_views_of_overlapping_quadrants() -> None:
    for size in ((1280, 960), (4000, 3000), (3000, 4000)):
        whole, *quadrants = boxes(size)
        assert whole == (0, 0, *size)
        assert len(quadrants) == 4
        for part in parts(size, min(size) // 7 - 2):
            assert closest(quadrants, part) <= 0.58 * max(size)


def test_views_depend_on_the_published_size() -> None:
    small = {"sm": VariantSpec(width=600)}
    assert len(boxes((4000, 3000), original="delete", variants=small)) == 1
    assert len(boxes((4000, 3000), original="keep", variants=small)) == 5
    assert len(boxes((4000, 3000), original="delete", variants={"lg": VariantSpec(width=1280)})) == 5


def test_long_picture_has_views_of_tiles_along_its_longer_edge() -> None:
    for size in ((500, 4000), (4000, 500), (3000, 1400), (9000, 4000)):
        shortest = min(size)
        whole, *tiles = boxes(size)
        assert whole == (0, 0, *size)
        assert {(right - left, bottom - top) for left, top, right, bottom in tiles} == {(shortest, shortest)}
        for part in parts(size, shortest // 4):
            assert closest(tiles, part) == shortest
    assert len(boxes((1000, 500))) == 1, "2:1 is not long"


def test_thin_strip_has_no_tile_smaller_than_the_model_input() -> None:
    found = boxes((1, 16_000))
    assert len(found) == 1 + 67
    assert {edge(box) for box in found[1:]} <= {320, 321}


def test_published_crop_has_its_own_view() -> None:
    avatar = {"avatar": VariantSpec(width=256, height=256, fit="cover")}
    assert boxes((500, 4000), (0.5, 0.25), variants=avatar, original="delete") == [
        (0, 0, 500, 4000),
        (0, 750, 500, 1250),
    ]
    assert (0, 750, 500, 1250) in boxes((500, 4000), (0.5, 0.25), variants=avatar)


def test_crop_of_nearly_the_whole_picture_has_no_own_view() -> None:
    square = {"square": VariantSpec(width=200, height=200, fit="cover")}
    assert len(boxes((1000, 950), variants=square)) == 1
    assert len(boxes((1000, 800), variants=square)) == 2


def test_crops_of_the_same_part_share_views_at_the_largest_size() -> None:
    sizes = {f"s{edge}": VariantSpec(width=edge, height=edge, fit="cover") for edge in (63, 500, 1400)}
    found = boxes((3000, 1500), variants=sizes, original="delete")
    assert len(found) == 1 + 1 + 4, "only the crop is published, with 1400 pixels"
    assert all(holds(found[1], quadrant) for quadrant in found[2:])


def test_long_published_crop_has_views_of_tiles() -> None:
    banner = {"banner": VariantSpec(width=2000, height=250, fit="cover")}
    _, crop, *tiles = boxes((2000, 1500), variants=banner, original="delete")
    assert crop == (0, 625, 2000, 875)
    assert {(right - left, bottom - top) for left, top, right, bottom in tiles} == {(320, 250)}


@pytest.mark.parametrize(
    "size", [(900, 700), (4096, 4096), (4032, 3024), (7000, 6000), (512, 4096), (5000, 900)], ids=str
)
def test_thorough_views_show_a_part_of_any_size_whole_and_close(size: tuple[int, int]) -> None:
    found = boxes(size, scrutiny="thorough")
    assert set(boxes(size)) <= set(found)
    for length in (20, 100, 160, 200, 450, 800, 2000):
        if length <= min(size):
            for part in parts(size, length):
                assert closest(found, part) <= max(641, 8 * length + 1)


def test_thorough_views_depend_on_the_published_size() -> None:
    variants = {"lg": VariantSpec(width=1000)}
    found = boxes((4000, 3000), scrutiny="thorough", original="delete", variants=variants)
    assert {edge(box) for box in found} == {4000, 2560}
    assert len(found) == 1 + 4


def test_thorough_views_divide_a_crop_if_the_whole_is_published_smaller() -> None:
    avatar = {"avatar": VariantSpec(width=1000, height=1000, fit="cover")}
    kept = boxes((2000, 1000), scrutiny="thorough", variants=avatar)
    alone = boxes((2000, 1000), scrutiny="thorough", variants=avatar, original="delete")
    assert len(alone) == 1 + 1 + 4
    assert set(kept) - set(boxes((2000, 1000), scrutiny="thorough")) == {(500, 0, 1500, 1000)}
