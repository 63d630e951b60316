"""The path of a pipeline's job on one page: inputs, verdicts, outputs, end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any

from mediagate.config import Source
from mediagate.errors import (
    ImageTooLarge,
    InvalidPipeline,
    MediagateError,
    ObjectNotFound,
    OperationFailed,
    ProcessingError,
    ProcessingRefused,
    StagedFileLost,
)
from mediagate.jobs.attempt import Attempt
from mediagate.jobs.attempts import Attempts
from mediagate.jobs.judging import judge
from mediagate.jobs.outputs import Made, outputs_of
from mediagate.jobs.steps import Steps
from mediagate.moderation import count_review_as_reject, merge
from mediagate.records import Settlement
from mediagate.values import (
    MOST_OUTPUT_BYTES,
    InputWarning,
    Job,
    JobStatus,
    PipelineInput,
    PipelineResult,
    Stage,
    Verdict,
    ended_early,
)

if TYPE_CHECKING:
    from mediagate.images import Operations, Recipe

_Entering = tuple[PipelineInput, Sequence[int | None]]
"""An input, and its pages that are rendered; of a picture ``None`` alone."""
MOST_DATA_BYTES = 4 * 1024 * 1024
"""Bytes of the JSON of all data of a job: every answer about the job has it."""


@dataclass(slots=True)
class _Made:
    """What the steps have made so far."""

    produced: list[Made] = field(default_factory=list)
    model_runs: int = 0
    refused: Settlement | None = None

    @property
    def verdict(self) -> Verdict:
        return merge([one.produced.verdict for one in self.produced])

    @property
    def timings_ms(self) -> dict[str, float]:
        sums: dict[str, float] = {}
        for one in self.produced:
            for name, ms in one.produced.timings_ms.items():
                sums[name] = round(sums.get(name, 0.0) + ms, 2)
        return sums

    @property
    def result(self) -> PipelineResult:
        data: dict[str, list[Mapping[str, Any]]] = {}
        warnings: list[InputWarning] = []
        for one in self.produced:
            name, page = one.input.name, one.page
            place = {"input": name} if page is None else {"input": name, "page": page}
            for given in one.produced.data:
                data.setdefault(given.op, []).append({**place, "step": given.step, "value": dict(given.value)})
            warnings += [InputWarning.of(name, page, warning) for warning in one.produced.warnings]
        return PipelineResult(data, tuple(warnings))


class Production(Attempts):
    """Runs the claimed pipelines of one worker."""

    async def process(self, attempt: Attempt) -> Settlement:
        """Run the steps on each input; store the outputs once all inputs and all outputs are allowed."""
        job, parts = attempt.job, self._parts
        source = parts.sources.get(job.source_type)
        if source is None:
            raise ProcessingError(f"source type {job.source_type!r} is not configured here; add it, or remove the job")
        # In a thread: checking a large table of colours takes some tenths of a second.
        recipe = await asyncio.to_thread(_recipe, job, parts.operations)
        made = _Made()
        try:
            await parts.hooks.run("pre_process", job)
            entering = _entering(job, recipe)
            steps = Steps(attempt, recipe, inputs=sum(len(pages) for _, pages in entering))
            with parts.observer.during("render", job=job):
                await self._run(job, recipe, source, made, steps, entering)
            verdict = count_review_as_reject(made.verdict)
            await parts.hooks.run("pre_verdict", job, verdict)
        except ProcessingRefused as refusal:
            return _refused(attempt, made, Settlement(JobStatus.REJECTED, reason=refusal.detail, code=refusal.code))
        if verdict.decision != "allow":
            rejected = Settlement(
                JobStatus.REJECTED, verdict=verdict, reason=verdict.reason, code="moderation_rejected"
            )
            return _refused(attempt, made, rejected)
        steps.publish()
        await attempt.enter(Stage.PUBLISH, made.model_runs)
        return await self._store(attempt, made, recipe, verdict, steps)

    async def _fetch(self, job: Job, one: PipelineInput) -> bytes:
        """Return a quarantined file."""
        with self._parts.observer.during("fetch", job=job):
            try:
                return await self._parts.storage.get(one.key)
            except ObjectNotFound:
                raise StagedFileLost("a quarantined file no longer exists; send the pictures again") from None

    async def _run(
        self, job: Job, recipe: Recipe, source: Source, made: _Made, steps: Steps, entering: Sequence[_Entering]
    ) -> None:
        """Run the steps on one picture or page after another, until one is not allowed."""
        referred = {one.name: await self._fetch(job, one) for one in job.inputs if one.refers}
        run = partial(self._parts.images.run_pipeline, inputs=referred, judged=steps.judged, told=steps.told)
        total = given = 0
        for one, pages in entering:
            data = await self._fetch(job, one)
            for page in pages:
                look = partial(run, data, recipe, page=page)
                with _naming(page):
                    produced = await judge(look, source, self._remote)
                made.model_runs += produced.model_runs
                made.produced.append(Made(one, page, produced))
                if produced.verdict.decision != "allow":
                    return
                steps.input_done(produced)
                total += sum(len(file.data) for file in produced.outputs)
                given += sum(len(json.dumps(dict(step.value))) for step in produced.data)
                _check_sizes(total, given)

    async def _store(self, attempt: Attempt, made: _Made, recipe: Recipe, verdict: Verdict, steps: Steps) -> Settlement:
        """Write the outputs concurrently under their private keys; return the end that names them."""
        job, storing = attempt.job, perf_counter()
        named = await asyncio.to_thread(outputs_of, job, recipe, made.produced)
        with self._parts.observer.during("publish", job=job):
            async with asyncio.TaskGroup() as writes:
                for output, data in named:
                    writes.create_task(self._parts.storage.put(output.key, data))
        ended = perf_counter()
        publish_ms = round((ended - storing) * 1000, 1)
        return Settlement(
            JobStatus.COMPLETE,
            verdict=verdict,
            timings_ms={
                **made.timings_ms,
                "publish": publish_ms,
                "total": round((ended - attempt.started) * 1000, 1),
            },
            bytes_out=sum(output.bytes for output, _ in named),
            stages=steps.published(publish_ms),
            outputs=tuple(output for output, _ in named),
            result=made.result,
        )


def _entering(job: Job, recipe: Recipe) -> list[_Entering]:
    """Return the inputs on which the steps run, each with its pages; raises ``ProcessingError``."""
    from mediagate.images import pages_of  # lazily, as the operations

    try:
        return [(one, pages_of(recipe, one.format, one.pages)) for one in job.inputs if not one.refers]
    except InvalidPipeline as exc:
        raise ProcessingError(f"this process cannot run the steps: {exc.detail}") from exc


def _check_sizes(outputs: int, data: int) -> None:
    """Raise ``ImageTooLarge`` or ``OperationFailed`` if all inputs together have given too much."""
    if outputs > MOST_OUTPUT_BYTES:
        raise ImageTooLarge(f"the outputs have more than {MOST_OUTPUT_BYTES:,} bytes")
    if data > MOST_DATA_BYTES:
        raise OperationFailed(f"the data of all pictures has more than {MOST_DATA_BYTES:,} bytes; send fewer")


@contextmanager
def _naming(page: int | None) -> Iterator[None]:
    """Name the page in every error of the block."""
    try:
        yield
    except MediagateError as exc:
        exc.page = page
        raise


def _recipe(job: Job, operations: Operations | None) -> Recipe:
    """Return the recipe of a job; raises ``ProcessingError`` if this process cannot run it."""
    from mediagate.images import parse  # lazily: only gates that run pipelines load the operations

    if operations is None or job.spec is None:
        raise ProcessingError("this process runs no pipelines; register their plugin on it as well")
    try:
        steps = [dict(step) for step in job.spec.steps]
        return parse(steps, operations, inputs=[one.name for one in job.inputs if one.refers])
    except InvalidPipeline as exc:
        raise ProcessingError(f"this process cannot run the steps: {exc.detail}") from exc


def _refused(attempt: Attempt, made: _Made, end: Settlement) -> Settlement:
    total_ms = round((perf_counter() - attempt.started) * 1000, 1)
    return replace(
        end,
        timings_ms={**made.timings_ms, "total": total_ms} if made.produced else {},
        model_runs=made.model_runs,
        stages=ended_early(attempt.job.stages, failed=False),
    )
