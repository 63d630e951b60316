"""What is written to the outbox of a job that ended, and of a media that is deleted."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from mediagate import JobStatus
from mediagate.jobs import job_events
from mediagate.jobs.events import deletion_events
from mediagate.testing.record_samples import a_job, a_media
from mediagate.values import EventType
from tests.support.bare_parts import NOW, bare_parts

pytestmark = pytest.mark.anyio

ENDS = [
    (JobStatus.COMPLETE, EventType.JOB_COMPLETED),
    (JobStatus.REJECTED, EventType.JOB_REJECTED),
    (JobStatus.FAILED, EventType.JOB_FAILED),
    (JobStatus.CANCELLED, EventType.JOB_CANCELLED),
]


@pytest.mark.parametrize(("status", "kind"), ENDS)
async def test_job_events_tell_how_a_job_ended(status: JobStatus, kind: EventType) -> None:
    job = a_job(NOW, status=status, finished_at=NOW + timedelta(seconds=3), source_id="u1")
    (event,) = job_events(job, bare_parts(events=frozenset(EventType)))
    assert (event.type, event.job_id, event.created_at) == (kind, job.id, job.finished_at)
    assert event.id.startswith("evt_")
    told = json.loads(event.data)
    assert (told["jobId"], told["status"], told["sourceId"]) == (job.id, str(status), "u1")
    assert event.data == json.dumps(told, separators=(",", ":"))


async def test_job_events_of_a_completed_job_name_no_urls() -> None:
    (event,) = job_events(a_job(NOW, status=JobStatus.COMPLETE, finished_at=NOW), bare_parts(events=list(EventType)))
    assert json.loads(event.data)["media"] is None


async def test_job_events_are_none_that_nobody_asked_for() -> None:
    parts = bare_parts(events={EventType.JOB_FAILED})
    assert job_events(a_job(NOW, status=JobStatus.COMPLETE, finished_at=NOW), parts) == ()
    assert len(job_events(a_job(NOW, status=JobStatus.FAILED, finished_at=NOW), parts)) == 1


async def test_deletion_events_name_the_media_and_its_source() -> None:
    media = a_media(a_job(NOW), client_reference_id="mine")
    (event,) = deletion_events(media, bare_parts(events={EventType.MEDIA_DELETED}), NOW)
    assert (event.type, event.job_id, event.created_at) == (EventType.MEDIA_DELETED, media.job_id, NOW)
    assert json.loads(event.data) == {
        "jobId": media.job_id,
        "mediaId": media.id,
        "sourceType": "check",
        "sourceId": media.source_id,
        "clientReferenceId": "mine",
    }
    assert deletion_events(media, bare_parts(), NOW) == ()
