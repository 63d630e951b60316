"""Conversion between mediagate's values and database rows; structured values are stored as JSON in text columns."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any

from mediagate.records.client_patches import models
from mediagate.records.prisma.later import columns_of, time_of
from mediagate.records.prisma.pipeline_columns import (
    inputs_column,
    inputs_of,
    result_column,
    result_of,
    spec_column,
    spec_of,
    stages_column,
    stages_of,
)
from mediagate.records.settlement import Settlement
from mediagate.values import (
    Job,
    JobKind,
    JobStatus,
    Media,
    Stage,
    Variant,
    Verdict,
    read_crop,
)

VERDICT_FIELDS = frozenset(field.name for field in fields(Verdict))


def job_row(job: Job) -> Any:
    """Return the columns of a new job."""
    return columns_of(job.kind, _job_columns(job))


def _job_columns(job: Job) -> Any:
    return {
        "id": job.id,
        "status": job.status.value,
        "stage": job.stage.value,
        "sourceType": job.source_type,
        "sourceId": job.source_id,
        "mediaId": job.media_id,
        "stagingKey": job.staging_key,
        "filename": job.filename,
        "format": job.format,
        "bytes": job.bytes,
        "sha256": job.sha256,
        "width": job.width,
        "height": job.height,
        "clientReferenceId": job.client_reference_id,
        "callbackUrl": job.callback_url,
        "focalX": job.focal_x,
        "focalY": job.focal_y,
        "attempts": job.attempts,
        "attemptsLeft": job.max_attempts - job.attempts,
        "maxAttempts": job.max_attempts,
        "availableAt": job.available_at or job.created_at,
        "createdAt": job.created_at,
        "retryable": job.retryable,
        "timings": json.dumps(dict(job.timings_ms)),
        "warnings": json.dumps(list(job.warnings)),
        "ownerId": job.owner_id,
        "keyId": job.key_id,
        "day": job.created_at.date().isoformat(),
        "bytesOut": job.bytes_out,
        "modelRuns": job.model_runs,
        "traceparent": job.traceparent,
        "priority": job.priority,
        "credits": job.credits,
        "turn": job.turn,
        "kind": job.kind.value,
        "spec": spec_column(job.spec),
        "inputs": inputs_column(job.inputs),
        "crop": None if job.crop is None else str(job.crop),
        "batchId": job.batch_id,
        "batchPosition": job.batch_position,
    }


def job_of(row: models.MediagateJob) -> Job:
    """Return the job of a row."""
    return Job(
        id=row.id,
        source_type=row.sourceType,
        source_id=row.sourceId,
        media_id=row.mediaId,
        staging_key=row.stagingKey,
        format=row.format,
        bytes=row.bytes,
        sha256=row.sha256,
        width=row.width,
        height=row.height,
        created_at=row.createdAt,
        filename=row.filename,
        client_reference_id=row.clientReferenceId,
        callback_url=row.callbackUrl,
        focal_x=row.focalX,
        focal_y=row.focalY,
        status=JobStatus(row.status),
        stage=Stage(row.stage),
        attempts=row.attempts,
        max_attempts=row.maxAttempts,
        lease_owner=row.leaseOwner,
        lease_until=time_of(row.leaseUntil),
        available_at=time_of(row.availableAt),
        started_at=row.startedAt,
        finished_at=row.finishedAt,
        notified_at=row.notifiedAt,
        reason=row.reason,
        error=row.error,
        code=row.code,
        retryable=row.retryable,
        verdict=verdict_of(row.verdict),
        timings_ms=json.loads(row.timings),
        warnings=tuple(json.loads(row.warnings)),
        owner_id=row.ownerId,
        key_id=row.keyId,
        bytes_out=row.bytesOut,
        model_runs=row.modelRuns,
        traceparent=row.traceparent,
        priority=row.priority,
        credits=row.credits,
        turn=row.turn,
        kind=JobKind(row.kind),
        spec=spec_of(row.spec),
        inputs=inputs_of(row.inputs),
        result=result_of(row.result),
        stages=stages_of(row.stages),
        expires_at=row.expiresAt,
        cleared_at=row.clearedAt,
        crop=read_crop(row.crop),
        batch_id=row.batchId,
        batch_position=row.batchPosition,
    )


def settled_columns(settlement: Settlement) -> Any:
    """Return the columns that a settlement sets on its job."""
    return {
        "status": settlement.status.value,
        "stage": Stage.DONE.value,
        "leaseOwner": None,
        "leaseUntil": None,
        "verdict": verdict_column(settlement.verdict),
        "reason": settlement.reason,
        "error": settlement.error,
        "code": settlement.code,
        "retryable": settlement.retryable,
        "timings": json.dumps(dict(settlement.timings_ms or {})),
        "warnings": json.dumps(list(settlement.warnings)),
        "bytesOut": settlement.bytes_out,
        "result": result_column(settlement.result),
        "stages": stages_column(settlement.stages),
        "expiresAt": settlement.expires_at,
        **({"modelRuns": {"increment": settlement.model_runs}} if settlement.model_runs else {}),
    }


def requeued_columns(job: Job, now: datetime) -> Any:
    """Return the columns that requeue a job with all its attempts."""
    columns = {
        "status": JobStatus.PENDING.value,
        "stage": Stage.QUEUED.value,
        "attempts": 0,
        "attemptsLeft": job.max_attempts,
        "availableAt": now,
        "finishedAt": None,
        "notifiedAt": None,
        "error": None,
        "code": None,
        "retryable": False,
        "stages": None,
    }
    return columns_of(job.kind, columns)


def media_row(media: Media) -> Any:
    """Return the columns of a new media, its variants nested."""
    return {
        "id": media.id,
        "jobId": media.job_id,
        "sourceType": media.source_type,
        "sourceId": media.source_id,
        "originalKey": media.original_key,
        "format": media.format,
        "width": media.width,
        "height": media.height,
        "bytes": media.bytes,
        "aspectRatio": media.aspect_ratio,
        "blurhash": media.blurhash,
        "thumbhash": media.thumbhash,
        "dominantColor": media.dominant_color,
        "hasAlpha": media.has_alpha,
        "frames": media.frames,
        "focalX": media.focal_x,
        "focalY": media.focal_y,
        "removed": json.dumps(list(media.removed)),
        "clientReferenceId": media.client_reference_id,
        "createdAt": media.created_at,
        "expiresAt": media.expires_at,
        "ownerId": media.owner_id,
        "variants": {
            "create": [
                {
                    "name": variant.name,
                    "position": position,
                    "key": variant.key,
                    "format": variant.format,
                    "width": variant.width,
                    "height": variant.height,
                    "bytes": variant.bytes,
                    "look": variant.look,
                }
                for position, variant in enumerate(media.variants)
            ]
        },
    }


def media_of(row: models.MediagateMedia) -> Media:
    """Return the media of a row that was read with its variants."""
    return Media(
        id=row.id,
        job_id=row.jobId,
        source_type=row.sourceType,
        source_id=row.sourceId,
        original_key=row.originalKey,
        format=row.format,
        width=row.width,
        height=row.height,
        bytes=row.bytes,
        aspect_ratio=row.aspectRatio,
        blurhash=row.blurhash,
        dominant_color=row.dominantColor,
        has_alpha=row.hasAlpha,
        frames=row.frames,
        focal_x=row.focalX,
        focal_y=row.focalY,
        removed=tuple(json.loads(row.removed)),
        client_reference_id=row.clientReferenceId,
        created_at=row.createdAt,
        variants=tuple(
            Variant(v.name, v.key, v.format, v.width, v.height, v.bytes, v.look)
            for v in sorted(row.variants or (), key=lambda v: v.position)
        ),
        expires_at=row.expiresAt,
        owner_id=row.ownerId,
        thumbhash=row.thumbhash,
    )


def verdict_column(verdict: Verdict | None) -> str | None:
    """Return the column of a verdict."""
    return json.dumps(asdict(verdict)) if verdict else None


def verdict_of(text: str | None) -> Verdict | None:
    """Return the verdict of a column."""
    if text is None:
        return None
    columns = json.loads(text)
    # A newer release may have written more.
    known = {name: value for name, value in columns.items() if name in VERDICT_FIELDS}
    return Verdict(**{**known, "flags": tuple(columns["flags"])})
