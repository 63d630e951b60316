"""The path of a pipeline's job on one page: inputs, verdicts, outputs, end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import PurePosixPath
from time import perf_counter
from typing import TYPE_CHECKING, Any

from mediagate.config import Source
from mediagate.errors import (
    ImageTooLarge,
    InvalidPipeline,
    ObjectNotFound,
    OperationFailed,
    ProcessingError,
    ProcessingRefused,
    StagedFileLost,
)
from mediagate.jobs.attempt import Attempt
from mediagate.jobs.attempts import Attempts
from mediagate.jobs.judging import judge
from mediagate.jobs.steps import Steps
from mediagate.moderation import count_review_as_reject, merge
from mediagate.records import Settlement
from mediagate.values import (
    MOST_OUTPUT_BYTES,
    OUTPUT_EXTENSIONS,
    InputWarning,
    Job,
    JobStatus,
    Output,
    OutputFile,
    PipelineInput,
    PipelineResult,
    Produced,
    Stage,
    Verdict,
    cut,
    ended_early,
    output_key,
    output_prefix,
    safe_names,
)

if TYPE_CHECKING:
    from mediagate.images import Operations, Recipe

MOST_DATA_BYTES = 4 * 1024 * 1024
"""Bytes of the JSON of all data of a job: every answer about the job has it."""
LONGEST_STEM = 100
"""Bytes of the name of an input in those of its outputs."""


@dataclass(slots=True)
class _Made:
    """What the steps have made so far."""

    produced: list[tuple[PipelineInput, Produced]] = field(default_factory=list)
    model_runs: int = 0
    refused: Settlement | None = None

    @property
    def verdict(self) -> Verdict:
        return merge([produced.verdict for _, produced in self.produced])

    @property
    def timings_ms(self) -> dict[str, float]:
        sums: dict[str, float] = {}
        for _, produced in self.produced:
            for name, ms in produced.timings_ms.items():
                sums[name] = round(sums.get(name, 0.0) + ms, 2)
        return sums

    @property
    def result(self) -> PipelineResult:
        data: dict[str, list[Mapping[str, Any]]] = {}
        warnings: list[InputWarning] = []
        for one, produced in self.produced:
            for given in produced.data:
                told = {"input": one.name, "step": given.step, "value": dict(given.value)}
                data.setdefault(given.op, []).append(told)
            warnings += [InputWarning.of(one.name, warning) for warning in produced.warnings]
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
            steps = Steps(attempt, recipe, inputs=sum(not one.refers for one in job.inputs))
            with parts.observer.during("render", job=job):
                await self._run(job, recipe, source, made, steps)
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
        return await self._store(attempt, made, verdict, steps)

    async def _fetch(self, job: Job, one: PipelineInput) -> bytes:
        """Return a quarantined file."""
        with self._parts.observer.during("fetch", job=job):
            try:
                return await self._parts.storage.get(one.key)
            except ObjectNotFound:
                raise StagedFileLost("a quarantined file no longer exists; send the pictures again") from None

    async def _run(self, job: Job, recipe: Recipe, source: Source, made: _Made, steps: Steps) -> None:
        """Run the steps on one input after another, until one is not allowed."""
        referred = {one.name: await self._fetch(job, one) for one in job.inputs if one.refers}
        total = given = 0
        for one in (one for one in job.inputs if not one.refers):
            data = await self._fetch(job, one)
            run = partial(self._parts.images.run_pipeline, inputs=referred, judged=steps.judged, told=steps.told)
            look = partial(run, data, recipe)
            produced = await judge(look, source, self._remote)
            made.model_runs += produced.model_runs
            made.produced.append((one, produced))
            if produced.verdict.decision != "allow":
                return
            steps.input_done(produced)
            total += sum(len(file.data) for file in produced.outputs)
            if total > MOST_OUTPUT_BYTES:
                raise ImageTooLarge(f"the outputs have more than {MOST_OUTPUT_BYTES:,} bytes")
            given += sum(len(json.dumps(dict(data.value))) for data in produced.data)
            if given > MOST_DATA_BYTES:
                raise OperationFailed(f"the data of all pictures has more than {MOST_DATA_BYTES:,} bytes; send fewer")

    async def _store(self, attempt: Attempt, made: _Made, verdict: Verdict, steps: Steps) -> Settlement:
        """Write the outputs concurrently under their private keys; return the end that names them."""
        job, storing = attempt.job, perf_counter()
        named = _named(job, made.produced)
        with self._parts.observer.during("publish", job=job):
            async with asyncio.TaskGroup() as writes:
                for output, file in named:
                    writes.create_task(self._parts.storage.put(output.key, file.data))
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


def _named(job: Job, produced: Sequence[tuple[PipelineInput, Produced]]) -> list[tuple[Output, OutputFile]]:
    """Return the outputs of a job with their files."""
    folder = output_prefix(job.source_type, job.source_id, job.media_id)
    made = [(one, file, len(done.outputs) == 1) for one, done in produced for file in done.outputs]
    filenames = safe_names(_filename(one, file, alone=alone) for one, file, alone in made)
    return [
        (
            Output(
                position=position,
                name=file.name,
                input=one.name,
                filename=filename,
                key=output_key(folder, position, file.name, OUTPUT_EXTENSIONS[file.format]),
                format=file.format,
                width=file.width,
                height=file.height,
                frames=file.frames,
                bytes=len(file.data),
            ),
            file,
        )
        for position, ((one, file, _), filename) in enumerate(zip(made, filenames, strict=True))
    ]


def _filename(one: PipelineInput, file: OutputFile, *, alone: bool) -> str:
    """Return a name for downloads: that of the input, and that of the output unless it is ``alone``."""
    stem = cut(PurePosixPath(one.filename).stem.strip(". "), LONGEST_STEM) or one.name
    name = stem if alone else f"{stem}-{file.name}"
    return f"{name}.{OUTPUT_EXTENSIONS[file.format]}"
