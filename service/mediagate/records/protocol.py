"""The protocol of records: jobs and media rows, and the transactions of a job's life."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol, runtime_checkable

from mediagate.records.batches import Batches
from mediagate.records.outputs import Outputs
from mediagate.records.rejudgements import Rejudgements
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
    StageState,
    UsageReport,
    no_events,
)


@dataclass(frozen=True, slots=True)
class Identity:
    """The id of a database, at most 200 characters generated on first use, and a generation that only grows.

    A copy of a database has the same id. A restored database has a lower generation than before.
    """

    id: str
    generation: int


@runtime_checkable
class Records(Protocol):
    """Jobs and media rows.

    All times are UTC-aware at millisecond precision and passed in by the caller, so that a test can set the clock. All
    other callers pass the result of ``now``, which is the same for every process that shares the records, whatever its
    own clock says. Every method raises ``RecordsUnavailable`` when the database does not answer. A *live* job is
    PENDING or PROCESSING.
    """

    rejudgements: Rejudgements
    """The re-judging of published pictures."""
    outputs: Outputs
    """The outputs of pipelines."""
    batches: Batches
    """The batches of pipelines."""

    async def open(self) -> None:
        """Connect; for the embedded default also create and migrate the database."""

    async def close(self) -> None:
        """Disconnect and stop everything that ``open`` started. Idempotent."""

    async def check(self) -> str:
        """Run one query, and a write that changes nothing; return one line for ``mediagate doctor`` and ``/readyz``."""

    async def now(self) -> datetime:
        """Return the current time by the database's clock, which decides about leases; usually without a query."""

    async def identity(self) -> Identity:
        """Return the identity of this database: an id, generated on the first call, and a generation from 0 on."""

    async def next_generation(self, *, above: int = 0) -> Identity:
        """Increment the generation by at least one, to more than ``above``, and return the new identity."""

    # -- uploads, in one request and direct

    async def reserve_key(self, key: str, *, now: datetime, expires_at: datetime) -> Reservation | None:
        """Reserve an ``Idempotency-Key``; returns the existing reservation, or ``None`` when the key is now ours.

        A reservation past its ``expires_at`` counts as absent and is taken over by exactly one caller.
        """

    async def keep_key(self, key: str, *, expires_at: datetime) -> None:
        """Extend a reservation while its upload is received; a reservation bound to a job is not changed."""

    async def release_key(self, key: str) -> None:
        """Delete a reservation whose upload failed, unless it is bound to a job."""

    async def create_job(
        self,
        job: Job,
        *,
        key: str | None = None,
        fingerprint: str | None = None,
        key_expires_at: datetime | None = None,
    ) -> bool:
        """Insert a PENDING job with its turn; in the same transaction bind the reserved key to it, with its new expiry.

        Within a priority, a job's turn is above the highest claimed turn, and by a larger distance above the last turn
        of its share, which is its owner, or without one its source type and id. ``records.turns`` defines the
        distances. Returns ``False``, writing nothing, when the key is bound to another job or no longer reserved.
        """

    async def create_upload(self, upload: DirectUpload) -> None:
        """Insert a direct upload."""

    async def get_uploads(self, upload_ids: Collection[str]) -> Mapping[str, DirectUpload]:
        """Return the existing ones of these direct uploads by id."""

    async def complete_upload(self, upload_id: str, job: Job, *, expires_at: datetime) -> bool:
        """Insert a PENDING job with its turn and store it in its direct upload with a new expiry, in one transaction.

        Returns ``False``, writing nothing, when the upload already has a job or does not exist.
        """

    async def expired_uploads(
        self, *, now: datetime, limit: int, after: DirectUpload | None = None
    ) -> Sequence[DirectUpload]:
        """Return expired direct uploads after ``after``, ordered by ``expires_at`` and id."""

    async def uploads_of(self, owner_id: str, *, limit: int, after: str = "") -> Sequence[DirectUpload]:
        """Return an owner's direct uploads in every state with an id after ``after``, ordered by id."""

    async def forget_uploads(self, upload_ids: Collection[str], *, now: datetime) -> int:
        """Delete the expired ones of these direct uploads; returns their number."""

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
        offset: int | None = None,
        owner_id: str | None = None,
        now: datetime | None = None,
    ) -> MediaPage:
        """Return a page of media, newest first; raises ``InvalidParameter`` for a malformed cursor.

        ``owner_id`` restricts the page to that owner's media. ``now`` omits media that have expired by then. With
        ``offset`` and no cursor, the page begins after that many media and has the ``total`` of all pages.
        """

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
        """Return a page of jobs with their media, newest first, that match each value and any status; as above."""

    async def usage(self, *, owner_id: str | None, first: date, last: date) -> UsageReport:
        """Return the usage of one owner or of all, summed over jobs by UTC day of upload and by key.

        Both days are included. Days and keys are sorted; uploads without a key count only in the days.
        """

    async def changed(self, known: Mapping[str, tuple[JobStatus, Stage] | None]) -> Mapping[str, JobState]:
        """Return by id the states of those of these jobs whose status or stage differs from the known one.

        A state is a job and, if published, its media with variants, or the outputs of a pipeline. Pass ``None`` for a
        job to return it in any state. Takes one query, plus those of a single media if any job is COMPLETE and one if
        any is a pipeline, regardless of the number of jobs.
        """

    async def oldest_waiting(self) -> datetime | None:
        """Return when the job that has waited longest for its first attempt became claimable, if there is one."""

    async def get_jobs(self, job_ids: Collection[str]) -> Mapping[str, Job]:
        """Return the existing ones of these jobs by id."""

    async def jobs_of_media(
        self, media_ids: Collection[str], *, owner_id: str | None = None
    ) -> Mapping[str, tuple[JobStatus, bool]]:
        """Return by media id the status of the job that makes the media, and whether the media is on record.

        The outputs of a pipeline count as its media. If the media is recorded during the call, the result has either
        the media or its job as live. ``owner_id`` restricts the result to that owner's jobs.
        """

    async def queue_depth(self) -> int:
        """Return the number of live jobs."""

    # -- the life of a job

    async def claim_oldest(
        self, *, owner: str, now: datetime, lease_until: datetime, limit: int, busy: Collection[str] = ()
    ) -> Sequence[Job]:
        """Claim up to ``limit`` claimable jobs as ``claim`` does, except those in ``busy``.

        The order is priority, then turn, then the time at which they became claimable. *Claimable* are PENDING jobs
        whose ``available_at`` has passed, and PROCESSING jobs whose lease has expired, both with attempts left.
        Concurrent callers get different jobs.
        """

    async def claim(self, job_id: str, *, owner: str, now: datetime, lease_until: datetime) -> Job | None:
        """Claim a job by compare-and-set: PROCESSING, ``attempts`` + 1, stage ``moderate``, owner and lease.

        The first claim sets ``started_at``. Returns ``None`` when the job is not claimable.
        """

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
        """Extend the lease and, if given, enter a stage; ``False`` when the lease is lost.

        ``model_runs`` is the job's new total, ``stages`` are its new stages; ``None`` leaves them unchanged.
        """

    async def settle(
        self, job: Job, *, owner: str, now: datetime, settlement: Settlement, events_of: EventsOf = no_events
    ) -> bool:
        """End a job in one transaction that checks the lease owner: media or outputs, terminal status, events.

        ``job`` is the owner's copy, and its events are made of ``settlement.state_of(job, now)``. Clears the lease.
        Returns ``False``, writing nothing, when the job is not PROCESSING under this owner.
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
        """Return a job to PENDING for a later attempt; ``count_attempt=False`` undoes the claim's count (drain)."""

    async def fail_exhausted(self, *, now: datetime, limit: int, events_of: EventsOf = no_events) -> Sequence[str]:
        """Fail live jobs without an attempt left whose lease has expired (or that are PENDING): their workers died.

        FAILED, code ``attempts_exhausted`` unless the job already has a code, error naming its stage. Returns ids.
        Each job's events are written in its transaction.
        """

    async def cancel(self, job_id: str, *, now: datetime, events_of: EventsOf = no_events) -> Job | None:
        """Move a live job to CANCELLED and clear its lease; ``None`` when there is no live job with this id.

        Its events, made of the cancelled job, are written in the same transaction.
        """

    async def requeue(self, job_id: str, *, now: datetime) -> Job | None:
        """Move a FAILED job back to PENDING with ``attempts`` 0 and its failure fields cleared; else ``None``."""

    async def unnotified(self, *, before: datetime, limit: int) -> Sequence[str]:
        """Return ids of terminal jobs that finished before ``before`` and whose hooks have not all run."""

    async def mark_notified(self, job_id: str, *, ended_at: datetime | None, now: datetime) -> None:
        """Record that the hooks of a job's end have run; no effect if the job was retried since ``ended_at``."""

    # -- deleting

    async def delete_media(self, media_id: str, *, events: tuple[Event, ...] = ()) -> bool:
        """Delete a media row and its variants; ``False`` when there was none. Its job remains.

        The events are written in the same transaction, but only if a row was deleted.
        """

    async def expired_media(self, *, now: datetime, limit: int, after: Media | None = None) -> Sequence[Media]:
        """Return expired media after ``after``, ordered by ``expires_at`` and id."""

    async def erase_jobs(self, owner_id: str, job_ids: Collection[str]) -> int:
        """Delete the terminal ones of these jobs of an owner without media and outputs; returns how many are gone.

        Deletes their keys, their events except ``media.deleted``, and the owner's last turns. The turns of new jobs
        stay above the highest claimed turn, even if it was that of a deleted job.
        """

    async def forget(self, *, now: datetime) -> int:
        """Delete expired keys, and last turns that no longer affect new jobs; returns the number of keys."""

    # -- outbox

    async def outbox(self, *, limit: int) -> Sequence[Event]:
        """Return events that have not been passed on yet, oldest first."""

    async def passed_on(self, event_ids: Collection[str], *, now: datetime) -> None:
        """Remove events from the outbox, after their remaining deliveries have been recorded elsewhere."""
