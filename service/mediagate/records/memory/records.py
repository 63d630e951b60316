"""Records in memory."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime

from mediagate.records.memory import lists, transitions
from mediagate.records.memory.batches import MemoryBatches
from mediagate.records.memory.direct_uploads import DirectUploads
from mediagate.records.memory.expiry import expired
from mediagate.records.memory.idempotency_keys import IdempotencyKeys
from mediagate.records.memory.outbox import Outbox
from mediagate.records.memory.outputs import MemoryOutputs
from mediagate.records.memory.rejudgements import MemoryRejudgements
from mediagate.records.memory.turns import Turns
from mediagate.records.paging import Paging
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
    StageState,
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
        self._uploads = DirectUploads()
        self._outbox = Outbox()
        self._keys = IdempotencyKeys()
        self._turns = Turns()
        self._identity = Identity(new_id("db"), 0)
        self.batches = MemoryBatches(self._jobs, self._keys, self._outbox, self._insert)
        self.outputs = MemoryOutputs(self._jobs)
        self.rejudgements = MemoryRejudgements(self._jobs, self._media, self._outbox)

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

    # -- uploads, in one request and direct

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

    async def create_upload(self, upload: DirectUpload) -> None:
        self._uploads.add(upload)

    async def get_uploads(self, upload_ids: Collection[str]) -> Mapping[str, DirectUpload]:
        return self._uploads.get(upload_ids)

    async def complete_upload(self, upload_id: str, job: Job, *, expires_at: datetime) -> bool:
        if completed := self._uploads.complete(upload_id, job, expires_at):
            self._insert(job)
        return completed

    async def expired_uploads(
        self, *, now: datetime, limit: int, after: DirectUpload | None = None
    ) -> Sequence[DirectUpload]:
        return self._uploads.expired(now, limit, after)

    async def uploads_of(self, owner_id: str, *, limit: int, after: str = "") -> Sequence[DirectUpload]:
        return self._uploads.of(owner_id, limit, after)

    async def forget_uploads(self, upload_ids: Collection[str], *, now: datetime) -> int:
        return self._uploads.forget(upload_ids, now)

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
        offset: int | None = None,
        owner_id: str | None = None,
        now: datetime | None = None,
    ) -> MediaPage:
        found = lists.media_where(self._media.values(), source_type, source_id, owner_id, now)
        items, next_cursor, total = lists.page(found, Paging(limit, cursor, offset))
        return MediaPage(tuple(items), next_cursor, total)

    async def list_jobs(
        self,
        *,
        owner_id: str | None = None,
        status: JobStatus | Collection[JobStatus] | None = None,
        source_type: str | None = None,
        source_id: str | None = None,
        limit: int,
        cursor: str | None = None,
        offset: int | None = None,
    ) -> JobPage:
        found = lists.jobs_where(self._jobs.values(), owner_id, status, source_type, source_id)
        jobs, next_cursor, total = lists.page(found, Paging(limit, cursor, offset))
        return JobPage(tuple(self.outputs.state_of(job, self._media) for job in jobs), next_cursor, total)

    async def usage(self, *, owner_id: str | None, first: date, last: date) -> UsageReport:
        return lists.usage_report(self._jobs.values(), owner_id, first, last)

    async def changed(self, known: Mapping[str, tuple[JobStatus, Stage] | None]) -> Mapping[str, JobState]:
        found = (self._jobs[job_id] for job_id in known if job_id in self._jobs)
        moved = [job for job in found if (job.status, job.stage) != known[job.id]]
        return {job.id: self.outputs.state_of(job, self._media) for job in moved}

    async def oldest_waiting(self) -> datetime | None:
        return lists.waiting_since(self._jobs.values())

    async def get_jobs(self, job_ids: Collection[str]) -> Mapping[str, Job]:
        return {i: self._jobs[i] for i in job_ids if i in self._jobs}

    async def jobs_of_media(
        self, media_ids: Collection[str], *, owner_id: str | None = None
    ) -> Mapping[str, tuple[JobStatus, bool]]:
        jobs = [j for j in self._jobs.values() if j.media_id in media_ids and owner_id in (None, j.owner_id)]
        return {job.media_id: (job.status, job.media_id in self._media or self.outputs.has(job)) for job in jobs}

    async def queue_depth(self) -> int:
        return sum(not job.status.terminal for job in self._jobs.values())

    # -- a job's path

    async def claimable(self, *, now: datetime, limit: int) -> Sequence[str]:
        """Return ids of claimable jobs in the order of their turns."""
        return transitions.next_jobs(self._jobs.values(), now)[:limit]

    async def claim_oldest(
        self, *, owner: str, now: datetime, lease_until: datetime, limit: int, busy: Collection[str] = ()
    ) -> Sequence[Job]:
        ids = [job_id for job_id in await self.claimable(now=now, limit=limit + len(busy)) if job_id not in busy]
        jobs = [await self.claim(job_id, owner=owner, now=now, lease_until=lease_until) for job_id in ids[:limit]]
        return list(filter(None, jobs))

    async def claim(self, job_id: str, *, owner: str, now: datetime, lease_until: datetime) -> Job | None:
        if (job := self._jobs.get(job_id)) is None or not transitions.claimable(job, now):
            return None
        self._turns.begin(job)
        return self._put(transitions.claimed(job, owner, now, lease_until))

    async def advance(
        self,
        job_id: str,
        *,
        owner: str,
        lease_until: datetime,
        stage: Stage | None = None,
        model_runs: int | None = None,
        stages: Sequence[StageState] | None = None,
    ) -> bool:
        job = transitions.held(self._jobs.get(job_id), owner)
        if job is not None:
            self._put(transitions.advanced(job, lease_until, stage, model_runs, stages))
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
        job = transitions.held(self._jobs.get(job_id), owner)
        if job is not None:
            self._put(transitions.released(job, available_at, error, code, count_attempt=count_attempt))
        return job is not None

    async def settle(
        self, job: Job, *, owner: str, now: datetime, settlement: Settlement, events_of: EventsOf = no_events
    ) -> bool:
        held = transitions.held(self._jobs.get(job.id), owner)
        if held is None:
            return False
        self._outbox.write(events_of(self._put(settlement.state_of(held, now).job)))
        if settlement.media is not None:
            self._media[settlement.media.id] = settlement.media
        self.outputs.add(job.id, settlement.outputs)
        return True

    async def fail_exhausted(self, *, now: datetime, limit: int, events_of: EventsOf = no_events) -> Sequence[str]:
        dead = [job for job in self._jobs.values() if transitions.exhausted(job, now)][:limit]
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
        return self._put(transitions.requeued(job, now)) if job and job.status is JobStatus.FAILED else None

    async def unnotified(self, *, before: datetime, limit: int) -> Sequence[str]:
        return lists.unnotified(self._jobs.values(), before)[:limit]

    async def mark_notified(self, job_id: str, *, ended_at: datetime | None, now: datetime) -> None:
        if (job := self._jobs.get(job_id)) is not None and job.finished_at == ended_at:
            self._put(replace(job, notified_at=now))

    # -- deleting, and the outbox

    async def delete_media(self, media_id: str, *, events: tuple[Event, ...] = ()) -> bool:
        deleted = self._media.pop(media_id, None) is not None
        self._outbox.write(events if deleted else ())
        return deleted

    async def expired_media(self, *, now: datetime, limit: int, after: Media | None = None) -> Sequence[Media]:
        return expired(self._media.values(), now, limit, after)

    async def erase_jobs(self, owner_id: str, job_ids: Collection[str]) -> int:
        for job_id in lists.erasable(self._jobs, self._media, self.outputs.named(), owner_id, job_ids):
            del self._jobs[job_id]
        gone = {job_id for job_id in job_ids if job_id not in self._jobs}
        for rows in (self._outbox, self._keys, self.rejudgements):
            rows.erase(gone)
        self._turns.leave(owner_id)
        return len(gone)

    async def forget(self, *, now: datetime) -> int:
        self._turns.forget({job.priority for job in self._jobs.values() if job.status is JobStatus.PENDING})
        return self._keys.forget_expired(now)

    async def outbox(self, *, limit: int) -> Sequence[Event]:
        return self._outbox.oldest(limit)

    async def passed_on(self, event_ids: Collection[str], *, now: datetime) -> None:
        self._outbox.remove(event_ids)

    def _insert(self, job: Job) -> None:
        self._put(replace(job, available_at=job.available_at or job.created_at, turn=self._turns.take(job)))

    def _put(self, job: Job) -> Job:
        self._jobs[job.id] = job
        return job
