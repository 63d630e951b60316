"""The estimated cost of a request for one picture, before it runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mediagate import ImageInfo
from mediagate.errors import InvalidPipeline, OperationFailed
from mediagate.operations import Operations, Recipe, StepEstimate, estimate, item

SQUARE = (1000, 1000)
"""The picture that a cost refers to if there is none: one megapixel."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """The cost of each step on a picture of this size in pixels."""

    size: tuple[int, int]
    steps: tuple[StepEstimate, ...]

    @property
    def cpu_ms(self) -> float:
        """CPU time of all steps on an idle core."""
        return round(sum(step.cost.cpu_ms for step in self.steps), 1)

    def check(self, most_ms: float) -> None:
        """Raise ``InvalidPipeline`` if the steps take longer than one picture may."""
        if self.cpu_ms > most_ms:
            raise InvalidPipeline(
                [
                    item(
                        ("steps",),
                        "too_expensive",
                        f"they take about {self.cpu_ms / 1000:.0f} s for {self.size[0]} x {self.size[1]} pixels; up to "
                        f"{most_ms / 1000:g} s are accepted",
                    )
                ]
            )

    def to_json(self) -> dict[str, Any]:
        """Return one of the ``costs`` of a dry run."""
        return {
            "width": self.size[0],
            "height": self.size[1],
            "cpuMs": self.cpu_ms,
            "bytes": max((step.cost.bytes for step in self.steps), default=0),
            "steps": [
                {
                    "op": step.op,
                    "width": step.size[0],
                    "height": step.size[1],
                    "cpuMs": step.cost.cpu_ms,
                    "bytes": step.cost.bytes,
                }
                for step in self.steps
            ],
        }


def estimated(recipe: Recipe, operations: Operations, info: ImageInfo | None = None) -> Estimate:
    """Return the cost of a recipe, without steps that will be skipped because they cannot work on such a picture.

    Raises ``InvalidPipeline`` for such a step that may not be skipped.
    """
    size, frames = (SQUARE, 1) if info is None else ((info.width, info.height), info.frames)
    try:
        return Estimate(size, estimate(recipe, operations, size, frames))
    except OperationFailed as exc:
        place = ("steps",) if exc.step is None else ("steps", exc.step)
        raise InvalidPipeline([item(place, exc.code, exc.detail)]) from exc
