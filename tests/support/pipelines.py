"""Jobs of pipelines: sources, steps, and orders of them."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

from PIL import Image

from mediagate import OPERATIONS, Job, JobStatus, MediaGate, Source
from mediagate.images import parse, standard
from mediagate.jobs import job_events, resume_finish
from mediagate.parts import Parts
from mediagate.records import Settlement
from mediagate.testing.outputs import a_pipeline
from mediagate.values import PipelineInput, PipelineResult, PipelineSpec, input_key

DAY = timedelta(days=1)
WORK = Source(visibility="private", ttl=DAY)
SMALL: Sequence[Mapping[str, Any]] = ({"op": "resize", "width": 40},)
BRANCHES: Sequence[Mapping[str, Any]] = (
    {"op": "resize", "width": 64},
    {"op": "save", "as": "large", "format": "webp"},
    {"op": "resize", "width": 16, "height": 16, "fit": "cover", "from": "original"},
    {"op": "save", "as": "thumb", "format": "png"},
)


def a_png(width: int = 100, height: int = 50, colour: str = "teal") -> bytes:
    """Return a plain picture."""
    file = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(file, "png")
    return file.getvalue()


def runs_pipelines(gate: MediaGate) -> MediaGate:
    """Give a gate the operations that mediagate brings."""
    gate.decorate(OPERATIONS, standard())
    return gate


async def end_next(gate: MediaGate, status: JobStatus = JobStatus.COMPLETE, *, expires_in: timedelta = DAY) -> Job:
    """Claim the next job, end it as a worker does, and return it; a FAILED one can be retried."""
    records = gate.parts.records
    now = await records.now()
    (job,) = await records.claim_oldest(owner="w", now=now, lease_until=now + DAY, limit=1)
    ends = {
        JobStatus.COMPLETE: Settlement(JobStatus.COMPLETE, result=PipelineResult(), expires_at=now + expires_in),
        JobStatus.FAILED: Settlement(JobStatus.FAILED, error="no", code="image_timeout", retryable=True),
    }
    assert await records.settle(
        job, owner="w", now=now, settlement=ends[status], events_of=partial(job_events, parts=gate.parts)
    )
    await resume_finish(job.id, gate.parts)
    gate.runtime.watch.forget(job.id)
    return job


async def recorded(
    parts: Parts,
    steps: Sequence[Mapping[str, Any]],
    files: Mapping[str, bytes],
    *refers: str,
    filenames: Sequence[str] | None = None,
    **changes: Any,
) -> Job:
    """Record a pipeline whose inputs are in quarantine; steps refer to those inputs in ``refers``."""
    assert parts.operations is not None
    recipe = parse([dict(step) for step in steps], parts.operations, inputs=refers)
    spec = PipelineSpec(tuple(recipe.to_json()), recipe.hash, DAY)
    job = a_pipeline(await parts.records.now(), spec=spec, **changes)
    inputs = tuple(
        PipelineInput(
            name,
            filenames[number] if filenames else f"{name}.png",
            input_key(job.id, number),
            "png",
            len(data),
            "ab" * 32,
            100,
            50,
            name in refers,
        )
        for number, (name, data) in enumerate(files.items())
    )
    job = replace(job, inputs=inputs)
    for one, data in zip(inputs, files.values(), strict=True):
        await parts.storage.put(one.key, data)
    await parts.records.create_job(job)
    return job
