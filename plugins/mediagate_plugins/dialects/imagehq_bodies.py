"""The bodies of ImageHQ's answers: a job that is queued, has completed or has ended without files, and a batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from mediagate import BatchState, Job, JobKind, JobStatus, Status, mime_type_of
from mediagate_plugins.dialects.dialect import failure_of, images_of

STATUSES: Mapping[JobStatus, str] = {
    JobStatus.PENDING: "queued",
    JobStatus.PROCESSING: "processing",
    JobStatus.COMPLETE: "succeeded",
    JobStatus.REJECTED: "failed",
    JobStatus.FAILED: "failed",
    JobStatus.CANCELLED: "cancelled",
}
STAGES = {"pending": "queued", "running": "processing", "done": "succeeded", "failed": "failed", "skipped": "skipped"}
"""The words for the states of stages."""
QUEUED, PROCESSING = "queued", "processing"
"""The stages of every job; the others are the parts of the second."""
HOUR = timedelta(hours=1)


def poll_url(job_id: str) -> str:
    """Return the path of a job or a batch below the dialect's."""
    return f"/v1/jobs/{job_id}"


def queued_body(job: Job) -> dict[str, Any]:
    """Return the body of a job that has no result, which is also the answer to its request."""
    return {
        "id": job.id,
        "job_id": job.id,
        "status": STATUSES[job.status],
        "operation": _operation(job),
        "tool_slug": job.spec.preset if job.spec else None,
        "created_at": _second(job.created_at),
        "expires_at": _second(_end(job)),
        "current_stage": _current(job),
        "progress": job.progress,
        "poll_url": poll_url(job.id),
        "client_reference_id": job.client_reference_id,
    }


def job_body(status: Status) -> dict[str, Any]:
    """Return the body of a job."""
    job = status.job
    if job.status is JobStatus.COMPLETE:
        return _completed(status)
    body = {**queued_body(job), "stages": list(_stages(job))}
    if (failure := failure_of(status)) and job.status is not JobStatus.CANCELLED:
        body["error"] = {"code": failure.code, "message": failure.text, "retryable": failure.retryable}
    return body


def batch_body(state: BatchState) -> dict[str, Any]:
    """Return the body of a batch and the answer to its request."""
    batch = state.batch
    body: dict[str, Any] = {
        "id": batch.id,
        "job_id": batch.id,
        "status": STATUSES[state.status],
        "operation": "batch",
        "jobs": [
            {
                "id": child.job_id,
                "status": STATUSES[child.status],
                "poll_url": poll_url(child.job_id),
                "client_reference_id": child.client_reference_id,
            }
            for child in state.children
        ],
        "created_at": _second(batch.created_at),
        "progress": state.progress,
        "poll_url": poll_url(batch.id),
        "client_reference_id": batch.client_reference_id,
    }
    if body["status"] == "failed":
        code = next((child.code for child in state.children if child.status is state.status and child.code), None)
        text = "no job of the batch succeeded; read each job for its error"
        body["error"] = {"code": code or "internal_error", "message": text, "retryable": False}
    return body


def _completed(status: Status) -> dict[str, Any]:
    job, result, outputs = status.job, status.job.result, list(_outputs(status))
    told = job.warnings if job.kind is JobKind.MEDIA else ()
    warnings = [{"detail": text} for text in told] + [one.to_json() for one in (result.warnings if result else ())]
    hours = job.spec.ttl / HOUR if job.spec else None
    body: dict[str, Any] = {
        "download_url": _download_url(status, outputs),
        "expires_at": _second(status.media.record.expires_at if status.media else _end(job)),
        "id": job.id,
        "inputs": [_file(one.filename, one.format, one.bytes) for one in job.inputs or (job,)],
        "outputs": outputs,
        "progress": job.progress,
        "retention_policy": {
            "clamp": job.spec is not None and job.spec.clamped,
            "ttl_hours": int(hours) if hours is not None and hours.is_integer() else hours,
        },
        "stages": list(_stages(job)),
        "status": STATUSES[job.status],
        "warnings": warnings,
    }
    if result and result.data:
        body["data"] = {op: [dict(one) for one in given] for op, given in result.data.items()}
    return body


def _download_url(status: Status, outputs: list[dict[str, Any]]) -> str | None:
    """Return where the files are; the file of an upload is not behind the API."""
    if status.job.kind is JobKind.MEDIA:
        return next((image.url for image in images_of(status)), None)
    return f"{poll_url(status.job_id)}/download" if outputs else None


def _outputs(status: Status) -> Iterator[dict[str, Any]]:
    if status.job.kind is JobKind.MEDIA:
        for image in images_of(status):
            yield {"id": "0", **_file(image.url.rpartition("/")[2].partition("?")[0], image.format, image.bytes)}
    for output in status.outputs:
        yield {"id": str(output.position), **_file(output.filename, output.format, output.bytes)}


def _file(filename: str, file_format: str, size: int) -> dict[str, Any]:
    named = "jpg" if file_format == "jpeg" else file_format
    return {"filename": filename, "format": named, "mime_type": mime_type_of(file_format), "size_bytes": size}


def _operation(job: Job) -> str:
    if job.spec is None:
        return "upload"
    return (job.spec.endpoint if job.spec.dialect == "imagehq" else None) or "pipeline"


def _stages(job: Job) -> Iterator[dict[str, Any]]:
    """Yield the stage in which the job waits, the one in which it is processed, and the parts of the latter."""
    waits = job.status is JobStatus.PENDING
    never_began = job.started_at is None and job.status is not JobStatus.PROCESSING
    word = "queued" if waits else "skipped" if never_began else "succeeded"
    yield {"name": QUEUED, "progress": 100 if word == "succeeded" else 0, "status": word}
    parts = job.plan
    ended = "skipped" if job.status is JobStatus.CANCELLED else STATUSES[job.status]
    yield {"name": PROCESSING, "progress": sum(one.progress for one in parts) // len(parts), "status": ended}
    for one in parts:
        yield {"name": one.name, "progress": one.progress, "status": STAGES[one.status]}


def _current(job: Job) -> str:
    """Return the name of the stage in which the job is, or ended."""
    if job.status is JobStatus.PENDING:
        return QUEUED
    return next((one.name for one in job.plan if one.status in ("running", "failed")), PROCESSING)


def _end(job: Job) -> datetime | None:
    """Return until when the outputs are kept, at least; ``None`` if there will be none."""
    if job.expires_at is not None or job.spec is None or job.status.terminal:
        return job.expires_at
    return job.created_at + job.spec.ttl


def _second(moment: datetime | None) -> str | None:
    """Return a timestamp as ``2026-05-03T00:00:00Z``."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ") if moment else None
