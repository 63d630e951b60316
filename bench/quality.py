"""How good the variants are: bytes at equal SSIM beside sharp, and what our cascade of sizes loses before encoding."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from bench import photos
from bench.contestant import Contestant
from bench.peers.protocol import WIDTHS
from bench.size import Size
from bench.table import Row

PHOTOS = 10
QUALITY = 80
QUALITIES = (72, 80, 88)
"""Those of sharp, between which bytes at our SSIM are interpolated."""


@dataclass(frozen=True, slots=True)
class Point:
    """What a variant weighs, and how alike it is to its photo."""

    size: int
    ssim: float


class Judge:
    """Has variants made in a folder of its own, and compares them with the photo."""

    def __init__(self, ssim: Contestant, folder: Path) -> None:
        self._ssim = ssim
        self._folder = folder

    def points(
        self, contestant: Contestant, photo: Path, *, covering: int | None = None, **options: Any
    ) -> Mapping[int, Point]:
        """Return the variants of a photo by width."""
        contestant.ask([photo], out=self._folder, **options)
        files = self.files(photo)
        alike = self._ssim.said([photo, *files], covering=covering)["ssim"]
        return {width: Point(file.stat().st_size, ssim) for width, file, ssim in zip(WIDTHS, files, alike, strict=True)}

    def files(self, photo: Path) -> list[Path]:
        """Return where the variants of a photo are, by width."""
        return [self._folder / f"{photo.stem}-{width}" for width in WIDTHS]


def size_at(ssim: float, curve: Sequence[Point]) -> float:
    """Return the bytes at this SSIM: between the two nearest points, linear in the logarithm of the bytes."""
    ordered = sorted(curve, key=lambda point: point.ssim)
    above = next((n for n, point in enumerate(ordered) if point.ssim >= ssim), len(ordered) - 1)
    low, high = ordered[max(above, 1) - 1], ordered[max(above, 1)]
    if high.ssim == low.ssim:
        return (high.size + low.size) / 2
    share = (ssim - low.ssim) / (high.ssim - low.ssim)
    return math.exp(math.log(low.size) + share * (math.log(high.size) - math.log(low.size)))


def rows(size: Size) -> list[Row]:
    """Compare what ten photos weigh at equal SSIM, all sizes together."""
    ratios = []
    with (
        Contestant.ours("ours_render") as ours,
        Contestant.node("sharp_documented") as sharp,
        Contestant.judge() as ssim,
        TemporaryDirectory() as folder,
    ):
        judge = Judge(ssim, Path(folder))
        for photo in photos.mixed(size.of(PHOTOS)):
            mine = judge.points(ours, photo, quality=QUALITY)
            theirs = [judge.points(sharp, photo, quality=quality) for quality in QUALITIES]
            equal = sum(size_at(mine[width].ssim, [points[width] for points in theirs]) for width in WIDTHS)
            ratios.append(sum(point.size for point in mine.values()) / equal)
    return [Row("bytes at equal SSIM, of sharp's", "x", ratios, 1.00, "lower"), *_sharpness(size)]


def _sharpness(size: Size) -> list[Row]:
    """Return the lowest SSIM of our sizes before encoding against one Lanczos resize of the decoded picture.

    Against exact numbers, beside Pillow, and against Pillow, which rounds in other places than cykooz-resizer.
    """
    alike, exactly, pillows = [], [], []
    with (
        Contestant.ours("ours_render") as ours,
        Contestant.judge() as ssim,
        TemporaryDirectory() as folder,
    ):
        judge = Judge(ssim, Path(folder))
        for photo in photos.mixed(size.of(PHOTOS)):
            points = judge.points(ours, photo, task="lossless", covering=max(WIDTHS))
            alike.append(min(point.ssim for point in points.values()))
            exact = ssim.said([photo, *judge.files(photo)], covering=max(WIDTHS), exact=True)
            exactly.append(min(exact["ssim"]))
            pillows.append(min(exact["pillows"]))
    what = "SSIM of each size against one Lanczos resize of the decoded picture, lowest of each photo"
    return [
        Row(f"{what}, in floating-point numbers", "", exactly, 0.999, "higher"),
        Row("the same, beside Pillow's", "", exactly, None, "higher", pillows, "Pillow"),
        Row(f"{what}, by Pillow", "", alike, 0.999, "higher"),
    ]


def print_cascade(size: Size) -> None:
    """Print the SSIM of our sizes before encoding against one Lanczos resize of what was decoded, and of all pixels."""
    references = {"of the picture as it was decoded": max(WIDTHS), "of all pixels": None}
    found = {name: {width: list[float]() for width in WIDTHS} for name in references}
    with (
        Contestant.ours("ours_render") as ours,
        Contestant.judge() as ssim,
        TemporaryDirectory() as folder,
    ):
        judge = Judge(ssim, Path(folder))
        for photo in photos.mixed(size.of(PHOTOS)):
            for name, covering in references.items():
                for width, point in judge.points(ours, photo, task="lossless", covering=covering).items():
                    found[name][width].append(point.ssim)
    print("\n### SSIM of our sizes before encoding, against a direct Lanczos resize: median (lowest)\n")
    print(f"| px wide | {' | '.join(found)} |\n| --- | --- | --- |")
    for width in WIDTHS:
        cells = [f"{median(alike[width]):.4f} ({min(alike[width]):.4f})" for alike in found.values()]
        print(f"| {width} | {' | '.join(cells)} |")
