"""The Python API of a gate; the HTTP routes use the same calls."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date
from pathlib import Path

from mediagate.api import erasure, export, jobs, media
from mediagate.api.batch_calls import BatchCalls
from mediagate.api.defaults import jobs_at_once
from mediagate.api.jobs import StatusPage
from mediagate.api.media import PublishedPage
from mediagate.api.moderation_calls import ModerationCalls
from mediagate.api.pipeline_calls import PipelineCalls
from mediagate.api.runtime import Runtime
from mediagate.api.uploads import fields_of, name_of
from mediagate.config import Settings, Source
from mediagate.errors import InvalidParameter, PluginError, WaitTimeout
from mediagate.intake import Declaration, Readable
from mediagate.parts import Parts
from mediagate.values import (
    ANY_TYPE,
    Erased,
    Exported,
    JobStatus,
    PublishedMedia,
    Status,
    UploadTarget,
    UsageReport,
    check_owner,
)

MAX_DAYS = 366
"""Maximum number of days in a usage report."""


class Calls(ModerationCalls, PipelineCalls, BatchCalls):
    """The calls of an open gate.

    Links start with ``base_url``, by default with ``public_base_url``. ``owner`` restricts a call to that owner's
    uploads; anything else is treated as missing. ``None``: no restriction.
    """

    sources: dict[str, Source]
    settings: Settings
    credits: dict[str, int]
    _runtime: Runtime | None = None

    @property
    def runtime(self) -> Runtime:
        """The open gate's parts and loops; raises ``PluginError`` while it is closed."""
        if self._runtime is None:
            raise PluginError("the gate is not open: use its lifespan, or `async with gate:`")
        return self._runtime

    @property
    def parts(self) -> Parts:
        """The parts of the open gate."""
        return self.runtime.parts

    @property
    def jobs_at_once(self) -> int:
        """How many jobs a worker of this gate processes concurrently: one more than it has image processes."""
        return jobs_at_once(self.settings.model_copy(update={"worker": True}))

    @property
    def withdrawn(self) -> bool:
        """Whether ``withdraw`` was called, so that ``/readyz`` answers 503."""
        return self._runtime is not None and self._runtime.withdrawn

    def withdraw(self) -> None:
        """Answer 503 on ``/readyz`` from now on, so that load balancers use other processes; all else continues."""
        if self._runtime is not None:
            self._runtime.withdrawn = True

    async def check(self) -> None:
        """Raise ``Unavailable`` unless records, storage, spool and this process's worker, if any, are operational."""
        await self.runtime.check()

    async def work(self, job_id: str) -> None:
        """Make one attempt at the next job in turn, because a job is waiting; for task queues that run the workers."""
        await self.runtime.worker.attend()

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
        crop: Sequence[float] | None = None,
        owner: str | None = None,
        idempotency_key: str | None = None,
    ) -> Status:
        """Accept a picture given as bytes, a path, an ``UploadFile`` or a stream, and return its PENDING job.

        ``crop`` (x, y, width, height from 0 to 1) is the part of the upright picture to judge and publish; ``focal`` is
        the point of it (x, y from 0 to 1) that ``fit="cover"`` keeps; ``owner`` is the owner of the picture.
        Under a reused ``idempotency_key``, the same upload returns the job of the first one in its current status.
        Raises the ``RequestError`` that ``POST /upload`` answers, or ``Unavailable``.
        """
        check_owner(owner)
        name = filename or name_of(source)
        fields = fields_of(source_type, source_id, name, client_reference_id, callback_url, focal, crop)
        intake = self.runtime.intake
        job, made = await intake.upload_source(source, fields, owner=owner, idempotency_key=idempotency_key)
        return Status(job, None) if made else await self.get_status(job.id)

    async def create_upload(
        self,
        *,
        source_type: str,
        source_id: str | int,
        size: int,
        content_type: str = "",
        filename: str = "",
        client_reference_id: str | None = None,
        callback_url: str | None = None,
        focal: tuple[float, float] = (0.5, 0.5),
        crop: Sequence[float] | None = None,
        owner: str | None = None,
        base_url: str = "",
    ) -> UploadTarget:
        """Declare a file of ``size`` bytes and return the target to send it to; then call ``complete_upload``.

        Without a ``content_type`` the bytes decide. ``owner`` is the owner of the picture. Raises the ``RequestError``
        that ``POST /uploads`` answers, or ``Unavailable``.
        """
        check_owner(owner)
        # Hosts pass on the client's values, which may be None.
        fields = fields_of(source_type, source_id, filename or "", client_reference_id, callback_url, focal, crop)
        declaration = Declaration(fields, (content_type or "").lower() or ANY_TYPE, size)
        runtime = self.runtime
        return await runtime.intake.record(declaration, owner=owner, base_url=runtime.link_base(base_url))

    async def complete_upload(self, upload_id: str, *, owner: str | None = None) -> Status:
        """Check the file of a direct upload and return its job; idempotent.

        Raises ``UploadNotFound``, ``UploadExpired``, ``UploadNotReceived`` before the file has arrived,
        ``UploadInFlight`` while another call completes the upload, ``UploadMismatch`` when the file is not the declared
        one, and the errors of ``upload`` for the same file.
        """
        job = await self.runtime.intake.complete(upload_id, owner=owner)
        return await self.get_status(job.id)

    async def get_status(self, job_id: str, *, owner: str | None = None, base_url: str = "") -> Status:
        """Return the status of a job; raises ``JobNotFound``, or ``MediaDeleted`` when its media was deleted."""
        return await jobs.get_status(job_id, self.runtime, owner=owner, base_url=base_url)

    async def next_status(
        self,
        job_id: str,
        seen: Status | None = None,
        *,
        timeout_s: float,
        owner: str | None = None,
        base_url: str = "",
    ) -> Status | None:
        """Wait for a status other than ``seen`` and return it, or ``None`` after ``timeout_s``.

        Raises the errors of ``get_status``. Concurrent waiters share their queries.
        """
        return await jobs.next_status(job_id, seen, self.runtime, timeout_s=timeout_s, owner=owner, base_url=base_url)

    async def long_poll(self, job_id: str, *, timeout_s: float, owner: str | None = None, base_url: str = "") -> Status:
        """Wait for a job's terminal status and return it, or the current status after ``timeout_s``."""
        return await jobs.long_poll(job_id, self.runtime, timeout_s=timeout_s, owner=owner, base_url=base_url)

    async def wait(self, job_id: str, *, timeout_s: float = 60.0, owner: str | None = None) -> Status:
        """Wait for a job's terminal status and return it; raises ``WaitTimeout``, after which the job continues."""
        status = await self.long_poll(job_id, timeout_s=timeout_s, owner=owner)
        if not status.status.terminal:
            raise WaitTimeout(f"job {job_id} is still {status.status} after {timeout_s:g} s")
        return status

    async def list_jobs(
        self,
        *,
        status: JobStatus | str | Collection[JobStatus | str] | None = None,
        source_type: str | None = None,
        source_id: str | int | None = None,
        limit: int = 20,
        cursor: str | None = None,
        offset: int | None = None,
        owner: str | None = None,
        base_url: str = "",
    ) -> StatusPage:
        """Return the jobs that match every given value, newest first, ``limit`` (1-100) at a time.

        ``status`` may be given by its name, such as ``"FAILED"``; of several, any matches. A page by ``offset`` (up to
        10,000) has a ``total``; new jobs shift such pages, those by ``cursor`` not. Raises ``InvalidParameter`` and
        ``ConflictingParameters``.
        """
        return await jobs.list_jobs(
            self.runtime,
            status=status,
            source_type=source_type,
            source_id=source_id,
            limit=limit,
            cursor=cursor,
            offset=offset,
            owner=owner,
            base_url=base_url,
        )

    async def usage(self, *, first: date, last: date, owner: str | None = None) -> UsageReport:
        """Return the usage of one owner, or of all, between two UTC days, both included: at most 366."""
        if not 0 <= (last - first).days < MAX_DAYS:
            raise InvalidParameter(f"from, to: use a range of at most {MAX_DAYS} days, with from before to")
        return await self.parts.records.usage(owner_id=owner, first=first, last=last)

    async def cancel(self, job_id: str, *, owner: str | None = None) -> Status:
        """Cancel an unfinished job; raises ``JobNotFound``, or ``JobConflict`` when it has finished."""
        return await jobs.cancel(job_id, self.runtime, owner=owner)

    async def retry(self, job_id: str, *, owner: str | None = None) -> Status:
        """Retry a FAILED job; raises ``JobNotFound``, or ``JobConflict`` unless it failed and its file is kept."""
        return await jobs.retry(job_id, self.runtime, owner=owner)

    async def delete_job(self, job_id: str, *, owner: str | None = None) -> JobStatus:
        """Cancel a job if it is unfinished, delete its files and its media, and return its final status.

        The job's row is kept. Idempotent. Raises ``JobNotFound``.
        """
        return await jobs.delete_job(job_id, self.runtime, owner=owner)

    async def list_media(
        self,
        source_type: str,
        source_id: str | int | None = None,
        *,
        limit: int = 20,
        cursor: str | None = None,
        offset: int | None = None,
        owner: str | None = None,
        base_url: str = "",
    ) -> PublishedPage:
        """Return the media of a source, newest first, ``limit`` (1-100) at a time; raises as ``list_jobs``.

        ``offset`` is that of ``list_jobs``.
        """
        return await media.list_media(
            self.runtime,
            source_type,
            source_id,
            limit=limit,
            cursor=cursor,
            offset=offset,
            owner=owner,
            base_url=base_url,
        )

    async def get_media(self, media_id: str, *, owner: str | None = None, base_url: str = "") -> PublishedMedia:
        """Return one media; raises ``MediaNotFound``."""
        return await media.get_media(media_id, self.runtime, owner=owner, base_url=base_url)

    async def delete_media(self, media_id: str, *, owner: str | None = None) -> None:
        """Delete a media's record, variants and original; idempotent. Raises ``MediaNotFound``."""
        await media.delete_by_id(media_id, self.runtime, owner=owner)

    async def erase(self, *, owner: str) -> Erased:
        """Remove everything that records, storage and plugins hold of an owner, whatever its state; idempotent.

        Works in batches; after a crash, another call removes the rest. Live jobs are cancelled. An upload that arrives
        during the call may stay: the result is then not ``complete``. Raises ``InvalidParameter``, ``Unavailable``, and
        the errors of ``pre_erase`` hooks.
        """
        return await erasure.erase(owner, self.runtime)

    async def export(self, *, owner: str, to: str | Path) -> Exported:
        """Write everything that records, storage and plugins hold of an owner to a new ZIP archive.

        It appears under the name ``to`` when it is complete. Raises ``InvalidParameter`` when ``to`` exists or has no
        folder, ``OwnerNotFound``, ``ExportFailed``, ``Unavailable``, and the errors of ``pre_export`` hooks.
        """
        return await export.export(owner, to, self.runtime)
