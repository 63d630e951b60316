"""Records in memory."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime

from mediagate.records.memory.expiry import expired
from mediagate.records.memory.idempotency_keys import IdempotencyKeys
from mediagate.records.memory.lists import page, usage_report
from mediagate.records.memory.outbox import Outbox
from mediagate.records.memory.transitions import advanced, claimable, claimed, exhausted, order, released, requeued
from mediagate.records.memory.turns import Turns
from mediagate.records.protocol import Identity, Records
from mediagate.records.reservation import Reservation
from mediagate.records.settlement import Settlement, cancelled, died_each_time
from mediagate.values import (
    DirectUpload,
    Event,
    EventsOf,
    Job,
    JobPage,
    JobState,
    JobStatus,
    Media,
    MediaPage,
    Stage,
    UsageReport,
    new_id,
    no_events,
    utcnow,
)


class MemoryRecords(Records):
    """Jobs and media in dictionaries. No method awaits in between, so each one is a transaction."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}
        self._media: dict[str, Media] = {}
        self._uploads: dict[str, DirectUpload] = {}
        self._outbox = Outbox()
        self._keys = IdempotencyKeys()
        self._turns = Turns()
        self._identity = Identity(new_id("db"), 0)

    async def open(self) -> None:
        """Do nothing."""

    async def close(self) -> None:
        """Do nothing; the rows remain."""

    async def check(self) -> str:
        return f"memory: {await self.queue_depth()} live jobs"

    async def now(self) -> datetime:
        return utcnow()

    async def identity(self) -> Identity:
        return self._identity

    async def next_generation(self, *, above: int = 0) -> Identity:
        self._identity = replace(self._identity, generation=max(self._identity.generation, above) + 1)
        return self._identity

    # -- uploads

    async def reserve_key(self, key: str, *, now: datetime, expires_at: datetime) -> Reservation | None:
        return self._keys.reserve(key, now, expires_at)

    async def keep_key(self, key: str, *, expires_at: datetime) -> None:
        self._keys.keep(key, expires_at)

    async def release_key(self, key: str) -> None:
        self._keys.release(key)

    async def create_job(
        self,
        job: Job,
        *,
        key: str | None = None,
        fingerprint: str | None = None,
        key_expires_at: datetime | None = None,
    ) -> bool:
        bound = None if key is None else Reservation(key, job.id, fingerprint)
        if bound and key_expires_at and not self._keys.bind(bound, key_expires_at):
            return False
        self._insert(job)
        return True

    # -- direct uploads

    async def create_upload(self, upload: DirectUpload) -> None:
        self._uploads[upload.id] = upload

    async def get_uploads(self, upload_ids: Collection[str]) -> Mapping[str, DirectUpload]:
        return {i: self._uploads[i] for i in upload_ids if i in self._uploads}

    async def complete_upload(self, upload_id: str, job: Job, *, expires_at: datetime) -> bool:
        upload = self._uploads.get(upload_id)
        if upload is None or upload.job_id is not None:
            return False
        self._uploads[upload_id] = replace(upload, job_id=job.id, expires_at=expires_at)
        self._insert(job)
        return True

    async def expired_uploads(
        self, *, now: datetime, limit: int, after: DirectUpload | None = None
    ) -> Sequence[DirectUpload]:
        return expired(self._uploads.values(), now, limit, after)

    async def forget_uploads(self, upload_ids: Collection[str], *, now: datetime) -> int:
        gone = [i for i in set(upload_ids) if i in self._uploads and self._uploads[i].expires_at <= now]
        for upload_id in gone:
            del self._uploads[upload_id]
        return len(gone)

    # -- reading

    async def get_media(self, media_id: str) -> Media | None:
        return self._media.get(media_id)

    async def list_media(
        self,
        source_type: str,
        source_id: str | None,
        *,
        limit: int,
        cursor: str | None = None,
        owner_id: str | None = None,
        now: datetime | None = None,
    ) -> MediaPage:
        found = [m for m in self._media.values() if m.source_type == source_type and source_id in (None, m.source_id)]
        found = [m for m in found if owner_id in (None, m.owner_id) and not (now and m.expired(now))]
        items, next_cursor = page(found, limit, cursor)
        return MediaPage(tuple(items), next_cursor)

    async def list_jobs(
        self,
        *,
        owner_id: str | None = None,
        status: JobStatus | None = None,
        source_type: str | None = None,
        source_id: str | None = None,
        limit: int,
        cursor: str | None = None,
    ) -> JobPage:
        found = [j for j in self._jobs.values() if owner_id in (None, j.owner_id) and status in (None, j.status)]
        found = [j for j in found if source_type in (None, j.source_type) and source_id in (None, j.source_id)]
        jobs, next_cursor = page(found, limit, cursor)
        return JobPage(tuple(JobState(job, self._media.get(job.media_id)) for job in jobs), next_cursor)

    async def usage(self, *, owner_id: str | None, first: date, last: date) -> UsageReport:
        return usage_report(self._jobs.values(), owner_id, first, last)

    async def changed(self, known: Mapping[str, tuple[JobStatus, Stage] | None]) -> Mapping[str, JobState]:
        jobs = [self._jobs[job_id] for job_id in known if job_id in self._jobs]
        moved = [job for job in jobs if (job.status, job.stage) != known[job.id]]
        return {job.id: JobState(job, self._media.get(job.media_id)) for job in moved}

    async def oldest_waiting(self) -> datetime | None:
        waiting = [j for j in self._jobs.values() if j.status is JobStatus.PENDING and not j.attempts]
        return min((job.available_at or job.created_at for job in waiting), default=None)

    async def get_jobs(self, job_ids: Collection[str]) -> Mapping[str, Job]:
        return {i: self._jobs[i] for i in job_ids if i in self._jobs}

    async def jobs_of_media(
        self, media_ids: Collection[str], *, owner_id: str | None = None
    ) -> Mapping[str, tuple[JobStatus, bool]]:
        jobs = [j for j in self._jobs.values() if j.media_id in media_ids and owner_id in (None, j.owner_id)]
        return {job.media_id: (job.status, job.media_id in self._media) for job in jobs}

    async def queue_depth(self) -> int:
        return sum(not job.status.terminal for job in self._jobs.values())

    # -- a job's path

    async def claimable(self, *, now: datetime, limit: int) -> Sequence[str]:
        """Return ids of claimable jobs in the order of their turns."""
        free = [job for job in self._jobs.values() if claimable(job, now)]
        return [job.id for job in sorted(free, key=order)][:limit]

    async def claim_oldest(
        self, *, owner: str, now: datetime, lease_until: datetime, limit: int, busy: Collection[str] = ()
    ) -> Sequence[Job]:
        ids = [job_id for job_id in await self.claimable(now=now, limit=limit + len(busy)) if job_id not in busy]
        jobs = [await self.claim(job_id, owner=owner, now=now, lease_until=lease_until) for job_id in ids[:limit]]
        return [job for job in jobs if job is not None]

    async def claim(self, job_id: str, *, owner: str, now: datetime, lease_until: datetime) -> Job | None:
        job = self._jobs.get(job_id)
        if job is None or not claimable(job, now):
            return None
        self._turns.begin(job)
        return self._put(claimed(job, owner, now, lease_until))

    async def advance(
        self,
        job_id: str,
        *,
        owner: str,
        lease_until: datetime,
        stage: Stage | None = None,
        model_runs: int | None = None,
    ) -> bool:
        job = self._held(job_id, owner)
        if job is not None:
            self._put(advanced(job, lease_until, stage, model_runs))
        return job is not None

    async def release(
        self,
        job_id: str,
        *,
        owner: str,
        available_at: datetime,
        count_attempt: bool = True,
        error: str | None = None,
        code: str | None = None,
    ) -> bool:
        job = self._held(job_id, owner)
        if job is not None:
            self._put(released(job, available_at, error, code, count_attempt=count_attempt))
        return job is not None

    async def settle(
        self, job: Job, *, owner: str, now: datetime, settlement: Settlement, events_of: EventsOf = no_events
    ) -> bool:
        held = self._held(job.id, owner)
        if held is None:
            return False
        self._outbox.write(events_of(self._put(settlement.state_of(held, now).job)))
        if settlement.media is not None:
            self._media[settlement.media.id] = settlement.media
        return True

    async def fail_exhausted(self, *, now: datetime, limit: int, events_of: EventsOf = no_events) -> Sequence[str]:
        dead = [job for job in self._jobs.values() if exhausted(job, now)][:limit]
        for job in dead:
            self._outbox.write(events_of(self._put(died_each_time(job).state_of(job, now).job)))
        return [job.id for job in dead]

    async def cancel(self, job_id: str, *, now: datetime, events_of: EventsOf = no_events) -> Job | None:
        job = self._jobs.get(job_id)
        if job is None or job.status.terminal:
            return None
        ended = cancelled(job, now)
        self._outbox.write(events_of(ended))
        return self._put(ended)

    async def requeue(self, job_id: str, *, now: datetime) -> Job | None:
        job = self._jobs.get(job_id)
        return self._put(requeued(job, now)) if job is not None and job.status is JobStatus.FAILED else None

    async def unnotified(self, *, before: datetime, limit: int) -> Sequence[str]:
        jobs = [j for j in self._jobs.values() if j.notified_at is None and j.finished_at and j.finished_at < before]
        return [job.id for job in sorted(jobs, key=lambda j: j.finished_at or before)][:limit]

    async def mark_notified(self, job_id: str, *, ended_at: datetime | None, now: datetime) -> None:
        job = self._jobs.get(job_id)
        if job is not None and job.finished_at == ended_at:
            self._put(replace(job, notified_at=now))

    # -- deleting

    async def delete_media(self, media_id: str, *, events: tuple[Event, ...] = ()) -> bool:
        if self._media.pop(media_id, None) is None:
            return False
        self._outbox.write(events)
        return True

    async def expired_media(self, *, now: datetime, limit: int, after: Media | None = None) -> Sequence[Media]:
        return expired(self._media.values(), now, limit, after)

    async def forget(self, *, now: datetime) -> int:
        self._turns.forget({job.priority for job in self._jobs.values() if job.status is JobStatus.PENDING})
        return self._keys.forget_expired(now)

    # -- outbox

    async def outbox(self, *, limit: int) -> Sequence[Event]:
        return self._outbox.oldest(limit)

    async def passed_on(self, event_ids: Collection[str], *, now: datetime) -> None:
        self._outbox.remove(event_ids)

    def _insert(self, job: Job) -> None:
        self._put(replace(job, available_at=job.available_at or job.created_at, turn=self._turns.take(job)))

    def _put(self, job: Job) -> Job:
        self._jobs[job.id] = job
        return job

    def _held(self, job_id: str, owner: str) -> Job | None:
        job = self._jobs.get(job_id)
        return job if job and job.status is JobStatus.PROCESSING and job.lease_owner == owner else None
