"""The estimated cost of a request for one picture, before it runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mediagate import ImageInfo
from mediagate.errors import InvalidPipeline, OperationFailed
from mediagate.operations import Operations, Recipe, StepEstimate, estimate, item, size_at_entry

SQUARE = (1000, 1000)
"""The picture that a cost refers to if there is none: one megapixel."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """The cost of each step on a picture of this size in pixels."""

    size: tuple[int, int]
    pages: int | None
    """Pages of a document that are rendered, each at about this cost; ``None`` for a picture."""
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
            **({} if self.pages is None else {"pages": self.pages}),
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


def estimated(
    recipe: Recipe,
    operations: Operations,
    info: ImageInfo | None = None,
    *,
    pages: int | None = None,
    max_pixels: int = 0,
) -> Estimate:
    """Return the cost of a recipe, without steps that will be skipped because they cannot work on such a picture.

    For a document it is the cost of its first page, rendered within ``max_pixels``; ``pages`` is how many are rendered.
    Raises ``InvalidPipeline`` for such a step that may not be skipped.
    """
    size, frames = SQUARE, 1
    if info is not None:
        size = size_at_entry(recipe, info, max_pixels)
        frames = info.frames if pages is None else 1
    try:
        return Estimate(size, pages, estimate(recipe, operations, size, frames))
    except OperationFailed as exc:
        place = ("steps",) if exc.step is None else ("steps", exc.step)
        raise InvalidPipeline([item(place, exc.code, exc.detail)]) from exc
