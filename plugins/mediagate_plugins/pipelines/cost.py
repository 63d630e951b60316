"""The estimated cost of a recipe, before it runs."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

from mediagate.operations import Operations, Recipe

ORIGINAL = "original"
SQUARE = (1000, 1000)
"""The picture that a cost refers to if there is none: one megapixel."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """The cost of each step, and of all: CPU time in ms on an idle core, memory of the most expensive step in bytes."""

    size: tuple[int, int]
    steps: tuple[dict[str, Any], ...]

    @property
    def cpu_ms(self) -> float:
        """CPU time of all steps."""
        return round(sum(step["cpuMs"] for step in self.steps), 1)

    def to_json(self) -> dict[str, Any]:
        """Return the object ``cost`` of the HTTP API."""
        return {
            "width": self.size[0],
            "height": self.size[1],
            "cpuMs": self.cpu_ms,
            "bytes": max(step["bytes"] for step in self.steps),
            "steps": list(self.steps),
        }


def estimate(recipe: Recipe, operations: Operations, size: tuple[int, int] = SQUARE, *, frames: int = 1) -> Estimate:
    """Return the cost of a recipe on a picture of this size; a step counts the larger of its picture before and after.

    Steps that look at the picture, such as ``trim``, count as if they kept its size.
    """
    sizes, now = {ORIGINAL: size}, size
    steps = []
    for step in recipe.steps:
        before = now if step.start is None else sizes[step.start]
        operation = operations[step.op]
        now = operation.resized(step.params, before)
        cost = operation.cost_of(step.params, max(prod(before), prod(now)) * frames)
        steps.append({"op": step.op, "cpuMs": cost.cpu_ms, "bytes": cost.bytes})
        if step.saves_as is not None:
            sizes[step.saves_as] = now
    return Estimate(size, tuple(steps))
