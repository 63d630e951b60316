"""Conversion between re-judgements and database rows."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from mediagate.records.client_patches import models
from mediagate.records.prisma.rows import verdict_column, verdict_of
from mediagate.records.prisma.same_names import as_columns, as_fields
from mediagate.values import Job, RejudgeAction, Rejudgement, RejudgementEnd, RejudgementStatus, Rejudging


def rejudging_row(rejudging: Rejudging, key: str) -> Any:
    """Return the columns of a new pass, which is open under this key."""
    names = ("id", "source_type", "action", "moderator", "outdated", "rate", "created_at", "next_at")
    return as_columns(rejudging, *names) | {"open": key}


def rejudging_of(row: models.MediagateRejudging) -> Rejudging:
    """Return the pass of a row that was read with its unfinished re-judgements."""
    stored, live = as_fields(row, Rejudging), len(row.rejudgements or ())
    return Rejudging(**stored | {"action": RejudgeAction(row.action), "in_progress": live})


def rejudgement_row(one: Rejudgement, now: datetime) -> Any:
    """Return the columns of a new re-judgement, which is claimed."""
    names = ("id", "rejudging_id", "job_id", "media_id", "status", "attempts", "max_attempts", "created_at")
    return as_columns(one, *names, "lease_owner", "lease_until") | {"availableAt": one.available_at or now}


def rejudgement_of(row: models.MediagateRejudgement) -> Rejudgement:
    """Return the re-judgement of a row."""
    stored = as_fields(row, Rejudgement)
    return Rejudgement(**stored | {"status": RejudgementStatus(row.status), "verdict": verdict_of(row.verdict)})


def ended_columns(end: RejudgementEnd, now: datetime) -> Any:
    """Return the columns that a result sets."""
    columns = {"leaseOwner": None, "leaseUntil": None, "finishedAt": now, "verdict": verdict_column(end.verdict)}
    return as_columns(end, "status", "error", "code") | columns


def taken_down_columns(job: Job) -> Any:
    """Return the columns of a job that change when its picture is taken down."""
    columns = {"verdict": verdict_column(job.verdict), "warnings": json.dumps(list(job.warnings))}
    return as_columns(job, "status", "reason", "code", "finished_at", "notified_at") | columns
