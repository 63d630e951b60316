"""What is tidied up and told when a job has ended."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mediagate import Job, JobState, JobStatus, Media
from mediagate.jobs.end import finish, resume_finish
from mediagate.kernel import Hooks
from mediagate.parts import Parts
from mediagate.records import Settlement, get_job
from mediagate.testing.record_samples import a_media, claimed_job
from tests.support.bare_parts import NOW, Steps, bare_parts, keys_of

pytestmark = pytest.mark.anyio

HOOKS = {
    JobStatus.COMPLETE: "on_complete",
    JobStatus.REJECTED: "on_rejected",
    JobStatus.FAILED: "on_failed",
    JobStatus.CANCELLED: "on_cancelled",
}


def told_by(parts: Parts) -> list[tuple[str, JobState]]:
    """Return the list that every end hook of these parts writes to."""
    told: list[tuple[str, JobState]] = []

    def tell(name: str) -> Any:
        async def hook(state: JobState) -> None:
            told.append((name, state))

        return hook

    for name in (*HOOKS.values(), "on_end"):
        parts.hooks.add(name, tell(name))
    return told


async def ended(parts: Parts, status: JobStatus, *, staged: bool = True, retryable: bool = False) -> JobState:
    """End a job that has a quarantined file and one that an attempt published."""
    job = await claimed_job(parts.records, NOW)
    media = a_media(job) if status is JobStatus.COMPLETE else None
    settlement = Settlement(status, media, retryable=retryable)
    assert await parts.records.settle(job, owner="worker", now=NOW, settlement=settlement)
    if staged:
        await parts.storage.put(job.staging_key, b"upload")
    await parts.storage.put(published_key(job), b"published")
    return settlement.state_of(job, NOW)


def published_key(job: Job) -> str:
    return f"media/{job.source_type}/{job.source_id}/{job.media_id}/xs.webp"


@pytest.mark.parametrize("status", list(HOOKS))
async def test_finish_runs_the_hook_of_the_status_and_then_on_end(status: JobStatus) -> None:
    parts = bare_parts(hooks=Hooks())
    told = told_by(parts)
    state = await ended(parts, status)
    await finish(state, parts)
    assert told == [(HOOKS[status], state), ("on_end", state)]


async def test_finish_notes_that_the_hooks_have_run() -> None:
    parts = bare_parts()
    state = await ended(parts, JobStatus.REJECTED)
    await finish(state, parts)
    job = await get_job(parts.records, state.job.id)
    assert job is not None
    assert job.notified_at == NOW


async def test_finish_of_another_end_leaves_the_present_one_to_be_told() -> None:
    parts = bare_parts()
    state = await ended(parts, JobStatus.REJECTED)
    await finish(replace(state, job=replace(state.job, finished_at=None)), parts)
    job = await get_job(parts.records, state.job.id)
    assert job is not None
    assert job.notified_at is None


async def test_finish_removes_the_quarantined_file_of_a_completed_job_alone() -> None:
    parts = bare_parts()
    state = await ended(parts, JobStatus.COMPLETE)
    await finish(state, parts)
    assert await keys_of(parts) == {published_key(state.job)}


@pytest.mark.parametrize("status", [JobStatus.REJECTED, JobStatus.CANCELLED, JobStatus.FAILED])
async def test_finish_removes_all_files_of_a_job_that_is_not_tried_again(status: JobStatus) -> None:
    parts = bare_parts()
    await finish(await ended(parts, status), parts)
    assert await keys_of(parts) == set()


async def test_finish_keeps_the_quarantined_file_of_a_failed_job_for_a_retry() -> None:
    parts = bare_parts()
    state = await ended(parts, JobStatus.FAILED, retryable=True)
    await finish(state, parts)
    assert await keys_of(parts) == {state.job.staging_key}


async def test_finish_keeps_what_a_failed_job_without_a_quarantined_file_published() -> None:
    parts = bare_parts()
    state = await ended(parts, JobStatus.FAILED, staged=False)
    await finish(state, parts)
    assert await keys_of(parts) == {published_key(state.job)}


async def test_finish_looks_for_nothing_published_by_a_job_that_was_never_begun() -> None:
    parts = bare_parts()
    state = await ended(parts, JobStatus.CANCELLED)
    await finish(replace(state, job=replace(state.job, attempts=0)), parts)
    assert await keys_of(parts) == {published_key(state.job)}


async def test_resume_finish_is_for_jobs_that_have_ended() -> None:
    parts = bare_parts()
    told = told_by(parts)
    await resume_finish("job_unknown", parts)
    live = await claimed_job(parts.records, NOW)
    await resume_finish(live.id, parts)
    assert told == []
    state = await ended(parts, JobStatus.COMPLETE)
    await resume_finish(state.job.id, parts)
    assert [name for name, _ in told] == ["on_complete", "on_end"]
    assert isinstance(told[0][1].media, Media)


async def test_finish_is_a_step_of_its_job() -> None:
    steps = Steps()
    parts = bare_parts(observer=steps)
    state = await ended(parts, JobStatus.REJECTED)
    await finish(state, parts)
    assert steps.begun == [("finish", state.job.id)]
