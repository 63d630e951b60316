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
    target: float
    """Of the ratio ours / theirs; without a peer, of our own figure."""
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
    def holds(self) -> bool:
        """Whether the target is reached."""
        return self.figure >= self.target if self.better == "higher" else self.figure <= self.target


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
        print(
            f"| {row.what} | {_short(median(row.ours))} {row.unit} | {theirs} | {spread} "
            f"| {sign} {row.target:g} | {'yes' if row.holds else 'no'} |"
        )


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
