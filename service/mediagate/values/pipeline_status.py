"""The part of a job's status that only pipelines have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from mediagate.values.job import Job
from mediagate.values.layout import mime_type_of
from mediagate.values.pipeline import Output
from mediagate.values.times import iso

HOUR = timedelta(hours=1)


def pipeline_json(
    job: Job, outputs: Sequence[Output], urls: Mapping[int, str], download_url: str | None
) -> dict[str, Any]:
    """Return the fields of a pipeline's status; ``urls`` are those of its outputs by position, if they are known."""
    spec, result = job.spec, job.result
    return {
        "preset": spec.preset if spec else None,
        "presetVersion": spec.version if spec else None,
        "inputs": [
            {
                "name": one.name,
                "filename": one.filename,
                "format": one.format,
                "mimeType": mime_type_of(one.format),
                "bytes": one.bytes,
                "width": one.width,
                "height": one.height,
                **({} if one.pages is None else {"pages": one.pages}),
            }
            for one in job.inputs
        ],
        "outputs": [_output(job, output, urls) for output in outputs],
        "data": {name: [dict(given) for given in found] for name, found in (result.data if result else {}).items()},
        "warnings": [warning.to_json() for warning in (result.warnings if result else ())],
        "retention": {"ttlHours": spec.ttl / HOUR, "clamped": spec.clamped} if spec else None,
        "expiresAt": iso(job.expires_at),
        "downloadUrl": download_url,
    }


def output_id(job: Job, output: Output) -> str:
    """Return the id of an output, which no other output has."""
    return f"{job.id}.{output.position}"


def _output(job: Job, output: Output, urls: Mapping[int, str]) -> dict[str, Any]:
    return {
        "id": output_id(job, output),
        "name": output.name,
        "input": output.input,
        "filename": output.filename,
        "format": output.format,
        "mimeType": mime_type_of(output.format),
        "bytes": output.bytes,
        "width": output.width,
        "height": output.height,
        "frames": output.frames,
        **({} if output.page is None else {"page": output.page}),
        **({"url": urls[output.position]} if output.position in urls else {}),
    }
