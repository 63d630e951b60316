"""Comparisons and how they are printed: alternating runs, medians, ratios with their spread, and the target."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: what we measured run by run, beside a peer in the same run or, without one, a limit."""

    what: str
    unit: str
    ours: Sequence[float]
    target: float | None
    """Of the ratio ours / theirs; without a peer, of our own figure. ``None``: for information."""
    better: Literal["higher", "lower"]
    theirs: Sequence[float] = ()
    peer: str = ""

    @property
    def figures(self) -> list[float]:
        """What is held against the target, run by run."""
        return [a / b for a, b in zip(self.ours, self.theirs, strict=True)] if self.theirs else list(self.ours)

    @property
    def figure(self) -> float:
        """The quotient of the medians, or our median."""
        return median(self.ours) / median(self.theirs) if self.theirs else median(self.ours)

    @property
    def holds(self) -> str:
        """Whether the target is reached: in every run, in the median alone, or not."""
        if self.target is None:
            return ""
        if not self._reached(self.figure):
            return "no"
        return "yes" if all(map(self._reached, self.figures)) else "in the median"

    def _reached(self, figure: float) -> bool:
        target = self.target or 0.0
        return figure >= target if self.better == "higher" else figure <= target


def alternate(runs: int, contestants: Mapping[str, Callable[[], float]]) -> dict[str, list[float]]:
    """Let each measure once, then all again: whatever else the machine does meanwhile meets all of them."""
    results: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(runs):
        for name, measure in contestants.items():
            results[name].append(measure())
    return results


def print_rows(title: str, rows: Sequence[Row]) -> None:
    """Print a table in Markdown."""
    print(f"\n## {title}\n")
    print("| what | ours | peer | ratio (lowest to highest) | target | holds |")
    print("| --- | --- | --- | --- | --- | --- |")
    for row in rows:
        theirs = f"{_short(median(row.theirs))} {row.unit} ({row.peer})" if row.theirs else ""
        spread = f"{_short(row.figure)} ({_short(min(row.figures))} to {_short(max(row.figures))})"
        sign = "≥" if row.better == "higher" else "≤"
        target = "" if row.target is None else f"{sign} {row.target:g}"
        ours = f"{_short(median(row.ours))} {row.unit}"
        print(f"| {row.what} | {ours} | {theirs} | {spread} | {target} | {row.holds} |")


def _short(value: float) -> str:
    if 0.99 <= value < 1:
        return f"{value:.4f}"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
