"""How much a run of the benchmarks takes: enough for figures, or the least that still runs all of their code."""

from __future__ import annotations

import argparse
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Size:
    """The runs that medians are taken of, the mixed photos, and the share of every other count and duration."""

    runs: int = 3
    photos: int = 100
    share: float = 1.0

    @property
    def is_whole(self) -> bool:
        """Whether figures of this size may be compared with those of the documentation."""
        return self.share == 1

    def of(self, whole: int) -> int:
        """Return the share of a count, or of whole seconds; at least one."""
        return max(1, round(whole * self.share))


SMALLEST = Size(runs=1, photos=2, share=0.01)
"""Two small photos, and one of everything else."""


def add_smallest(parser: argparse.ArgumentParser) -> None:
    """Add the option that asks for the smallest size."""
    parser.add_argument("--smallest", action="store_true", help="run all code once, on as little as it takes")
