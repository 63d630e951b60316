"""Records on SQLite or PostgreSQL through Prisma."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime

from mediagate.errors import RecordsUnavailable
from mediagate.records.address import postgres_schema, with_connections
from mediagate.records.database import Database
from mediagate.records.engine import open_client
from mediagate.records.migration import migration_names, pending
from mediagate.records.paging import Paging
from mediagate.records.prisma import (
    claims,
    connection,
    direct_uploads,
    ends,
    erasure,
    idempotency_keys,
    identity,
    jobs,
    lists,
    media,
    outbox,
    turns,
    usage,
)
from mediagate.records.prisma.batches import PrismaBatches
from mediagate.records.prisma.outputs import PrismaOutputs
from mediagate.records.prisma.rejudgements import PrismaRejudgements
from mediagate.records.protocol import Identity, Records
from mediagate.records.reservation import Reservation
from mediagate.records.schema import check_schema
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
    utcnow,
)


class PrismaRecords(Records):
    """Jobs and media in a database, through Prisma's query engine.

    ``url`` is ``file:/path`` or ``postgresql://…``. ``engine_url`` names an engine that the host runs. ``migrate``
    applies missing migrations on opening. ``connections`` limits this process's connections to PostgreSQL, by default 5
    or the URL's ``connection_limit``. Raises ``ConfigError`` and ``RecordsUnavailable``.
    """

    def __init__(
        self, url: str, *, engine_url: str | None = None, migrate: bool = False, connections: int | None = None
    ) -> None:
        self._url = with_connections(url, connections)
        self.migrates = migrate
        """Whether opening applies missing migrations; may be changed before ``open``."""
        self.client = open_client(self._url, engine_url)
        """Connected while the records are open; plugins use ``Database.of``."""
        self.postgres_schema = postgres_schema(url)
        """The schema of the tables on PostgreSQL, ``None`` on SQLite."""
        self._database = Database(self)
        self.batches = PrismaBatches(self.client, self._database)
        self.outputs = PrismaOutputs(self.client)
        self.rejudgements = PrismaRejudgements(self.client)
        self._clock = connection.clock_of(self.client, self.postgres_schema)

    def __repr__(self) -> str:
        return f"PrismaRecords({self._url.partition(':')[0]}:…)"

    async def open(self) -> None:
        """Migrate if ``migrates`` is set, and start the engine; raises ``SchemaOutdated`` for an older schema.

        An unavailable database does not prevent opening: each query tries to reach it.
        """
        await connection.connect(self.client, self._url, self.postgres_schema, migrates=self.migrates)

    async def close(self) -> None:
        await connection.disconnect(self.client)

    async def check(self) -> str:
        """Query the oldest pending job, in constant time, and test a write; return a line for ``mediagate doctor``."""
        oldest = await self.oldest_waiting()
        await check_schema(self.client, self.postgres_schema)
        await self.release_key("\n")  # no such key, so nothing is deleted, but a locked or read-only file still raises
        waits = "no pending jobs" if oldest is None else f"oldest pending job: {oldest:%Y-%m-%d %H:%M:%S} UTC"
        return f"{self._url.partition(':')[0]}: {waits}"

    def explain(self, error: RecordsUnavailable) -> str:
        """Explain an error to an operator: the location of the database, and the setting to check."""
        return connection.explanation(error, self._url)

    async def lacks(self) -> list[str]:
        """Return the names of the missing migrations."""
        return await pending(self._url)

    async def is_empty(self) -> bool:
        """Whether no migration has been applied yet; changes nothing."""
        provider = "postgresql" if self.postgres_schema else "sqlite"
        return set(await self.lacks()) == set(migration_names(provider))

    async def now(self) -> datetime:
        return utcnow() if self._clock is None else await self._clock.now()

    async def identity(self) -> Identity:
        return await identity.read_identity(self._database)

    async def next_generation(self, *, above: int = 0) -> Identity:
        return await identity.next_generation(self._database, above)

    # -- uploads, in one request and direct

    async def reserve_key(self, key: str, *, now: datetime, expires_at: datetime) -> Reservation | None:
        return await idempotency_keys.reserve_key(self.client, key, now, expires_at)

    async def keep_key(self, key: str, *, expires_at: datetime) -> None:
        await idempotency_keys.keep_key(self.client, key, expires_at)

    async def release_key(self, key: str) -> None:
        await idempotency_keys.release_key(self.client, key)

    async def create_job(
        self,
        job: Job,
        *,
        key: str | None = None,
        fingerprint: str | None = None,
        key_expires_at: datetime | None = None,
    ) -> bool:
        job = await turns.with_turn(self._database, job)
        return await jobs.create_job(self.client, job, key=key, fingerprint=fingerprint, key_expires_at=key_expires_at)

    async def create_upload(self, upload: DirectUpload) -> None:
        await direct_uploads.create_upload(self.client, upload)

    async def get_uploads(self, upload_ids: Collection[str]) -> Mapping[str, DirectUpload]:
        return await direct_uploads.get_uploads(self.client, upload_ids)

    async def complete_upload(self, upload_id: str, job: Job, *, expires_at: datetime) -> bool:
        job = await turns.with_turn(self._database, job)
        return await direct_uploads.complete_upload(self.client, upload_id, job, expires_at)

    async def expired_uploads(
        self, *, now: datetime, limit: int, after: DirectUpload | None = None
    ) -> Sequence[DirectUpload]:
        return await direct_uploads.expired_uploads(self.client, now, limit, after)

    async def uploads_of(self, owner_id: str, *, limit: int, after: str = "") -> Sequence[DirectUpload]:
        return await direct_uploads.uploads_of(self.client, owner_id, limit, after)

    async def forget_uploads(self, upload_ids: Collection[str], *, now: datetime) -> int:
        return await direct_uploads.forget_uploads(self.client, upload_ids, now)

    # -- reading

    async def get_media(self, media_id: str) -> Media | None:
        return await media.get_media(self.client, media_id)

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
        return await lists.media_page(self.client, source_type, source_id, Paging(limit, cursor, offset), owner_id, now)

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
        page = Paging(limit, cursor, offset)
        return await lists.job_page(self.client, page, owner_id, status, source_type, source_id)

    async def usage(self, *, owner_id: str | None, first: date, last: date) -> UsageReport:
        return await usage.read_usage(self.client, owner_id, first, last)

    async def changed(self, known: Mapping[str, tuple[JobStatus, Stage] | None]) -> Mapping[str, JobState]:
        return await jobs.changed_jobs(self.client, known)

    async def oldest_waiting(self) -> datetime | None:
        return await jobs.oldest_waiting(self.client)

    async def get_jobs(self, job_ids: Collection[str]) -> Mapping[str, Job]:
        return await jobs.get_jobs(self.client, job_ids)

    async def jobs_of_media(
        self, media_ids: Collection[str], *, owner_id: str | None = None
    ) -> Mapping[str, tuple[JobStatus, bool]]:
        return await jobs.jobs_of_media(self.client, media_ids, owner_id)

    async def queue_depth(self) -> int:
        return await jobs.count_live(self.client)

    # -- a job's path

    async def claimable(self, *, now: datetime, limit: int) -> Sequence[str]:
        """Return ids of claimable jobs in the order of their turns."""
        return await claims.claimable_ids(self.client, now, limit)

    async def claim_oldest(
        self, *, owner: str, now: datetime, lease_until: datetime, limit: int, busy: Collection[str] = ()
    ) -> Sequence[Job]:
        return await claims.claim_oldest(
            self.client, self.postgres_schema, owner=owner, now=now, lease_until=lease_until, limit=limit, busy=busy
        )

    async def claim(self, job_id: str, *, owner: str, now: datetime, lease_until: datetime) -> Job | None:
        return await claims.claim(self.client, job_id, owner=owner, now=now, lease_until=lease_until)

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
        columns = claims.advanced_columns(lease_until, stage, model_runs, stages)
        return await claims.advance(self.client, job_id, owner, columns)

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
        columns = claims.released_columns(available_at, error, code, count_attempt=count_attempt)
        return await claims.release(self.client, self._database, job_id, owner, columns)

    async def settle(
        self, job: Job, *, owner: str, now: datetime, settlement: Settlement, events_of: EventsOf = no_events
    ) -> bool:
        return await ends.settle(self.client, job, owner, now, settlement, events_of)

    async def fail_exhausted(self, *, now: datetime, limit: int, events_of: EventsOf = no_events) -> Sequence[str]:
        return await ends.fail_exhausted(self.client, now, limit, events_of)

    async def cancel(self, job_id: str, *, now: datetime, events_of: EventsOf = no_events) -> Job | None:
        return await ends.cancel(self.client, self._database, job_id, now, events_of)

    async def requeue(self, job_id: str, *, now: datetime) -> Job | None:
        return await jobs.requeue(self.client, self._database, job_id, now)

    async def unnotified(self, *, before: datetime, limit: int) -> Sequence[str]:
        return await jobs.unnotified(self.client, before, limit)

    async def mark_notified(self, job_id: str, *, ended_at: datetime | None, now: datetime) -> None:
        await jobs.mark_notified(self.client, job_id, ended_at, now)

    # -- deleting

    async def delete_media(self, media_id: str, *, events: tuple[Event, ...] = ()) -> bool:
        return await ends.delete_media(self.client, media_id, events)

    async def expired_media(self, *, now: datetime, limit: int, after: Media | None = None) -> Sequence[Media]:
        return await media.expired_media(self.client, now, limit, after)

    async def erase_jobs(self, owner_id: str, job_ids: Collection[str]) -> int:
        return await erasure.erase_jobs(self.client, self._database, owner_id, job_ids)

    async def forget(self, *, now: datetime) -> int:
        await turns.forget_turns(self._database)
        return await idempotency_keys.forget_expired_keys(self.client, now)

    # -- outbox

    async def outbox(self, *, limit: int) -> Sequence[Event]:
        return await outbox.read_outbox(self.client, limit)

    async def passed_on(self, event_ids: Collection[str], *, now: datetime) -> None:
        await outbox.passed_on(self.client, event_ids, now)
