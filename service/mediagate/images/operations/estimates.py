"""What a recipe will cost, and how large its pictures get, before anything is decoded."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from mediagate.errors import OperationFailed
from mediagate.images.operations.operation import Cost, Size
from mediagate.images.operations.recipe import ORIGINAL, Recipe
from mediagate.images.operations.registry import Operations


@dataclass(frozen=True, slots=True)
class StepEstimate:
    """One step: its index, the largest size that its picture may have, and its cost."""

    step: int
    op: str
    size: Size
    cost: Cost


def estimate(recipe: Recipe, operations: Operations, size: Size, frames: int = 1) -> tuple[StepEstimate, ...]:
    """Return an estimate of each step for an upright picture of this size, except of those that will be skipped.

    Raises ``OperationFailed``, with its step, for a step that cannot work on such a picture and may not be skipped.
    """
    sizes = {ORIGINAL: size}
    made = []
    for number, step in enumerate(recipe.steps):
        operation = operations[step.op]
        before = size = sizes.get(step.start, size) if step.start is not None else size
        try:
            size = operation.resized(step.params, before)
        except OperationFailed as exc:
            if step.on_error == "skip":
                continue
            exc.step, exc.op = number, step.op
            raise
        count = max(prod(before), prod(size)) * frames
        made.append(StepEstimate(number, step.op, size, operation.cost_of(step.params, count, frames)))
        if step.saves_as is not None:
            sizes[step.saves_as] = size
    return tuple(made)
