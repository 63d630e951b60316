"""Views: the parts of a picture that a moderator judges, so that every published detail is large enough in one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import ceil

from mediagate.config import Source
from mediagate.images.pixels import Crop

Box = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels of a decoded frame."""

TILE = 640
"""Edge of a tile of ``thorough`` in published pixels: twice the input of a detector of 320 pixels."""
OVERLAP = 1 / 4
"""Share of a tile that the next one repeats: a detail up to this size lies entirely within one of them."""
LONG = 2.0
"""A picture with a larger aspect ratio is also judged in tiles along its longer edge."""
LARGE = 4
"""A picture published with this many times the model's input edge is also judged in quadrants."""
QUADRANT = 1 / (2 - OVERLAP)
"""Share of an edge that a quadrant shows: two quadrants and their overlap make the edge."""
SAME = 0.9
"""Boxes with this intersection over union count as the same."""


@dataclass(frozen=True, slots=True)
class Region:
    """A part of a frame that is published as a separate picture; ``zoom`` is frame pixels per published pixel."""

    left: float
    top: float
    width: float
    height: float
    zoom: float = 1.0

    @property
    def longest(self) -> float:
        """The longer edge in pixels of the frame."""
        return max(self.width, self.height)

    @property
    def box(self) -> Box:
        """The whole pixels of the frame that the region touches."""
        right, bottom = self.left + self.width, self.top + self.height
        return int(self.left + 0.01), int(self.top + 0.01), ceil(right - 0.01), ceil(bottom - 0.01)

    def tiles(self, width: float, height: float) -> Iterator[Region]:
        """Divide the region into tiles of at most this size, in frame pixels, that overlap by ``OVERLAP`` at least."""
        width, height = min(width, self.width), min(height, self.height)
        for top in _starts(self.height, height):
            for left in _starts(self.width, width):
                yield Region(self.left + left, self.top + top, width, height)


def views(size: tuple[int, int], plans: Mapping[str, Crop], source: Source, edge: int) -> list[Box]:
    """Return the boxes to judge of a frame of this size, the whole first; ``edge`` is the model's input in pixels.

    The whole is a region, and so is each published crop that does not show nearly all of it. ``standard``: each region,
    with tiles along the longer edge beyond 2:1, or else quadrants if its published edge is four times the model's
    input. ``thorough``: also tiles of 640 published pixels, and of 1280, 2560 and so on until one tile shows all.
    """
    whole, *crops = _regions(size, plans, source)
    found: list[Box] = []
    for region in (whole, *crops):
        if region is whole or not _alike(region.box, whole.box):
            found.append(region.box)
        if region.zoom:
            found += [part.box for part in _parts(region, edge)]
    if source.scrutiny == "thorough":
        for region in (whole, *crops):
            # Tiles of the whole also cover a crop, unless the crop is published larger.
            if region.zoom and (region is whole or not 0 < whole.zoom <= region.zoom):
                found += [tile.box for tile in _pyramid(region)]
    return list(dict.fromkeys(found))


def _regions(size: tuple[int, int], plans: Mapping[str, Crop], source: Source) -> list[Region]:
    """Return the whole, with ``zoom`` 0 if it is not published, and the crops; of equal crops the largest published."""
    published = 1.0 if source.original == "keep" else 0.0
    crops: list[Region] = []
    for plan in plans.values():
        left, top, right, bottom = plan.box_on((0, 0, *size))
        crop = Region(left, top, right - left, bottom - top, max(1.0, (right - left) / plan.size[0]))
        if plan.shows_all:
            published = max(published, 1 / crop.zoom)
        else:
            crops.append(crop)
    whole = Region(0, 0, *size, 1 / published if published else 0)
    distinct: list[Region] = []
    for crop in sorted(crops, key=lambda crop: crop.zoom):
        if not any(_alike(crop.box, other.box) for other in distinct):
            distinct.append(crop)
    return [whole, *distinct]


def _parts(region: Region, edge: int) -> Iterable[Region]:
    """Return tiles along the longer edge of a long region, or the quadrants of a large one."""
    width, height = region.width, region.height
    shortest = min(width, height)
    if region.longest > LONG * shortest:
        # A thin strip is cut no finer than the model sees pixel by pixel.
        length = max(shortest, edge * region.zoom)
        return region.tiles(length, length)
    if region.longest >= LARGE * edge * region.zoom:
        return region.tiles(width * QUADRANT, height * QUADRANT)
    return ()


def _pyramid(region: Region) -> Iterator[Region]:
    """Yield tiles of 640 published pixels, of 1280 and so on, until one would show nearly everything."""
    tile = TILE * region.zoom
    while min(tile, region.width) * min(tile, region.height) < SAME * region.width * region.height:
        yield from region.tiles(tile, tile)
        tile *= 2


def _starts(length: float, tile: float) -> list[float]:
    """Return the starts of the fewest evenly spaced tiles along an edge that overlap enough."""
    # A rounding error must not add a tile.
    count = max(1, ceil((length / tile - OVERLAP) / (1 - OVERLAP) - 1e-6))
    return [0.0] if count == 1 else [(length - tile) * number / (count - 1) for number in range(count)]


def _alike(one: Box, other: Box) -> bool:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    common = max(0, width) * max(0, height)
    return common >= SAME * (_area(one) + _area(other) - common)


def _area(box: Box) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])
