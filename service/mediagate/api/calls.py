"""The calls that a host makes from Python; the HTTP routes go through the same ones."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path

from mediagate.api.direct_calls import DirectCalls
from mediagate.api.job_calls import JobCalls
from mediagate.errors import (
    InvalidParameter,
    MediaDeleted,
    MediaNotFound,
    WaitTimeout,
)
from mediagate.images import check_head
from mediagate.intake import Readable, accept, display_name, reserve, spool
from mediagate.jobs import delete_media, unknown_job
from mediagate.values import (
    JobState,
    JobStatus,
    Media,
    PublishedMedia,
    Status,
    UrlOf,
    UsageReport,
    check_owner,
    iso,
    published,
    read_fields,
    source_id_text,
    status_of,
    utcnow,
)

MAX_DAYS = 366
"""How many days of usage are summed up at a time."""


@dataclass(frozen=True, slots=True)
class PublishedPage:
    """A page of media, newest first; ``next_cursor`` asks for the one after it, ``None`` at the end."""

    items: tuple[PublishedMedia, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class StatusPage:
    """A page of jobs, newest first; ``next_cursor`` asks for the one after it, ``None`` at the end.

    A ``COMPLETE`` one whose picture was deleted since has no media.
    """

    items: tuple[Status, ...]
    next_cursor: str | None


class Calls(DirectCalls, JobCalls):
    """What an open gate can be asked. URLs start with ``public_base_url`` when it is set, else with ``base_url``.

    ``owner`` keeps a call to what this owner uploaded: whatever is somebody else's is not there. ``None``: to nothing.
    """

    @property
    @abstractmethod
    def closing(self) -> bool:
        """Whether the gate is closing."""

    async def upload(
        self,
        source: Readable,
        *,
        source_type: str,
        source_id: str | int,
        filename: str = "",
        client_reference_id: str | None = None,
        callback_url: str | None = None,
        focal: tuple[float, float] = (0.5, 0.5),
        owner: str | None = None,
        idempotency_key: str | None = None,
    ) -> Status:
        """Accept a picture given as bytes, a path, an ``UploadFile`` or a stream, and return its PENDING job.

        ``focal`` is the point (x, y from 0 to 1) that ``fit="cover"`` keeps; ``owner`` is whose the picture
        is. Under an ``idempotency_key`` that was used before, the same upload returns the job of the first, wherever
        that stands. Raises the same ``RequestError`` that ``POST /upload`` answers, or ``Unavailable``.
        """
        parts = self.runtime.parts
        check_owner(owner)
        fields = {
            "sourceType": source_type,
            "sourceId": source_id_text(source_id),
            "focalX": str(focal[0]),
            "focalY": str(focal[1]),
        }
        if client_reference_id is not None:
            fields["clientReferenceId"] = client_reference_id
        if callback_url is not None:
            fields["callbackUrl"] = callback_url
        name = filename or (source.name if isinstance(source, Path) else getattr(source, "filename", None) or "")
        ticket = read_fields(fields, display_name(name), parts.sources)
        policy = parts.sources[source_type]
        limit, check = policy.max_bytes, partial(check_head, formats=policy.formats)
        await self.runtime.admission.check_queue()
        with parts.observer.during("upload"):
            async with (
                reserve(idempotency_key, parts, owner=owner) as held,
                spool(source, self.runtime.spool_dir, max_bytes=limit, check_head=check) as file,
            ):
                job = await accept(file, ticket, parts, held=held, owner=owner)
        if held is not None and held.fingerprint is not None:
            return await self.get_status(job.id)
        self.runtime.admission.count()
        return Status(job, None)

    async def get_status(self, job_id: str, *, owner: str | None = None, base_url: str = "") -> Status:
        """Return where a job stands; raises ``JobNotFound``, or ``MediaDeleted`` when its media is gone."""
        return await self._status(await self.runtime.watch.get(job_id), owner, base_url)

    async def news(
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

    async def settled(self, job_id: str, *, timeout_s: float, owner: str | None = None, base_url: str = "") -> Status:
        """Return a job's status as soon as it is terminal, or as it is when the time has run out."""
        clock = asyncio.get_running_loop().time
        end = clock() + timeout_s
        seen: Status | None = None
        while (left := end - clock()) > 0 and not self.closing:
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

    async def list_media(
        self,
        source_type: str,
        source_id: str | int | None = None,
        *,
        limit: int = 20,
        cursor: str | None = None,
        owner: str | None = None,
        base_url: str = "",
    ) -> PublishedPage:
        """Return the media of a source, newest first, ``limit`` (1-100) at a time; empty when there are none."""
        _check_limit(limit)
        records = self.runtime.parts.records
        page = await records.list_media(
            source_type, _id_text(source_id), limit=limit, cursor=cursor, owner_id=owner, now=await records.now()
        )
        url_of = self._url_of(base_url)
        return PublishedPage(tuple(published(media, url_of) for media in page.items), page.next_cursor)

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
        _check_limit(limit)
        status = None if status is None else _status_called(status)
        page = await self.runtime.parts.records.list_jobs(
            owner_id=owner,
            status=status,
            source_type=source_type,
            source_id=_id_text(source_id),
            limit=limit,
            cursor=cursor,
        )
        url_of, now = self._url_of(base_url), await self.runtime.parts.records.now()
        return StatusPage(tuple(status_of(state.at(now), url_of) for state in page.items), page.next_cursor)

    async def usage(self, *, first: date, last: date, owner: str | None = None) -> UsageReport:
        """Return what an owner, or all together, used from one UTC day to another, both included: at most 366."""
        if not 0 <= (last - first).days < MAX_DAYS:
            raise InvalidParameter(f"from, to: name at most {MAX_DAYS} days, the first one first")
        records = self.runtime.parts.records
        days = await records.usage(owner_id=owner, first=first, last=last)
        keys = await records.usage_by_key(owner_id=owner, first=first, last=last)
        return UsageReport(owner, first, last, days, keys)

    async def get_media(self, media_id: str, *, owner: str | None = None, base_url: str = "") -> PublishedMedia:
        """Return one media; raises ``MediaNotFound``."""
        media = await self.runtime.parts.records.get_media(media_id)
        if media is None or await self._expired(media) or owner not in (None, media.owner_id):
            raise _unknown_media(media_id)
        return published(media, self._url_of(base_url))

    async def delete_media(self, media_id: str, *, owner: str | None = None) -> None:
        """Remove a media's record, variants and original; repeating it is no error. Raises ``MediaNotFound``."""
        parts = self.runtime.parts
        media = await parts.records.get_media(media_id)
        if media is None and media_id in await parts.records.jobs_of_media([media_id], owner_id=owner):
            return
        if media is None or owner not in (None, media.owner_id):
            raise _unknown_media(media_id)
        deleted = await delete_media(media, parts)
        self.runtime.watch.forget(media.job_id)
        if deleted:
            await parts.hooks.run("on_deleted", media)

    async def _expired(self, media: Media) -> bool:
        return media.expires_at is not None and media.expired(await self.runtime.parts.records.now())

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

    def _url_of(self, base_url: str) -> UrlOf:
        running = self.runtime
        return partial(running.urls.of, base_url=self._base(base_url), now=utcnow())


def _check_limit(limit: int) -> None:
    if not 1 <= limit <= 100:
        raise InvalidParameter("limit: use a number from 1 to 100")


def _id_text(source_id: str | int | None) -> str | None:
    return None if source_id is None else source_id_text(source_id)


def _status_called(name: str) -> JobStatus:
    try:
        return JobStatus(name)
    except ValueError:
        raise InvalidParameter(f"status: use one of {', '.join(JobStatus)}") from None


def _unknown_media(media_id: str) -> MediaNotFound:
    return MediaNotFound(f"no media is called {media_id!r}")
