"""The stages of a pipeline while it runs: each step counts the inputs that it is done with."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mediagate.jobs.attempt import Attempt
from mediagate.values import Produced, StageState, StageStatus, StepEnd, planned

if TYPE_CHECKING:
    from mediagate.images import Recipe


class Steps:
    """Shows the clients of an attempt how far its steps are; ``inputs`` is how many inputs they run on."""

    def __init__(self, attempt: Attempt, recipe: Recipe, *, inputs: int) -> None:
        self._attempt = attempt
        self._inputs = inputs
        self._done = 0
        """How many inputs all steps have run on."""
        judge, *rest = planned([step.op for step in recipe.steps])
        self._stages = [replace(judge, status="running"), *rest]
        self._skipped = [0] * len(self._stages)

    def judged(self) -> None:
        """Note that the current input is allowed."""
        self._count(0, "done", 0.0)
        self._run(1)

    def told(self, end: StepEnd) -> None:
        """Count the end of a step on the current input."""
        self._count(end.step + 1, end.status, end.ms)
        self._run(end.step + 2)

    def input_done(self, produced: Produced) -> None:
        """Note that all steps have run on an input."""
        self._done += 1
        judge, timed = self._stages[0], produced.timings_ms
        ms = (judge.ms or 0.0) + timed.get("decode", 0.0) + timed.get("moderate", 0.0)
        self._stages[0] = replace(judge, ms=round(ms, 2))
        self._attempt.show(self._stages)

    def publish(self) -> None:
        """Note that the outputs are being stored."""
        self._run(len(self._stages) - 1)

    def published(self, ms: float) -> tuple[StageState, ...]:
        """Return the stages of the complete pipeline."""
        *steps, publish = self._stages
        return (*steps, replace(publish, status="done", progress=100, ms=ms))

    def _count(self, at: int, status: str, ms: float) -> None:
        stage = self._stages[at]
        last = self._done + 1 == self._inputs
        # A step that was skipped on some inputs only is done; the warnings say on which.
        self._skipped[at] += status == "skipped"
        ended: StageStatus = "skipped" if self._skipped[at] == self._inputs else "done"
        self._stages[at] = replace(
            stage,
            status=ended if last else "running",
            progress=100 * (self._done + 1) // self._inputs,
            ms=round((stage.ms or 0.0) + ms, 2),
        )

    def _run(self, at: int) -> None:
        """Show that the stage at this place runs, unless it is the last and steps still run on other inputs."""
        last = at == len(self._stages) - 1
        if self._stages[at].status == "pending" and (not last or self._done == self._inputs):
            self._stages[at] = replace(self._stages[at], status="running")
        self._attempt.show(self._stages)
