"""Conversion between re-judgements and database rows."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from mediagate.records.client_patches import models
from mediagate.records.prisma.rows import verdict_column, verdict_of
from mediagate.values import (
    Job,
    RejudgeAction,
    Rejudgement,
    RejudgementEnd,
    RejudgementStatus,
    Rejudging,
)


def rejudging_row(rejudging: Rejudging, key: str) -> Any:
    """Return the columns of a new pass, which is open under this key."""
    return {
        "open": key,
        "id": rejudging.id,
        "sourceType": rejudging.source_type,
        "action": rejudging.action.value,
        "moderator": rejudging.moderator,
        "outdated": rejudging.outdated,
        "rate": rejudging.rate,
        "createdAt": rejudging.created_at,
        "nextAt": rejudging.next_at,
    }


def rejudging_of(row: models.MediagateRejudging) -> Rejudging:
    """Return the pass of a row that was read with its unfinished re-judgements."""
    return Rejudging(
        id=row.id,
        source_type=row.sourceType,
        action=RejudgeAction(row.action),
        created_at=row.createdAt,
        next_at=row.nextAt,
        rate=row.rate,
        moderator=row.moderator,
        outdated=row.outdated,
        cursor=row.cursor,
        claims=row.claims,
        drawn_at=row.drawnAt,
        passed=row.passed,
        fell=row.fell,
        failed=row.failed,
        gone=row.gone,
        current=row.current,
        in_progress=len(row.rejudgements or ()),
    )


def rejudgement_row(one: Rejudgement, now: datetime) -> Any:
    """Return the columns of a new re-judgement, which is claimed."""
    return {
        "id": one.id,
        "rejudgingId": one.rejudging_id,
        "jobId": one.job_id,
        "mediaId": one.media_id,
        "status": one.status.value,
        "attempts": one.attempts,
        "maxAttempts": one.max_attempts,
        "leaseOwner": one.lease_owner,
        "leaseUntil": one.lease_until,
        "availableAt": one.available_at or now,
        "createdAt": one.created_at,
    }


def rejudgement_of(row: models.MediagateRejudgement) -> Rejudgement:
    """Return the re-judgement of a row."""
    return Rejudgement(
        id=row.id,
        rejudging_id=row.rejudgingId,
        job_id=row.jobId,
        media_id=row.mediaId,
        created_at=row.createdAt,
        status=RejudgementStatus(row.status),
        attempts=row.attempts,
        max_attempts=row.maxAttempts,
        lease_owner=row.leaseOwner,
        lease_until=row.leaseUntil,
        available_at=row.availableAt,
        finished_at=row.finishedAt,
        verdict=verdict_of(row.verdict),
        error=row.error,
        code=row.code,
    )


def ended_columns(end: RejudgementEnd, now: datetime) -> Any:
    """Return the columns that a result sets."""
    return {
        "status": end.status.value,
        "leaseOwner": None,
        "leaseUntil": None,
        "finishedAt": now,
        "verdict": verdict_column(end.verdict),
        "error": end.error,
        "code": end.code,
    }


def taken_down_columns(job: Job) -> Any:
    """Return the columns of a job that change when its picture is taken down."""
    return {
        "status": job.status.value,
        "verdict": verdict_column(job.verdict),
        "reason": job.reason,
        "code": job.code,
        "warnings": json.dumps(list(job.warnings)),
        "finishedAt": job.finished_at,
        "notifiedAt": job.notified_at,
    }
