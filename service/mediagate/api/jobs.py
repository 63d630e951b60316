"""Jobs of an open gate: status, list, cancel, retry and delete."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

from mediagate.api.media import delete_by_id, expired, id_text, member
from mediagate.api.pages import check_page
from mediagate.api.runtime import Runtime
from mediagate.errors import JobConflict, MediaDeleted
from mediagate.jobs import check_id, delete_outputs, job_events, resume_finish, unknown_job
from mediagate.records import get_state
from mediagate.values import JobKind, JobState, JobStatus, Status, iso, status_of


@dataclass(frozen=True, slots=True)
class StatusPage:
    """A page of jobs, newest first; ``next_cursor`` is the cursor of the next page, ``None`` at the end.

    A ``COMPLETE`` job whose picture has been deleted has no media. ``total`` is the number of jobs on all pages, of a
    page by offset.
    """

    items: tuple[Status, ...]
    next_cursor: str | None
    total: int | None = None


async def get_status(job_id: str, runtime: Runtime, *, owner: str | None = None, base_url: str = "") -> Status:
    """Return the current status of a job; raises ``JobNotFound`` and ``MediaDeleted``."""
    return await _status(await runtime.watch.get(job_id), runtime, owner, base_url)


async def next_status(
    job_id: str, seen: Status | None, runtime: Runtime, *, timeout_s: float, owner: str | None, base_url: str
) -> Status | None:
    """Wait for a status other than ``seen``, ``None`` after ``timeout_s``; raises the errors of ``get_status``."""
    state = await runtime.watch.next(job_id, seen.job if seen else None, timeout_s=timeout_s)
    return await _status(state, runtime, owner, base_url) if state else None


async def long_poll(job_id: str, runtime: Runtime, *, timeout_s: float, owner: str | None, base_url: str) -> Status:
    """Return the terminal status, or the latest one after ``timeout_s`` or when the gate closes."""
    clock = asyncio.get_running_loop().time
    end = clock() + timeout_s
    seen: Status | None = None
    while (left := end - clock()) > 0 and not runtime.closing:
        news = await next_status(job_id, seen, runtime, timeout_s=left, owner=owner, base_url=base_url)
        seen = news or seen
        if news is None or news.status.terminal:
            break
    return seen or await get_status(job_id, runtime, owner=owner, base_url=base_url)


async def list_jobs(
    runtime: Runtime,
    *,
    status: JobStatus | str | Collection[JobStatus | str] | None,
    source_type: str | None,
    source_id: str | int | None,
    limit: int,
    cursor: str | None,
    offset: int | None,
    owner: str | None,
    base_url: str,
) -> StatusPage:
    """Return a page of the jobs that match every given value; raises ``InvalidParameter``, and like ``check_page``."""
    check_page(limit, cursor, offset)
    records = runtime.parts.records
    page = await records.list_jobs(
        owner_id=owner,
        status=_statuses(status),
        source_type=source_type,
        source_id=id_text(source_id),
        limit=limit,
        cursor=cursor,
        offset=offset,
    )
    now = await records.now()
    shown = tuple(_shown(state.at(now), runtime, base_url) for state in page.items)
    return StatusPage(shown, page.next_cursor, page.total)


def _statuses(asked: JobStatus | str | Collection[JobStatus | str] | None) -> Collection[JobStatus] | None:
    if asked is None:
        return None
    return [member(JobStatus, "status", one) for one in ((asked,) if isinstance(asked, str) else asked)]


async def cancel(job_id: str, runtime: Runtime, *, owner: str | None = None) -> Status:
    """Cancel a job, publish its state and run its end steps; raises ``JobNotFound`` and ``JobConflict``."""
    records = runtime.parts.records
    if owner is not None:
        await get_status(job_id, runtime, owner=owner)
    events_of = partial(job_events, parts=runtime.parts)
    job = await records.cancel(job_id, now=await records.now(), events_of=events_of)
    if job is None:
        status = await get_status(job_id, runtime)
        raise JobConflict(f"job {job_id} is already {status.status}", job_status=status.status)
    runtime.watch.publish(JobState(job))
    await resume_finish(job_id, runtime.parts)
    return await get_status(job_id, runtime)


async def retry(job_id: str, runtime: Runtime, *, owner: str | None) -> Status:
    """Requeue a FAILED job whose file is kept, and dispatch it; raises ``JobNotFound`` and ``JobConflict``."""
    parts = runtime.parts
    status = await get_status(job_id, runtime, owner=owner)
    if status.status is not JobStatus.FAILED:
        raise JobConflict(
            f"job {job_id} is {status.status}; only a FAILED job can be retried", job_status=status.status
        )
    if not all([await parts.storage.stat(key) for key in status.job.staged_keys]):
        raise JobConflict(
            "the file was not kept because a retry cannot succeed; upload it again",
            job_status=status.status,
        )
    job = await parts.records.requeue(job_id, now=await parts.records.now())
    if job is None:
        raise JobConflict(f"job {job_id} changed concurrently; check its status and retry it if it is still FAILED")
    runtime.watch.publish(JobState(job))
    await parts.queue.dispatch(job_id)
    return Status(job, None)


async def delete_job(job_id: str, runtime: Runtime, *, owner: str | None) -> JobStatus:
    """Cancel a job that is not terminal, delete its files and media, and return its status; raises ``JobNotFound``."""
    check_id(job_id)
    parts = runtime.parts
    while True:
        # Read from the records: the cached state of a failed job may be older than its latest attempt.
        state = await get_state(parts.records, job_id)
        if state is None or owner not in (None, state.job.owner_id):
            raise unknown_job(job_id)
        if state.job.status.terminal:
            break
        with suppress(JobConflict, MediaDeleted):
            await cancel(job_id, runtime)
    if state.job.status is not JobStatus.COMPLETE:
        await parts.storage.delete(state.job.staged_keys)
    elif state.job.kind is JobKind.PIPELINE:
        await delete_outputs(state, parts, await parts.records.now())
        runtime.watch.forget(job_id)
    else:
        await delete_by_id(state.job.media_id, runtime)
    return state.job.status


async def _status(state: JobState, runtime: Runtime, owner: str | None, base_url: str) -> Status:
    if owner not in (None, state.job.owner_id):
        raise unknown_job(state.job.id)
    if state.job.kind is JobKind.PIPELINE:
        return await _pipeline_status(state, runtime, base_url)
    if state.job.status is JobStatus.COMPLETE:
        if state.media is None:
            raise MediaDeleted("the picture has been deleted; upload it again", job_status=JobStatus.COMPLETE)
        if await expired(state.media, runtime.parts.records):
            until = iso(state.media.expires_at)
            raise MediaDeleted(f"the picture expired at {until}; upload it again", job_status=JobStatus.COMPLETE)
    return _shown(state, runtime, base_url)


async def _pipeline_status(state: JobState, runtime: Runtime, base_url: str) -> Status:
    job = state.job
    if job.cleared_at is not None:
        raise MediaDeleted("the outputs have been deleted; send the pictures again", job_status=job.status)
    if job.expires_at is not None and job.expired(await runtime.parts.records.now()):
        raise MediaDeleted(
            f"the outputs expired at {iso(job.expires_at)}; send the pictures again", job_status=job.status
        )
    return _shown(state, runtime, base_url)


def _shown(state: JobState, runtime: Runtime, base_url: str) -> Status:
    """Return the public view of a job's state, with the place of the download if it has outputs."""
    status = status_of(state, runtime.url_of(base_url))
    if not state.outputs:
        return status
    return replace(status, download_url=f"{runtime.link_base(base_url)}/jobs/{state.job.id}/download")
