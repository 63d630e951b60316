"""The events that the ends of jobs, batches and media leave in the records' outbox."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from mediagate.parts import Parts
from mediagate.values import BatchState, Event, EventType, Job, JobStatus, Media, Output, Status, new_id, utcnow

ENDS: Mapping[JobStatus, EventType] = {
    JobStatus.COMPLETE: EventType.JOB_COMPLETED,
    JobStatus.REJECTED: EventType.JOB_REJECTED,
    JobStatus.FAILED: EventType.JOB_FAILED,
    JobStatus.CANCELLED: EventType.JOB_CANCELLED,
}


def job_events(job: Job, parts: Parts, outputs: tuple[Output, ...] = ()) -> tuple[Event, ...]:
    """Return the events to record for a job that has ended, with the outputs of a pipeline."""
    moment = job.finished_at or utcnow()
    data = Status(job, None, outputs).to_json(poll_after_ms=0) | {"owner": job.owner_id}
    return _event(parts, ENDS[job.status], job.id, moment, data)


def batch_events(state: BatchState, parts: Parts) -> tuple[Event, ...]:
    """Return the events to record for a batch whose jobs have all ended."""
    return _event(parts, EventType.BATCH_COMPLETED, state.batch.id, state.finished_at or utcnow(), state.to_json())


def deletion_events(media: Media, parts: Parts, now: datetime) -> tuple[Event, ...]:
    """Return the events to record for a media that is deleted now; without its owner, whose erasure they survive."""
    data = {
        "jobId": media.job_id,
        "mediaId": media.id,
        "sourceType": media.source_type,
        "sourceId": media.source_id,
        "clientReferenceId": media.client_reference_id,
    }
    return _event(parts, EventType.MEDIA_DELETED, media.job_id, now, data)


def _event(parts: Parts, kind: EventType, job_id: str, moment: datetime, data: Mapping[str, Any]) -> tuple[Event, ...]:
    if kind not in parts.events:
        return ()
    return (Event(new_id("evt"), kind, job_id, moment, json.dumps(data, separators=(",", ":"))),)
