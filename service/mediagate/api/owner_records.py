"""The records of an owner in an export: JSON objects whose fields docs/how-to/owner-data.md describes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from mediagate.values import (
    Batch,
    DirectUpload,
    Job,
    JobKind,
    Media,
    Output,
    Rejudgement,
    UsageReport,
    Verdict,
    iso,
    pipeline_json,
)


def job_record(
    job: Job,
    media: Mapping[str, Any] | None,
    judged_again: Sequence[Rejudgement],
    outputs: Sequence[Mapping[str, Any]],
    *,
    quarantined: bool,
) -> dict[str, Any]:
    """Return the record of a job; ``quarantined`` says whether any of its files is still in quarantine."""
    return {
        "jobId": job.id,
        "status": str(job.status),
        "stage": str(job.stage),
        "sourceType": job.source_type,
        "sourceId": job.source_id,
        "clientReferenceId": job.client_reference_id,
        "callbackUrl": job.callback_url,
        "focalPoint": {"x": job.focal_x, "y": job.focal_y},
        "crop": asdict(job.crop) if job.crop else None,
        "key": job.key_id,
        "createdAt": iso(job.created_at),
        "startedAt": iso(job.started_at),
        "finishedAt": iso(job.finished_at),
        "attempts": job.attempts,
        "upload": {
            "filename": job.filename,
            "format": job.format,
            "width": job.width,
            "height": job.height,
            "bytes": job.bytes,
            "sha256": job.sha256,
            "quarantined": quarantined,
        },
        "reason": job.reason,
        "error": job.error,
        "code": job.code,
        "retryable": job.retryable,
        "moderation": _moderation(job.verdict) if job.verdict else None,
        "judgedAgain": [
            {
                "status": str(one.status),
                "finishedAt": iso(one.finished_at),
                "error": one.error,
                "code": one.code,
                "moderation": _moderation(one.verdict) if one.verdict else None,
            }
            for one in judged_again
        ],
        "warnings": list(job.warnings),
        "timings": dict(job.timings_ms),
        "bytesOut": job.bytes_out,
        "modelRuns": job.model_runs,
        "credits": job.credits,
        "media": media,
        **(_pipeline(job, outputs) if job.kind is JobKind.PIPELINE else {}),
    }


def batch_record(batch: Batch) -> dict[str, Any]:
    """Return the record of a batch."""
    return {
        "batchId": batch.id,
        "clientReferenceId": batch.client_reference_id,
        "callbackUrl": batch.callback_url,
        "createdAt": iso(batch.created_at),
    }


def output_record(output: Output) -> dict[str, Any]:
    """Return the record of an output, but for its file."""
    return {
        "name": output.name,
        "input": output.input,
        "filename": output.filename,
        "format": output.format,
        "width": output.width,
        "height": output.height,
        "frames": output.frames,
    }


def media_record(
    media: Media, original: Mapping[str, Any] | None, variants: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Return the record of a media with its files."""
    return {
        "id": media.id,
        "format": media.format,
        "width": media.width,
        "height": media.height,
        "aspectRatio": media.aspect_ratio,
        "frames": media.frames,
        "hasAlpha": media.has_alpha,
        "blurhash": media.blurhash,
        "thumbhash": media.thumbhash,
        "dominantColor": media.dominant_color,
        "removed": list(media.removed),
        "createdAt": iso(media.created_at),
        "expiresAt": iso(media.expires_at),
        "original": original,
        "variants": list(variants),
    }


def upload_record(upload: DirectUpload, *, received: bool) -> dict[str, Any]:
    """Return the record of a direct upload; ``received`` says whether its file is in quarantine."""
    fields = upload.ticket
    return {
        "uploadId": upload.id,
        "jobId": upload.job_id,
        "sourceType": fields.source_type,
        "sourceId": fields.source_id,
        "clientReferenceId": fields.client_reference_id,
        "callbackUrl": fields.callback_url,
        "focalPoint": {"x": fields.focal_x, "y": fields.focal_y},
        "crop": asdict(fields.crop) if fields.crop else None,
        "key": upload.key_id,
        "filename": fields.filename,
        "contentType": upload.content_type,
        "bytes": upload.bytes,
        "createdAt": iso(upload.created_at),
        "expiresAt": iso(upload.expires_at),
        "received": received,
    }


def usage_record(report: UsageReport) -> dict[str, Any]:
    """Return the usage by day and by key, as in ``GET /usage``."""
    body = report.to_json()
    return {name: body[name] for name in ("days", "total", "keys")}


def _pipeline(job: Job, outputs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    told = pipeline_json(job, (), {}, None)
    return {
        "kind": str(job.kind),
        "batchId": job.batch_id,
        "steps": [dict(step) for step in job.spec.steps] if job.spec else [],
        **{name: told[name] for name in ("preset", "presetVersion", "inputs", "data", "retention", "expiresAt")},
        "stepWarnings": told["warnings"],
        "outputs": list(outputs),
    }


def _moderation(verdict: Verdict) -> dict[str, Any]:
    # Without the score of each label: with these, a picture could be changed until it passes.
    return {
        "decision": verdict.decision,
        "flags": list(verdict.flags),
        "confidence": verdict.confidence,
        "complete": verdict.complete,
        "model": verdict.model,
    }
