"""The columns of pipelines: their text, and the rows of their outputs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from mediagate.records.client_patches import models
from mediagate.values import InputWarning, Output, PipelineInput, PipelineResult, PipelineSpec, StageState


def spec_column(spec: PipelineSpec | None) -> str | None:
    """Return the column of a pipeline's request."""
    return None if spec is None else json.dumps({**asdict(spec), "ttl": spec.ttl.total_seconds()})


def spec_of(text: str | None) -> PipelineSpec | None:
    """Return the request of a column."""
    if text is None:
        return None
    told = json.loads(text)
    ttl, steps = timedelta(seconds=told["ttl"]), tuple(told["steps"])
    # Rows of earlier releases lack the fields that have been added since.
    names = PipelineSpec.__dataclass_fields__.keys() & told.keys()
    return PipelineSpec(**{**{name: told[name] for name in names}, "ttl": ttl, "steps": steps})


def inputs_column(inputs: Sequence[PipelineInput]) -> str | None:
    """Return the column of a pipeline's inputs."""
    return json.dumps([asdict(one) for one in inputs]) if inputs else None


def inputs_of(text: str | None) -> tuple[PipelineInput, ...]:
    """Return the inputs of a column."""
    return () if text is None else tuple(PipelineInput(**told) for told in json.loads(text))


def result_column(result: PipelineResult | None) -> str | None:
    """Return the column of a pipeline's result."""
    return None if result is None else json.dumps(asdict(result))


def result_of(text: str | None) -> PipelineResult | None:
    """Return the result of a column."""
    if text is None:
        return None
    told = json.loads(text)
    return PipelineResult(told["data"], tuple(InputWarning(**warning) for warning in told["warnings"]))


def stages_column(stages: Sequence[StageState]) -> str | None:
    """Return the column of a job's stages."""
    return json.dumps([asdict(stage) for stage in stages]) if stages else None


def stages_of(text: str | None) -> tuple[StageState, ...]:
    """Return the stages of a column."""
    return () if text is None else tuple(StageState(**told) for told in json.loads(text))


def output_row(job_id: str, output: Output) -> Any:
    """Return the columns of an output."""
    return {"jobId": job_id, **asdict(output)}


def outputs_of(rows: Iterable[models.MediagateOutput]) -> tuple[Output, ...]:
    """Return the outputs of rows, in their order."""
    names = Output.__dataclass_fields__
    return tuple(
        Output(**{name: getattr(row, name) for name in names}) for row in sorted(rows, key=lambda row: row.position)
    )
