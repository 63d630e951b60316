"""Records through Prisma, on SQLite or PostgreSQL."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from mediagate.errors import RecordsUnavailable, SchemaOutdated
from mediagate.records.address import place_of, postgres_schema, with_connections
from mediagate.records.client.errors import RecordNotFoundError
from mediagate.records.clock import DatabaseClock
from mediagate.records.engine import open_client
from mediagate.records.identity import PrismaIdentity
from mediagate.records.migration import migrate, migration_names, pending, sqlite_path
from mediagate.records.prisma_claims import PrismaClaims
from mediagate.records.prisma_ends import PrismaEnds
from mediagate.records.prisma_lists import PrismaLists
from mediagate.records.prisma_uploads import PrismaUploads
from mediagate.records.queries import (
    LIVE,
    execute,
    jobs_where,
    moved_since,
    query,
    reserve_key,
)
from mediagate.records.refusals import ACCOUNT, MIGRATE, RUNS, why_away
from mediagate.records.reservation import Reservation
from mediagate.records.rows import job_of, job_row, media_of, requeued_columns
from mediagate.records.schema import check_schema
from mediagate.values import Job, JobState, JobStatus, Media, Stage, utcnow

log = logging.getLogger("mediagate.records")


class PrismaRecords(PrismaClaims, PrismaEnds, PrismaIdentity, PrismaLists, PrismaUploads):
    """Jobs and media in a database that Prisma's query engine reaches.

    ``url`` is ``file:/path`` or ``postgresql://…``; ``engine_url`` names an engine that the host runs itself;
    ``migrate`` applies what the database lacks when it is opened; ``connections`` is how many this process may open to
    PostgreSQL, 5 unless the URL has a ``connection_limit``. Raises ``ConfigError`` and ``RecordsUnavailable``.
    """

    def __init__(
        self, url: str, *, engine_url: str | None = None, migrate: bool = False, connections: int | None = None
    ) -> None:
        self._url = with_connections(url, connections)
        self.migrates = migrate
        """Whether opening applies what the database lacks; until then it can be changed."""
        self.client = open_client(self._url, engine_url)
        """Connected while the records are open; plugins use ``Database.of``."""
        self.postgres_schema = postgres_schema(url)
        # All who share a SQLite file share a machine, and so its clock.
        self._clock = DatabaseClock(self._database_ms) if self.postgres_schema is not None else None

    def __repr__(self) -> str:
        return f"PrismaRecords({self._url.partition(':')[0]}:…)"

    async def open(self) -> None:
        """Migrate if that was asked for, and start the engine; raises ``SchemaOutdated`` for an older schema.

        A database that does not answer is no reason not to open: each query asks it again.
        """
        if self.migrates:
            for name in await migrate(self._url):
                log.info("applied migration %s", name)
        elif self.postgres_schema is None and not sqlite_path(self._url).exists():
            # The engine would make an empty file.
            raise SchemaOutdated(f"there is no database file {sqlite_path(self._url)}: {MIGRATE}")
        await execute(self.client.connect)
        try:
            await check_schema(self.client, self.postgres_schema)
        except SchemaOutdated:
            await self.close()
            raise
        except RecordsUnavailable as exc:
            log.warning("not asked whether the database has this release's schema: %s", exc)

    async def close(self) -> None:
        """Stop the engine; can be repeated."""
        if self.client.is_connected():
            await self.client.disconnect(timeout=timedelta(seconds=5))

    async def check(self) -> str:
        """Ask the database for the first job in line, which takes as long however many there are, and for a write."""
        oldest = await self.oldest_waiting()
        await check_schema(self.client, self.postgres_schema)
        # Nobody's key: nothing is deleted, and yet a file that is locked or may only be read refuses.
        await self.release_key("\n")
        waits = (
            "no new job waits" if oldest is None else f"the first new job waits since {oldest:%Y-%m-%d %H:%M:%S} UTC"
        )
        return f"{self._url.partition(':')[0]}: {waits}"

    def explain(self, error: RecordsUnavailable) -> str:
        """Return what an operator is told of an error: where the database is, and which setting says so."""
        if type(error) is not RecordsUnavailable or error.__cause__ is None:
            return f"{place_of(self._url)}: {error.detail}"
        return f"cannot reach {place_of(self._url)} ({why_away(error.__cause__)}): {RUNS}, and {ACCOUNT}"

    async def now(self) -> datetime:
        """Return the present by the database's clock."""
        return utcnow() if self._clock is None else await self._clock.now()

    async def _database_ms(self) -> int:
        statement = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS ms"
        rows = await execute(lambda: self.client.query_raw(statement))
        return int(rows[0]["ms"])

    async def lacks(self) -> list[str]:
        """Return the migrations that the database lacks."""
        return await pending(self._url)

    async def is_empty(self) -> bool:
        """Whether the database has none of the migrations; changes nothing."""
        provider = "sqlite" if self.postgres_schema is None else "postgresql"
        return set(await self.lacks()) == set(migration_names(provider))

    # -- uploads

    async def reserve_key(self, key: str, *, now: datetime, expires_at: datetime) -> Reservation | None:
        """Reserve an ``Idempotency-Key``: ``None`` when it is ours now, else what is on record."""
        return await reserve_key(self.client, key, now=now, expires_at=expires_at)

    async def keep_key(self, key: str, *, expires_at: datetime) -> None:
        """Keep a reservation for longer."""
        where: Any = {"key": key, "jobId": None}
        await execute(
            lambda: self.client.mediagateidempotencykey.update_many(where=where, data={"expiresAt": expires_at})
        )

    async def release_key(self, key: str) -> None:
        """Forget a reservation whose upload failed, if no job has taken it yet."""
        where: Any = {"key": key, "jobId": None}
        await execute(lambda: self.client.mediagateidempotencykey.delete_many(where=where))

    async def create_job(
        self,
        job: Job,
        *,
        key: str | None = None,
        fingerprint: str | None = None,
        key_expires_at: datetime | None = None,
    ) -> bool:
        """Insert a PENDING job and bind the reserved key to it, in one transaction."""
        row = job_row(await self._with_turn(job))
        free: Any = {"key": key, "jobId": None}
        bound: Any = {"jobId": job.id, "fingerprint": fingerprint, "expiresAt": key_expires_at}

        async def both() -> None:
            async with self.client.batch_() as batch:
                batch.mediagatejob.create(data=row)
                # Fails, and the job with it, when another has bound the key meanwhile.
                batch.mediagateidempotencykey.update(where=free, data=bound)

        try:
            await execute(lambda: self.client.mediagatejob.create(data=row) if key is None else both())
        except RecordNotFoundError:
            return False
        return True

    # -- reading

    async def get_media(self, media_id: str) -> Media | None:
        """Return a media with its variants."""
        row = await query(
            lambda: self.client.mediagatemedia.find_unique(where={"id": media_id}, include={"variants": True})
        )
        return media_of(row) if row else None

    async def changed(self, known: Mapping[str, tuple[JobStatus, Stage] | None]) -> Mapping[str, JobState]:
        """Return the states of those of these jobs that stand elsewhere than known."""
        jobs = [job_of(row) for row in await jobs_where(self.client, moved_since(known))] if known else []
        complete = [job.media_id for job in jobs if job.status is JobStatus.COMPLETE]
        media = await self._media_where({"id": {"in": complete}}) if complete else {}
        return {job.id: JobState(job, media.get(job.media_id)) for job in jobs}

    async def oldest_waiting(self) -> datetime | None:
        """Return since when the job waits that waits longest for its first attempt."""
        where = {"status": JobStatus.PENDING.value, "attempts": 0}
        rows = await jobs_where(self.client, where, order={"availableAt": "asc"}, take=1)
        return rows[0].availableAt if rows else None

    async def get_jobs(self, job_ids: Collection[str]) -> Mapping[str, Job]:
        """Return each of these jobs that exists."""
        return {row.id: job_of(row) for row in await jobs_where(self.client, {"id": {"in": list(job_ids)}})}

    async def jobs_of_media(
        self, media_ids: Collection[str], *, owner_id: str | None = None
    ) -> Mapping[str, tuple[JobStatus, bool]]:
        """Return, by media id, the status of the job that was to make it, and whether the media is on record."""
        where: Any = {"mediaId": {"in": list(media_ids)}}
        if owner_id is not None:
            where["ownerId"] = owner_id
        # The engine reads the media behind the jobs, as is promised.
        rows = await query(lambda: self.client.mediagatejob.find_many(where=where, include={"media": True}))
        return {row.mediaId: (JobStatus(row.status), row.media is not None) for row in rows}

    async def queue_depth(self) -> int:
        """Return how many jobs are live."""
        where: Any = {"status": {"in": LIVE}}
        return await query(lambda: self.client.mediagatejob.count(where=where))

    # -- a job's path

    async def requeue(self, job_id: str, *, now: datetime) -> Job | None:
        """Move a FAILED job back to PENDING with all its attempts."""
        job = (await self.get_jobs([job_id])).get(job_id)
        if job is None or job.status is not JobStatus.FAILED:
            return None
        row = await self._take({"id": job_id, "status": JobStatus.FAILED.value}, requeued_columns(job, now))
        return job_of(row) if row else None

    async def unnotified(self, *, before: datetime, limit: int) -> Sequence[str]:
        """Return terminal jobs whose hooks have not all run."""
        rows = await jobs_where(
            self.client, {"notifiedAt": None, "finishedAt": {"lt": before}}, order={"finishedAt": "asc"}, take=limit
        )
        return [row.id for row in rows]

    async def mark_notified(self, job_id: str, *, ended_at: datetime | None, now: datetime) -> None:
        """Note that the hooks of a job's end have run."""
        await self._change({"id": job_id, "finishedAt": ended_at}, {"notifiedAt": now})

    # -- deleting

    async def forget(self, *, now: datetime) -> int:
        """Forget the turns that nobody need keep away from, and the idempotency keys that expired."""
        await self._forget_turns()
        keys = self.client.mediagateidempotencykey
        return await execute(lambda: keys.delete_many(where={"expiresAt": {"lte": now}}))
