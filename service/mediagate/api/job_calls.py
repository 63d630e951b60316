"""What can be done with a job from Python: stop it, try it again, delete it with all that it made."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import suppress
from functools import partial

from mediagate.api.runtime import Runtime
from mediagate.errors import JobConflict, MediaDeleted
from mediagate.jobs import check_id, finish, job_events, unknown_job
from mediagate.values import JobState, JobStatus, Status


class JobCalls(ABC):
    """What an open gate can be asked to do with a job. ``owner`` keeps a call to what this owner uploaded."""

    @property
    @abstractmethod
    def running(self) -> Runtime:
        """The open gate's parts; raises ``PluginError`` while it is closed."""

    @abstractmethod
    async def get_status(self, job_id: str, *, owner: str | None = None) -> Status:
        """Return where a job stands."""

    @abstractmethod
    async def delete_media(self, media_id: str, *, owner: str | None = None) -> None:
        """Remove a media."""

    async def cancel(self, job_id: str, *, owner: str | None = None) -> Status:
        """Stop a job that is not finished; raises ``JobNotFound``, or ``JobConflict`` when it is."""
        running = self.runtime
        records = running.parts.records
        if owner is not None:
            await self.get_status(job_id, owner=owner)
        events_of = partial(job_events, parts=running.parts)
        job = await records.cancel(job_id, now=await records.now(), events_of=events_of)
        if job is None:
            status = await self.get_status(job_id)
            raise JobConflict(f"job {job_id} is {status.status} already", job_status=status.status)
        running.watch.publish(JobState(job))
        await finish(job_id, running.parts)
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
            state = await parts.records.get_state(job_id)
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
