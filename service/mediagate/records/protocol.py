"""The protocol of records: jobs and media rows, and the few transactions that move a job along."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol, runtime_checkable

from mediagate.records.reservation import Reservation
from mediagate.records.settlement import Settlement
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
    no_events,
)


@dataclass(frozen=True, slots=True)
class Identity:
    """The id of a database, at most 200 characters that were made at its first use, and a number that only grows.

    A copy of a database has its id. One that was restored has a lower number than it had before.
    """

    id: str
    generation: int


@runtime_checkable
class Records(Protocol):
    """Jobs and media rows.

    All times are UTC-aware at millisecond precision and passed in by the caller, so that a test can turn the clock; all
    else passes what ``now`` returns, which is the same for all who share the records, whatever their own clocks say.
    Every method that can reach no database raises ``RecordsUnavailable``. A *live* job is PENDING or PROCESSING.
    """

    async def open(self) -> None:
        """Connect; for the embedded default also create and migrate the database."""

    async def close(self) -> None:
        """Disconnect and stop what ``open`` started; can be repeated."""

    async def check(self) -> str:
        """Run one query, and a write that changes nothing; return one line for ``mediagate doctor`` and ``/readyz``."""

    async def now(self) -> datetime:
        """Return the present by the clock that decides about leases: the database's. As a rule without a query."""

    async def identity(self) -> Identity:
        """Return which database this is: an id that is made when it is first asked for, and a generation from 0 on."""

    async def next_generation(self, *, above: int = 0) -> Identity:
        """Count the generation up by at least one, to beyond ``above``, and return the identity as it then is."""

    # -- uploads

    async def reserve_key(self, key: str, *, now: datetime, expires_at: datetime) -> Reservation | None:
        """Reserve an ``Idempotency-Key``: ``None`` when it is now ours, else what is on record.

        A reservation past its ``expires_at`` counts as absent and is taken over by exactly one caller.
        """

    async def keep_key(self, key: str, *, expires_at: datetime) -> None:
        """Keep a reservation for longer, as its upload is still coming in; one that a job has taken stays as it is."""

    async def release_key(self, key: str) -> None:
        """Forget a reservation whose upload failed, if no job has taken it yet."""

    async def create_job(
        self,
        job: Job,
        *,
        key: str | None = None,
        fingerprint: str | None = None,
        key_expires_at: datetime | None = None,
    ) -> bool:
        """Insert a PENDING job with its turn; in the same transaction bind the reserved key to it, with its new expiry.

        Of the jobs of one priority each gets a turn that is above the highest that was claimed, and by more above the
        last one of its share: its owner, or, without one, its source type and id. ``records.turns`` says how far.
        ``False``, and nothing written, when the key is bound to another job, or reserved no more.
        """

    # -- direct uploads

    async def create_upload(self, upload: DirectUpload) -> None:
        """Insert a direct upload."""

    async def get_uploads(self, upload_ids: Collection[str]) -> Mapping[str, DirectUpload]:
        """Return, by id, each of these direct uploads that is on record."""

    async def complete_upload(self, upload_id: str, job: Job, *, expires_at: datetime) -> bool:
        """Insert a PENDING job with its turn and name it in its direct upload, which expires then, in one transaction.

        ``False``, and nothing written, when the upload has a job already, or is not there.
        """

    async def expired_uploads(
        self, *, now: datetime, limit: int, after: DirectUpload | None = None
    ) -> Sequence[DirectUpload]:
        """Return direct uploads whose ``expires_at`` has come, by that and then by id; those behind ``after``."""

    async def forget_uploads(self, upload_ids: Collection[str], *, now: datetime) -> int:
        """Delete those of these direct uploads that have expired; returns how many."""

    # -- reading

    async def get_media(self, media_id: str) -> Media | None:
        """Return a media with its variants."""

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
        """Return media newest first, from where a page before ended; raises ``InvalidParameter`` for another cursor.

        With ``owner_id`` only those of this owner. What has expired by ``now`` is left out; without it, nothing is.
        """

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
        """Return jobs newest first, with their media, of those for which each given value holds; pages as above."""

    async def usage(self, *, owner_id: str | None, first: date, last: date) -> UsageReport:
        """Return what one owner or all used, a sum over jobs: by UTC day of upload, both days included, and by key.

        Days and keys come in order; what was uploaded without a key is in the days alone.
        """

    async def changed(self, known: Mapping[str, tuple[JobStatus, Stage] | None]) -> Mapping[str, JobState]:
        """Return, by id, the state of each of these jobs that exists and stands elsewhere than known.

        A state is a job and, if published, its media with variants. ``None`` is known of a job that is wanted wherever
        it stands. One query, and as few more as one media needs if any of them is COMPLETE, however many there are.
        """

    async def oldest_waiting(self) -> datetime | None:
        """Return since when the job could have been claimed that has waited longest for its first attempt, if any."""

    async def get_jobs(self, job_ids: Collection[str]) -> Mapping[str, Job]:
        """Return, by id, each of these jobs that exists."""

    async def jobs_of_media(
        self, media_ids: Collection[str], *, owner_id: str | None = None
    ) -> Mapping[str, tuple[JobStatus, bool]]:
        """Return, by media id, the status of the job that was to make it, and whether the media is on record.

        A media that is recorded meanwhile is told of, or its job as live. With ``owner_id`` only those of this owner.
        """

    async def queue_depth(self) -> int:
        """Return how many jobs are live."""

    # -- a job's path

    async def claim_oldest(
        self, *, owner: str, now: datetime, lease_until: datetime, limit: int, busy: Collection[str] = ()
    ) -> Sequence[Job]:
        """Claim jobs as ``claim`` does, up to so many, no busy ones, of those that are claimable.

        They go by priority, then turn, then since when they could be claimed. *Claimable* are PENDING jobs
        whose ``available_at`` has come, and PROCESSING ones whose lease ran out; both with attempts left. Of several
        callers at once each gets jobs of its own.
        """

    async def claim(self, job_id: str, *, owner: str, now: datetime, lease_until: datetime) -> Job | None:
        """Take a claimable job by compare-and-set: PROCESSING, ``attempts`` + 1, stage ``moderate``, owner and lease.

        ``started_at`` is set by the first claim. Returns ``None`` when somebody else has it, or it is not claimable.
        """

    async def advance(
        self,
        job_id: str,
        *,
        owner: str,
        lease_until: datetime,
        stage: Stage | None = None,
        model_runs: int | None = None,
    ) -> bool:
        """Extend the lease and, when given, enter a stage; ``False`` when the lease is no longer ours.

        ``model_runs`` is what the job then has of them in all; ``None`` leaves them.
        """

    async def settle(
        self, job: Job, *, owner: str, now: datetime, settlement: Settlement, events_of: EventsOf = no_events
    ) -> bool:
        """End a job in one transaction that checks the lease owner: media, variants, terminal status, events.

        The job is as its owner knows it, and its events are made of ``settlement.state_of(job, now)``. Clears the
        lease. ``False``, and nothing written, when the job is not PROCESSING under this owner.
        """

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
        """Give a job back to PENDING for a later attempt; ``count_attempt=False`` undoes the claim's count (drain)."""

    async def fail_exhausted(self, *, now: datetime, limit: int, events_of: EventsOf = no_events) -> Sequence[str]:
        """Fail live jobs whose lease ran out (or that are PENDING) with no attempt left: their worker died each time.

        FAILED, code ``attempts_exhausted`` unless the job already has a code, error naming its stage. Returns ids.
        Each job's events are written in its transaction.
        """

    async def cancel(self, job_id: str, *, now: datetime, events_of: EventsOf = no_events) -> Job | None:
        """Move a live job to CANCELLED, taking its lease away; ``None`` when there is no live job of this id.

        Its events, made of the job as it then is, are written in the same transaction.
        """

    async def requeue(self, job_id: str, *, now: datetime) -> Job | None:
        """Move a FAILED job back to PENDING with ``attempts`` 0 and its failure fields cleared; else ``None``."""

    async def unnotified(self, *, before: datetime, limit: int) -> Sequence[str]:
        """Return ids of terminal jobs that finished before this moment and whose hooks have not all run."""

    async def mark_notified(self, job_id: str, *, ended_at: datetime | None, now: datetime) -> None:
        """Note that the hooks of a job's end have run; changes nothing if the job goes on, or has ended anew, since."""

    # -- deleting

    async def delete_media(self, media_id: str, *, events: tuple[Event, ...] = ()) -> bool:
        """Delete a media row and its variants; ``False`` when there was none. Its job stays.

        The events are written in the same transaction, and none where nothing was deleted.
        """

    async def expired_media(self, *, now: datetime, limit: int, after: Media | None = None) -> Sequence[Media]:
        """Return media whose ``expires_at`` has come, by that and then by id; those behind ``after``."""

    async def forget(self, *, now: datetime) -> int:
        """Forget the last turns of shares that a new one need not keep away from, and the keys that expired.

        Returns how many keys.
        """

    # -- outbox

    async def outbox(self, *, limit: int) -> Sequence[Event]:
        """Return events that were not passed on yet, oldest first."""

    async def passed_on(self, event_ids: Collection[str], *, now: datetime) -> None:
        """Take events out of the outbox: whoever passes them on has written down what is left to do about them."""
