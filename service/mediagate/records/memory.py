"""Records in memory: for tests, and to read what records must do without a database in the way."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from mediagate.records.memory_claims import MemoryClaims, lapsed
from mediagate.records.memory_lists import MemoryLists
from mediagate.records.memory_uploads import MemoryUploads, expired
from mediagate.records.protocol import Identity
from mediagate.records.reservation import Reservation
from mediagate.records.settlement import Settlement, died_each_time
from mediagate.values import Event, EventsOf, Job, JobState, JobStatus, Media, Stage, new_id, no_events, utcnow


class MemoryRecords(MemoryClaims, MemoryLists, MemoryUploads):
    """Jobs and media in dictionaries; everything happens between two awaits, so every method is a transaction."""

    def __init__(self) -> None:
        super().__init__()
        self._media: dict[str, Media] = {}
        self._keys: dict[str, tuple[Reservation, datetime]] = {}
        self._outbox: dict[str, Event] = {}
        self._identity = Identity(new_id("db"), 0)

    async def open(self) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        """Nothing to close; what was recorded stays."""

    async def check(self) -> str:
        """Say how many jobs wait."""
        return f"memory: {await self.queue_depth()} live jobs"

    async def now(self) -> datetime:
        """Return the present."""
        return utcnow()

    async def identity(self) -> Identity:
        """Return which database this is."""
        return self._identity

    async def next_generation(self, *, above: int = 0) -> Identity:
        """Count the generation up, to beyond ``above``."""
        self._identity = replace(self._identity, generation=max(self._identity.generation, above) + 1)
        return self._identity

    async def reserve_key(self, key: str, *, now: datetime, expires_at: datetime) -> Reservation | None:
        """Reserve an ``Idempotency-Key``: ``None`` when it is ours now, else what is on record."""
        held = self._keys.get(key)
        if held is not None and held[1] > now:
            return held[0]
        self._keys[key] = (Reservation(key, None, None), expires_at)
        return None

    async def keep_key(self, key: str, *, expires_at: datetime) -> None:
        """Keep a reservation for longer."""
        if key in self._keys and self._keys[key][0].job_id is None:
            self._keys[key] = (self._keys[key][0], expires_at)

    async def release_key(self, key: str) -> None:
        """Forget a reservation that no job has taken."""
        if key in self._keys and self._keys[key][0].job_id is None:
            del self._keys[key]

    async def create_job(
        self,
        job: Job,
        *,
        key: str | None = None,
        fingerprint: str | None = None,
        key_expires_at: datetime | None = None,
    ) -> bool:
        """Insert a PENDING job and bind the reserved key to it, unless another job has it."""
        if key is not None and key_expires_at is not None:
            if key not in self._keys or self._keys[key][0].job_id is not None:
                return False
            self._keys[key] = (Reservation(key, job.id, fingerprint), key_expires_at)
        self._insert(job)
        return True

    async def get_media(self, media_id: str) -> Media | None:
        """Return a media with its variants."""
        return self._media.get(media_id)

    async def changed(self, known: Mapping[str, tuple[JobStatus, Stage] | None]) -> Mapping[str, JobState]:
        """Return the states of those of these jobs that stand elsewhere than known."""
        jobs = [self._jobs[i] for i, place in known.items() if i in self._jobs and _place(self._jobs[i]) != place]
        return {job.id: JobState(job, self._media.get(job.media_id)) for job in jobs}

    async def oldest_waiting(self) -> datetime | None:
        """Return since when the job waits that waits longest for its first attempt."""
        waiting = [j for j in self._jobs.values() if j.status is JobStatus.PENDING and not j.attempts]
        return min((job.available_at or job.created_at for job in waiting), default=None)

    async def get_jobs(self, job_ids: Collection[str]) -> Mapping[str, Job]:
        """Return each of these jobs that exists."""
        return {i: self._jobs[i] for i in job_ids if i in self._jobs}

    async def jobs_of_media(
        self, media_ids: Collection[str], *, owner_id: str | None = None
    ) -> Mapping[str, tuple[JobStatus, bool]]:
        """Return, by media id, the status of the job that was to make it, and whether the media is on record."""
        jobs = [j for j in self._jobs.values() if j.media_id in media_ids and owner_id in (None, j.owner_id)]
        return {job.media_id: (job.status, job.media_id in self._media) for job in jobs}

    async def queue_depth(self) -> int:
        """Return how many jobs are live."""
        return sum(not job.status.terminal for job in self._jobs.values())

    async def settle(
        self, job: Job, *, owner: str, now: datetime, settlement: Settlement, events_of: EventsOf = no_events
    ) -> bool:
        """End a job of which this owner has the lease."""
        held = self._held(job.id, owner)
        if held is None:
            return False
        self._write(events_of(self._settle(held, settlement, now)))
        if settlement.media is not None:
            self._media[settlement.media.id] = settlement.media
        return True

    async def fail_exhausted(self, *, now: datetime, limit: int, events_of: EventsOf = no_events) -> Sequence[str]:
        """Fail live jobs whose worker died on each attempt."""
        spent = [job for job in self._jobs.values() if job.attempts >= job.max_attempts]
        failed = [job for job in spent if job.status is JobStatus.PENDING or lapsed(job, now)][:limit]
        for job in failed:
            self._write(events_of(self._settle(job, died_each_time(job), now)))
        return [job.id for job in failed]

    async def cancel(self, job_id: str, *, now: datetime, events_of: EventsOf = no_events) -> Job | None:
        """Move a live job to CANCELLED, taking its lease away."""
        job = self._jobs.get(job_id)
        if job is None or job.status.terminal:
            return None
        ended = replace(job, status=JobStatus.CANCELLED, finished_at=now, lease_owner=None, lease_until=None)
        self._write(events_of(ended))
        return self._put(ended)

    async def requeue(self, job_id: str, *, now: datetime) -> Job | None:
        """Move a FAILED job back to PENDING with all its attempts."""
        job = self._jobs.get(job_id)
        if job is None or job.status is not JobStatus.FAILED:
            return None
        return self._put(
            replace(
                job,
                status=JobStatus.PENDING,
                stage=Stage.QUEUED,
                attempts=0,
                available_at=now,
                finished_at=None,
                notified_at=None,
                error=None,
                code=None,
                retryable=False,
            )
        )

    async def unnotified(self, *, before: datetime, limit: int) -> Sequence[str]:
        """Return terminal jobs whose hooks have not all run."""
        jobs = [j for j in self._jobs.values() if j.notified_at is None and j.finished_at and j.finished_at < before]
        return [job.id for job in sorted(jobs, key=lambda j: j.finished_at or before)][:limit]

    async def mark_notified(self, job_id: str, *, ended_at: datetime | None, now: datetime) -> None:
        """Note that the hooks of a job's end have run."""
        job = self._jobs.get(job_id)
        if job is not None and job.finished_at == ended_at:
            self._put(replace(job, notified_at=now))

    async def delete_media(self, media_id: str, *, events: tuple[Event, ...] = ()) -> bool:
        """Delete a media; its job stays."""
        if self._media.pop(media_id, None) is None:
            return False
        self._write(events)
        return True

    async def expired_media(self, *, now: datetime, limit: int, after: Media | None = None) -> Sequence[Media]:
        """Return media whose time is over."""
        return expired(self._media.values(), now, limit, after)

    async def forget(self, *, now: datetime) -> int:
        """Forget the turns that nobody need keep away from, and the idempotency keys that expired."""
        self._forget_turns()
        expired = [key for key, (_, until) in self._keys.items() if until <= now]
        for key in expired:
            del self._keys[key]
        return len(expired)

    async def outbox(self, *, limit: int) -> Sequence[Event]:
        """Return events that were not passed on yet, oldest first."""
        return sorted(self._outbox.values(), key=lambda e: (e.created_at, e.id))[:limit]

    async def passed_on(self, event_ids: Collection[str], *, now: datetime) -> None:
        """Take events out of the outbox."""
        for event_id in event_ids:
            self._outbox.pop(event_id, None)

    def _write(self, events: tuple[Event, ...]) -> None:
        self._outbox |= {event.id: event for event in events}

    def _settle(self, job: Job, settlement: Settlement, now: datetime) -> Job:
        return self._put(settlement.state_of(job, now).job)


def _place(job: Job) -> tuple[JobStatus, Stage]:
    return job.status, job.stage
