"""What an open gate can be asked of jobs, and told to do with them."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from functools import partial

from mediagate.api.media import MediaCalls, check_limit, id_text
from mediagate.errors import InvalidParameter, JobConflict, MediaDeleted, WaitTimeout
from mediagate.jobs import check_id, job_events, resume_finish, unknown_job
from mediagate.records import get_state
from mediagate.values import JobState, JobStatus, Status, UsageReport, iso, status_of

MAX_DAYS = 366
"""How many days of usage are summed up at a time."""


@dataclass(frozen=True, slots=True)
class StatusPage:
    """A page of jobs, newest first; ``next_cursor`` asks for the one after it, ``None`` at the end.

    A ``COMPLETE`` one whose picture was deleted since has no media.
    """

    items: tuple[Status, ...]
    next_cursor: str | None


class JobCalls(MediaCalls):
    """What an open gate can be asked of jobs. ``owner`` keeps a call to what this owner uploaded."""

    async def get_status(self, job_id: str, *, owner: str | None = None, base_url: str = "") -> Status:
        """Return where a job stands; raises ``JobNotFound``, or ``MediaDeleted`` when its media is gone."""
        return await self._status(await self.runtime.watch.get(job_id), owner, base_url)

    async def next_status(
        self,
        job_id: str,
        seen: Status | None = None,
        *,
        timeout_s: float,
        owner: str | None = None,
        base_url: str = "",
    ) -> Status | None:
        """Return a job's status as soon as it is another than the one seen, ``None`` when the time ran out first.

        Raises what ``get_status`` raises. All who wait ask the records together.
        """
        state = await self.runtime.watch.next(job_id, seen.job if seen else None, timeout_s=timeout_s)
        return await self._status(state, owner, base_url) if state else None

    async def long_poll(self, job_id: str, *, timeout_s: float, owner: str | None = None, base_url: str = "") -> Status:
        """Return a job's status as soon as it is terminal, or as it is when the time has run out."""
        clock = asyncio.get_running_loop().time
        end = clock() + timeout_s
        seen: Status | None = None
        while (left := end - clock()) > 0 and not self.runtime.closing:
            news = await self.next_status(job_id, seen, timeout_s=left, owner=owner, base_url=base_url)
            seen = news or seen
            if news is None or news.status.terminal:
                break
        return seen or await self.get_status(job_id, owner=owner, base_url=base_url)

    async def wait(self, job_id: str, *, timeout_s: float = 60.0, owner: str | None = None) -> Status:
        """Return a job's terminal status; raises ``WaitTimeout`` when it takes longer, and the job goes on."""
        status = await self.long_poll(job_id, timeout_s=timeout_s, owner=owner)
        if not status.status.terminal:
            raise WaitTimeout(f"job {job_id} is still {status.status} after {timeout_s:g} s")
        return status

    async def list_jobs(
        self,
        *,
        status: JobStatus | str | None = None,
        source_type: str | None = None,
        source_id: str | int | None = None,
        limit: int = 20,
        cursor: str | None = None,
        owner: str | None = None,
        base_url: str = "",
    ) -> StatusPage:
        """Return the jobs for which each given value holds, newest first, ``limit`` (1-100) at a time.

        ``status`` may be given by its name, such as ``"FAILED"``. Raises ``InvalidParameter``.
        """
        check_limit(limit)
        records = self.runtime.parts.records
        page = await records.list_jobs(
            owner_id=owner,
            status=None if status is None else _status_called(status),
            source_type=source_type,
            source_id=id_text(source_id),
            limit=limit,
            cursor=cursor,
        )
        url_of, now = self._url_of(base_url), await records.now()
        return StatusPage(tuple(status_of(state.at(now), url_of) for state in page.items), page.next_cursor)

    async def usage(self, *, first: date, last: date, owner: str | None = None) -> UsageReport:
        """Return what an owner, or all together, used from one UTC day to another, both included: at most 366."""
        if not 0 <= (last - first).days < MAX_DAYS:
            raise InvalidParameter(f"from, to: name at most {MAX_DAYS} days, the first one first")
        return await self.runtime.parts.records.usage(owner_id=owner, first=first, last=last)

    async def cancel(self, job_id: str, *, owner: str | None = None) -> Status:
        """Stop a job that is not finished; raises ``JobNotFound``, or ``JobConflict`` when it is."""
        runtime = self.runtime
        records = runtime.parts.records
        if owner is not None:
            await self.get_status(job_id, owner=owner)
        events_of = partial(job_events, parts=runtime.parts)
        job = await records.cancel(job_id, now=await records.now(), events_of=events_of)
        if job is None:
            status = await self.get_status(job_id)
            raise JobConflict(f"job {job_id} is {status.status} already", job_status=status.status)
        runtime.watch.publish(JobState(job))
        await resume_finish(job_id, runtime.parts)
        return await self.get_status(job_id)

    async def retry(self, job_id: str, *, owner: str | None = None) -> Status:
        """Try a FAILED job again; raises ``JobNotFound``, or ``JobConflict`` unless it failed and its file is kept."""
        parts = self.runtime.parts
        status = await self.get_status(job_id, owner=owner)
        if status.status is not JobStatus.FAILED:
            raise JobConflict(
                f"job {job_id} is {status.status}; only a FAILED job can be retried", job_status=status.status
            )
        if await parts.storage.stat(status.job.staging_key) is None:
            raise JobConflict(
                "the uploaded file was not kept, since trying it again cannot help; upload it again",
                job_status=status.status,
            )
        job = await parts.records.requeue(job_id, now=await parts.records.now())
        if job is None:
            raise JobConflict(f"job {job_id} changed meanwhile; look at its status, and retry it if it is FAILED again")
        self.runtime.watch.publish(JobState(job))
        await parts.queue.dispatch(job_id)
        return Status(job, None)

    async def delete_job(self, job_id: str, *, owner: str | None = None) -> JobStatus:
        """Stop a job that is not finished, delete its files and its media, and return the status that it keeps.

        The job stays on record; repeating this is no error. Raises ``JobNotFound``.
        """
        check_id(job_id)
        parts = self.runtime.parts
        while True:
            # Asked of the records: what is remembered of a failed job may be older than another attempt at it.
            state = await get_state(parts.records, job_id)
            if state is None or owner not in (None, state.job.owner_id):
                raise unknown_job(job_id)
            if state.job.status.terminal:
                break
            with suppress(JobConflict, MediaDeleted):
                await self.cancel(job_id)
        if state.job.status is JobStatus.COMPLETE:
            await self.delete_media(state.job.media_id)
        else:
            await parts.storage.delete([state.job.staging_key])
        return state.job.status

    async def _status(self, state: JobState, owner: str | None, base_url: str) -> Status:
        if owner not in (None, state.job.owner_id):
            raise unknown_job(state.job.id)
        if state.job.status is JobStatus.COMPLETE:
            if state.media is None:
                raise MediaDeleted("the picture was deleted after it had completed", job_status=JobStatus.COMPLETE)
            if await self._expired(state.media):
                until = iso(state.media.expires_at)
                raise MediaDeleted(f"the picture was kept until {until}", job_status=JobStatus.COMPLETE)
        return status_of(state, self._url_of(base_url))


def _status_called(name: str) -> JobStatus:
    try:
        return JobStatus(name)
    except ValueError:
        raise InvalidParameter(f"status: use one of {', '.join(JobStatus)}") from None
