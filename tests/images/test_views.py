"""Which parts of a picture are judged: every published one, and none that is too small in all views."""

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
    """Return the longer edge of the smallest view that shows all of a part."""
    return min(edge(box) for box in found if holds(box, part))


def parts(size: tuple[int, int], length: int, count: int = 200) -> list[Box]:
    """Return square parts of a picture, at random places and in its corners."""
    chance = random.Random(length)
    width, height = size[0] - length, size[1] - length
    places = [(0, 0), (width, height), (0, height), (width, 0)]
    places += [(chance.randint(0, width), chance.randint(0, height)) for _ in range(count)]
    return [(left, top, left + length, top + length) for left, top in places]


@pytest.mark.parametrize("size", [(1, 1), (400, 300), (640, 640), (1279, 700)])
def test_a_picture_of_few_pixels_is_seen_whole(size: tuple[int, int]) -> None:
    assert boxes(size) == [(0, 0, *size)]


def test_a_large_picture_is_also_seen_in_overlapping_quadrants() -> None:
    for size in ((1280, 960), (4000, 3000), (3000, 4000)):
        whole, *quadrants = boxes(size)
        assert whole == (0, 0, *size)
        assert len(quadrants) == 4
        for part in parts(size, min(size) // 7 - 2):
            assert closest(quadrants, part) <= 0.58 * max(size)


def test_the_published_size_counts_not_that_of_the_file() -> None:
    small = {"sm": VariantSpec(width=600)}
    assert len(boxes((4000, 3000), original="delete", variants=small)) == 1
    assert len(boxes((4000, 3000), original="keep", variants=small)) == 5
    assert len(boxes((4000, 3000), original="delete", variants={"lg": VariantSpec(width=1280)})) == 5


def test_a_long_picture_is_also_seen_in_tiles_along_its_longer_edge() -> None:
    for size in ((500, 4000), (4000, 500), (3000, 1400), (9000, 4000)):
        shortest = min(size)
        whole, *tiles = boxes(size)
        assert whole == (0, 0, *size)
        assert {(right - left, bottom - top) for left, top, right, bottom in tiles} == {(shortest, shortest)}
        for part in parts(size, shortest // 4):
            assert closest(tiles, part) == shortest
    assert len(boxes((1000, 500))) == 1, "2:1 is not beyond it"


def test_a_thin_strip_is_cut_no_finer_than_the_model_sees_pixel_by_pixel() -> None:
    found = boxes((1, 16_000))
    assert len(found) == 1 + 67
    assert {edge(box) for box in found[1:]} <= {320, 321}


def test_a_crop_that_is_published_is_seen_by_itself() -> None:
    avatar = {"avatar": VariantSpec(width=256, height=256, fit="cover")}
    assert boxes((500, 4000), (0.5, 0.25), variants=avatar, original="delete") == [
        (0, 0, 500, 4000),
        (0, 750, 500, 1250),
    ]
    assert (0, 750, 500, 1250) in boxes((500, 4000), (0.5, 0.25), variants=avatar)


def test_a_crop_of_nearly_everything_is_not_seen_twice() -> None:
    square = {"square": VariantSpec(width=200, height=200, fit="cover")}
    assert len(boxes((1000, 950), variants=square)) == 1
    assert len(boxes((1000, 800), variants=square)) == 2


def test_crops_of_the_same_part_are_seen_once_at_the_larger_size() -> None:
    sizes = {f"s{edge}": VariantSpec(width=edge, height=edge, fit="cover") for edge in (63, 500, 1400)}
    found = boxes((3000, 1500), variants=sizes, original="delete")
    assert len(found) == 1 + 1 + 4, "the whole is not published; the crop is, with 1400 pixels"
    assert all(holds(found[1], quadrant) for quadrant in found[2:])


def test_a_published_banner_is_long_though_its_picture_is_not() -> None:
    banner = {"banner": VariantSpec(width=2000, height=250, fit="cover")}
    _, crop, *tiles = boxes((2000, 1500), variants=banner, original="delete")
    assert crop == (0, 625, 2000, 875)
    assert {(right - left, bottom - top) for left, top, right, bottom in tiles} == {(320, 250)}


@pytest.mark.parametrize("size", [(900, 700), (4096, 4096), (4032, 3024), (7000, 6000), (512, 4096), (5000, 900)])
def test_thorough_shows_a_part_of_any_size_whole_and_near(size: tuple[int, int]) -> None:
    found = boxes(size, scrutiny="thorough")
    assert set(boxes(size)) <= set(found)
    for length in (20, 100, 160, 200, 450, 800, 2000):
        if length <= min(size):
            for part in parts(size, length):
                assert closest(found, part) <= max(641, 8 * length + 1)


def test_thorough_counts_published_pixels() -> None:
    variants = {"lg": VariantSpec(width=1000)}
    found = boxes((4000, 3000), scrutiny="thorough", original="delete", variants=variants)
    assert {edge(box) for box in found} == {4000, 2560}
    assert len(found) == 1 + 4


def test_thorough_looks_through_a_crop_only_where_the_whole_is_published_smaller() -> None:
    avatar = {"avatar": VariantSpec(width=1000, height=1000, fit="cover")}
    kept = boxes((2000, 1000), scrutiny="thorough", variants=avatar)
    alone = boxes((2000, 1000), scrutiny="thorough", variants=avatar, original="delete")
    assert len(alone) == 1 + 1 + 4
    assert set(kept) - set(boxes((2000, 1000), scrutiny="thorough")) == {(500, 0, 1500, 1000)}
