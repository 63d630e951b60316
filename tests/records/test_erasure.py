"""The rows of an owner in the database: which go with its jobs, by which indexes, and beside another process."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from mediagate.records import Database, PrismaRecords
from mediagate.records.migration import migrate
from mediagate.records.prisma.turns import TIME
from mediagate.testing.record_samples import LEASE, a_job
from mediagate.values import Event, EventType, Job, new_id, utcnow

pytestmark = pytest.mark.anyio

OWNER, MANY = "ann", 200


@pytest.fixture
async def records(database: str) -> AsyncIterator[PrismaRecords]:
    records = PrismaRecords(database, migrate=True)
    await records.open()
    yield records
    await records.close()


async def cancelled_job(records: PrismaRecords, *kinds: EventType, owner: str = OWNER) -> Job:
    """Record a job that was cancelled, with events of these kinds."""
    job, now = a_job(utcnow(), owner_id=owner), utcnow()
    await records.create_job(job)
    events = tuple(Event(new_id("evt"), kind, job.id, now, "{}") for kind in kinds)
    await records.cancel(job.id, now=now, events_of=lambda _: events)
    return job


async def create_delivery(records: PrismaRecords, event: Event) -> None:
    """Record a delivery that is due, as the plugin ``webhooks`` does."""
    await Database(records).execute(
        lambda client: client.mediagatewebhookdelivery.create(
            data={"eventId": event.id, "endpoint": "app", "status": "pending", "attempts": 0, "dueAt": utcnow()}
        )
    )


async def count(records: PrismaRecords, table: str) -> int:
    rows = await Database(records).fetch_rows(f"SELECT COUNT(*) AS found FROM {table}")
    return int(rows[0]["found"])


async def test_erase_jobs_deletes_the_deliveries_of_its_events(records: PrismaRecords) -> None:
    job = await cancelled_job(records, EventType.JOB_CANCELLED, EventType.MEDIA_DELETED)
    other = await cancelled_job(records, EventType.JOB_CANCELLED, owner="bob")
    for event in await records.outbox(limit=9):
        await create_delivery(records, event)
    assert await count(records, "mediagate_webhook_delivery") == 3
    await records.erase_jobs(OWNER, [job.id])
    left = await records.outbox(limit=9)
    assert {(event.job_id, event.type) for event in left} == {
        (job.id, EventType.MEDIA_DELETED),
        (other.id, EventType.JOB_CANCELLED),
    }
    assert await count(records, "mediagate_webhook_delivery") == 2


async def test_erase_jobs_leaves_no_turn_of_the_owner(records: PrismaRecords) -> None:
    jobs = [a_job(utcnow(), owner_id=OWNER, priority=priority) for priority in (-1, 0, 1)]
    for job in (*jobs, a_job(utcnow(), owner_id="bob")):
        await records.create_job(job)
    now = utcnow()
    assert await records.claim(jobs[0].id, owner="w", now=now, lease_until=now + LEASE)
    for job in jobs:
        await records.cancel(job.id, now=now)
    await records.erase_jobs(OWNER, [job.id for job in jobs])
    rows = await Database(records).fetch_rows("SELECT share FROM mediagate_turn")
    assert {row["share"] for row in rows} == {"bob", TIME}


async def test_two_processes_erase_the_same_jobs(records: PrismaRecords, database: str) -> None:
    jobs = [await cancelled_job(records, EventType.JOB_CANCELLED) for _ in range(MANY)]
    ids = [job.id for job in jobs]
    other = PrismaRecords(database)
    await other.open()
    try:
        gone = await asyncio.gather(records.erase_jobs(OWNER, ids), other.erase_jobs(OWNER, ids[::-1]))
    finally:
        await other.close()
    assert [*gone] == [MANY, MANY]
    assert await count(records, "mediagate_job") == await count(records, "mediagate_event") == 0


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        (
            'SELECT * FROM mediagate_upload WHERE "ownerId" = ? AND id > ? ORDER BY id LIMIT 9',
            "mediagate_upload_ownerId_id_idx",
        ),
        (
            'DELETE FROM mediagate_idempotency_key WHERE "jobId" IN (?, ?)',
            "mediagate_idempotency_key_jobId_idx",
        ),
        ('DELETE FROM mediagate_event WHERE "jobId" IN (?, ?) AND NOT type = 1', "mediagate_event_jobId_idx"),
        ('DELETE FROM mediagate_api_key WHERE "ownerId" = ?', "mediagate_api_key_ownerId_idx"),
    ],
)
async def test_sqlite_finds_the_rows_of_an_owner_by_an_index(tmp_path: Path, statement: str, index: str) -> None:
    path = tmp_path / "records.db"
    await migrate(f"file:{path}")
    with closing(sqlite3.connect(path)) as database:
        plan = database.execute(f"EXPLAIN QUERY PLAN {statement}", ["a"] * statement.count("?")).fetchall()
    assert any(f"INDEX {index}" in row[3] for row in plan), plan
    assert not any(row[3].startswith("SCAN mediagate") for row in plan), plan
