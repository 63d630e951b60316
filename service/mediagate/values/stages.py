"""The stages of a job as its status lists them, and the progress that follows from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

StageStatus = Literal["pending", "running", "done", "skipped", "failed"]

UPLOAD = ("decode", "judge", "encode", "publish")
"""The stages of an upload."""


@dataclass(frozen=True, slots=True)
class StageState:
    """One stage of a job; ``op`` is set for a step of a pipeline."""

    name: str
    op: str | None = None
    status: StageStatus = "pending"
    progress: int = 0
    """Percentage of its inputs that it is done with."""
    ms: float | None = None
    """Milliseconds of wall clock, over all inputs; ``None`` until they are known."""

    def to_json(self) -> dict[str, Any]:
        """Return the object in ``stages`` of a status."""
        return {
            "name": self.name,
            **({} if self.op is None else {"op": self.op}),
            "status": self.status,
            "progress": self.progress,
            "ms": self.ms,
        }


def planned(ops: Sequence[str] | None) -> tuple[StageState, ...]:
    """Return the stages of a job that has not begun: of an upload, or of a pipeline with these operations."""
    if ops is None:
        return tuple(StageState(name) for name in UPLOAD)
    steps = (StageState(f"step{number}", op) for number, op in enumerate(ops))
    return (StageState("judge"), *steps, StageState("publish"))


def completed(stages: Sequence[StageState]) -> tuple[StageState, ...]:
    """Return stages that are all done; how long they took is not known."""
    return tuple(replace(stage, status="done", progress=100) for stage in stages)


def ended_early(stages: Sequence[StageState], *, failed: bool, step: int | None = None) -> tuple[StageState, ...]:
    """Return the stages of an attempt that ended early: none runs any more, and what was not finished is skipped.

    If it ``failed``, so did the stage of the pipeline's ``step``; if that is not known, every stage that was running.
    """
    ended: list[StageState] = []
    for number, stage in enumerate(stages):
        at_fault = stage.status == "running" if step is None else number == step + 1
        status: StageStatus = "failed" if failed and at_fault else "skipped"
        ended.append(replace(stage, status=status) if stage.status in ("running", "pending") else stage)
    return tuple(ended)


def share_done(stages: Sequence[StageState]) -> float:
    """Return the part of the stages before the last one, which publishes, that is done: 0 to 1."""
    before = stages[:-1]
    return sum(stage.progress for stage in before) / (100 * len(before)) if before else 0.0
