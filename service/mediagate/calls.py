"""The calls that a host makes from Python; the HTTP routes go through the same ones."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from mediagate.errors import (
    InvalidParameter,
    JobConflict,
    MediaDeleted,
    MediaNotFound,
    WaitTimeout,
)
from mediagate.intake import accept, read_ticket
from mediagate.media import JobState, JobStatus
from mediagate.running import Running
from mediagate.status import PublishedMedia, Status, UrlOf, published, status_of
from mediagate.uploads import spool


@dataclass(frozen=True, slots=True)
class PublishedPage:
    """A page of media, newest first; ``next_cursor`` asks for the one after it, ``None`` at the end."""

    items: tuple[PublishedMedia, ...]
    next_cursor: str | None


class Calls(ABC):
    """What an open gate can be asked. URLs start with ``public_base_url`` when it is set, else with ``base_url``."""

    @property
    @abstractmethod
    def running(self) -> Running:
        """The open gate's parts; raises ``PluginError`` while it is closed."""

    @property
    @abstractmethod
    def closing(self) -> bool:
        """Whether the gate is closing."""

    async def upload(
        self,
        source: bytes | Path | BinaryIO | AsyncIterator[bytes],
        *,
        source_type: str,
        source_id: str,
        filename: str = "",
        client_reference_id: str | None = None,
        focal: tuple[float, float] = (0.5, 0.5),
    ) -> Status:
        """Accept a picture given as bytes, a path or a stream, and return its PENDING job.

        ``focal`` is the point (x, y from 0 to 1) that ``fit="cover"`` keeps. Raises the same ``RequestError`` that
        ``POST /upload`` answers, or ``Unavailable``.
        """
        parts = self.running.parts
        fields = {
            "sourceType": source_type,
            "sourceId": source_id,
            "focalX": str(focal[0]),
            "focalY": str(focal[1]),
        }
        if client_reference_id is not None:
            fields["clientReferenceId"] = client_reference_id
        name = filename or (source.name if isinstance(source, Path) else "")
        ticket = read_ticket(fields, name, parts.sources)
        limit = parts.sources[source_type].max_bytes
        async with spool(source, self.running.spool_dir, max_bytes=limit) as file:
            job = await accept(file, ticket, parts)
        return Status(job, None)

    async def get_status(self, job_id: str, *, base_url: str = "") -> Status:
        """Return where a job stands; raises ``JobNotFound``, or ``MediaDeleted`` when its media is gone."""
        return self._status(await self.running.watch.now(job_id), base_url)

    async def news(
        self, job_id: str, seen: Status | None = None, *, timeout_s: float, base_url: str = ""
    ) -> Status | None:
        """Return a job's status as soon as it is another than the one seen, ``None`` when the time ran out first.

        Raises what ``get_status`` raises. All who wait ask the records together.
        """
        state = await self.running.watch.next(job_id, seen.job if seen else None, timeout_s=timeout_s)
        return self._status(state, base_url) if state else None

    async def settled(self, job_id: str, *, timeout_s: float, base_url: str = "") -> Status:
        """Return a job's status as soon as it is terminal, or as it is when the time has run out."""
        clock = asyncio.get_running_loop().time
        end = clock() + timeout_s
        seen: Status | None = None
        while (left := end - clock()) > 0 and not self.closing:
            news = await self.news(job_id, seen, timeout_s=left, base_url=base_url)
            seen = news or seen
            if news is None or news.status.terminal:
                break
        return seen or await self.get_status(job_id, base_url=base_url)

    async def wait(self, job_id: str, *, timeout_s: float = 60.0) -> Status:
        """Return a job's terminal status; raises ``WaitTimeout`` when it takes longer, and the job goes on."""
        status = await self.settled(job_id, timeout_s=timeout_s)
        if not status.status.terminal:
            raise WaitTimeout(f"job {job_id} is still {status.status} after {timeout_s:g} s")
        return status

    async def list_media(
        self,
        source_type: str,
        source_id: str | None = None,
        *,
        limit: int = 20,
        cursor: str | None = None,
        base_url: str = "",
    ) -> PublishedPage:
        """Return the media of a source, newest first, ``limit`` (1-100) at a time; empty when there are none."""
        if not 1 <= limit <= 100:
            raise InvalidParameter("limit: use a number from 1 to 100")
        page = await self.running.parts.records.list_media(source_type, source_id, limit=limit, cursor=cursor)
        url_of = self._url_of(base_url)
        return PublishedPage(tuple(published(media, url_of) for media in page.items), page.next_cursor)

    async def get_media(self, media_id: str, *, base_url: str = "") -> PublishedMedia:
        """Return one media; raises ``MediaNotFound``."""
        media = await self.running.parts.records.get_media(media_id)
        if media is None:
            raise MediaNotFound(f"no media is called {media_id!r}")
        return published(media, self._url_of(base_url))

    async def delete_media(self, media_id: str) -> None:
        """Remove a media's record, variants and original; repeating it is no error. Raises ``MediaNotFound``."""
        parts = self.running.parts
        media = await parts.records.get_media(media_id)
        if media is None:
            if media_id in await parts.records.jobs_of_media([media_id]):
                return
            raise MediaNotFound(f"no media is called {media_id!r}")
        # Files first: if this breaks off, the record still says what is left to delete.
        await parts.storage.delete(media.keys)
        deleted = await parts.records.delete_media(media_id)
        self.running.watch.changed(media.job_id)
        if deleted:
            await parts.hooks.run("on_deleted", media)

    async def cancel(self, job_id: str) -> Status:
        """Stop a job that is not finished; raises ``JobNotFound``, or ``JobConflict`` when it is."""
        running = self.running
        records = running.parts.records
        job = await records.cancel(job_id, now=await records.now())
        if job is None:
            status = await self.get_status(job_id)
            raise JobConflict(f"job {job_id} is {status.status} already")
        running.watch.moved(JobState(job))
        await running.worker.finish(job_id)
        return await self.get_status(job_id)

    async def retry(self, job_id: str) -> Status:
        """Try a FAILED job again; raises ``JobNotFound``, or ``JobConflict`` unless it failed and its file is kept."""
        parts = self.running.parts
        status = await self.get_status(job_id)
        if status.status is not JobStatus.FAILED:
            raise JobConflict(f"job {job_id} is {status.status}; only a FAILED job can be retried")
        if await parts.storage.stat(status.job.staging_key) is None:
            raise JobConflict("the uploaded file was not kept, since trying it again cannot help; upload it again")
        job = await parts.records.requeue(job_id, now=await parts.records.now())
        if job is None:
            raise JobConflict(f"job {job_id} changed meanwhile")
        self.running.watch.moved(JobState(job))
        await parts.queue.dispatch(job_id)
        return Status(job, None)

    async def work(self, job_id: str) -> None:
        """Make one attempt at a job in this process unless somebody else has it, and return when it has ended.

        For queues whose engine runs the workers itself: how the job ended stands in its status.
        """
        await self.running.worker.attend(job_id)

    def _status(self, state: JobState, base_url: str) -> Status:
        if state.job.status is JobStatus.COMPLETE and state.media is None:
            raise MediaDeleted("the picture was deleted after it had completed")
        return status_of(state, self._url_of(base_url))

    def _url_of(self, base_url: str) -> UrlOf:
        parts = self.running.parts
        base = base_url or (parts.settings.public_base_url or "").rstrip("/")

        def url_of(key: str) -> str:
            return parts.storage.url(key) or f"{base}/{quote(key)}"

        return url_of
