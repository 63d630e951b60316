"""Claims and settlements while others hold locks, and the number of requests per operation."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from mediagate.errors import RecordsUnavailable
from mediagate.records import PrismaRecords, Settlement, get_state
from mediagate.records.engine import SocketEngine, open_client
from mediagate.records.migration import migrate
from mediagate.testing.record_samples import LEASE, a_job, a_media, claimed_job
from mediagate.values import JobStatus, Stage, utcnow

pytestmark = pytest.mark.anyio


@pytest.fixture
async def records(database: str) -> AsyncIterator[PrismaRecords]:
    """Records on an empty database of each kind."""
    records = PrismaRecords(database, migrate=True)
    await records.open()
    yield records
    await records.close()


@pytest.fixture
async def on_sqlite(tmp_path: Path) -> AsyncIterator[PrismaRecords]:
    records = PrismaRecords(f"file:{tmp_path / 'records.db'}", migrate=True)
    await records.open()
    yield records
    await records.close()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold SQLite's only write lock, as another process would."""
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("BEGIN IMMEDIATE")
        yield
        database.execute("ROLLBACK")


def count_requests(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that collects the path of each further request to the engine."""
    asked: list[str] = []
    request = SocketEngine.request

    async def counted(self: SocketEngine, method: Any, path: str, **options: Any) -> Any:
        asked.append(path)
        return await request(self, method, path, **options)

    monkeypatch.setattr(SocketEngine, "request", counted)
    return asked


async def test_job_costs_at_most_four_requests_from_claim_to_settle(
    records: PrismaRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = count_requests(monkeypatch)
    now = utcnow()
    job = a_job(now)
    await records.create_job(job)
    for most in (3, 4):
        asked.clear()
        assert await records.claim(job.id, owner="worker", now=now, lease_until=now + LEASE)
        assert await records.advance(job.id, owner="worker", lease_until=now + LEASE, stage=Stage.PUBLISH)
        if most == 3:
            assert len(asked) == 2
            assert await records.release(job.id, owner="worker", available_at=now)
    settlement = Settlement(JobStatus.COMPLETE, a_media(job))
    assert await records.settle(job, owner="worker", now=now, settlement=settlement)
    assert len(asked) == 4


async def test_get_state_of_a_job_in_flight_is_one_request(
    records: PrismaRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = count_requests(monkeypatch)
    job = a_job(utcnow())
    await records.create_job(job)
    asked.clear()
    assert await get_state(records, job.id)
    assert len(asked) == 1


async def test_concurrent_transactions_lose_no_update(database: str) -> None:
    await migrate(database)
    client = open_client(database, None)
    await client.connect()
    try:
        records = PrismaRecords(database)
        await records.open()
        job = a_job(utcnow())
        await records.create_job(job)
        await records.close()
        wait = timedelta(seconds=30)

        async def count_one() -> None:
            async with client.tx(max_wait=wait, timeout=wait) as transaction:
                rows = transaction.mediagatejob
                assert await rows.update_many(where={"id": job.id}, data={"attempts": {"increment": 1}})
                row = await rows.find_unique_or_raise(where={"id": job.id})
                await rows.update_many(where={"id": job.id}, data={"maxAttempts": row.attempts})

        await asyncio.gather(*(count_one() for _ in range(50)))
        row = await client.mediagatejob.find_unique_or_raise(where={"id": job.id})
        assert (row.attempts, row.maxAttempts) == (50, 50)
    finally:
        await client.disconnect()


async def test_settle_returns_false_when_its_lease_is_lost_while_waiting(postgres_url: str) -> None:
    records = PrismaRecords(postgres_url, migrate=True)
    await records.open()
    thief = await asyncpg.connect(postgres_url)
    try:
        job = await claimed_job(records, utcnow())
        async with thief.transaction():
            await thief.execute('UPDATE mediagate_job SET "leaseOwner" = $1 WHERE id = $2', "thief", job.id)
            settlement = Settlement(JobStatus.COMPLETE, a_media(job))
            settling = asyncio.create_task(records.settle(job, owner="worker", now=utcnow(), settlement=settlement))
            waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND $1 = ANY (pg_blocking_pids(pid))"
            for _ in range(1000):
                if await thief.fetchval(waiting, thief.get_server_pid()):
                    break
                await asyncio.sleep(0.01)
            else:
                pytest.fail("settle() never waited for the row")
            assert not settling.done()
        assert await settling is False
        state = await get_state(records, job.id)
        assert state is not None
        assert (state.job.status, state.job.lease_owner, state.media) == (JobStatus.PROCESSING, "thief", None)
    finally:
        await thief.close()
        await records.close()


async def test_sqlite_reads_continue_while_another_process_writes(on_sqlite: PrismaRecords, tmp_path: Path) -> None:
    jobs = [await claimed_job(on_sqlite, utcnow()) for _ in range(12)]

    async def settle(n: int) -> bool:
        settlement = Settlement(JobStatus.COMPLETE, a_media(jobs[n]))
        return await on_sqlite.settle(jobs[n], owner="worker", now=utcnow(), settlement=settlement)

    with locked(tmp_path / "records.db"):
        settling = [asyncio.create_task(settle(n)) for n in range(12)]
        await asyncio.sleep(0.2)
        async with asyncio.timeout(2):
            for _ in range(20):
                assert await on_sqlite.queue_depth() == 12
        assert not any(task.done() for task in settling)
    assert await asyncio.gather(*settling) == [True] * 12


@pytest.mark.slow
async def test_locked_sqlite_file_is_unavailable_until_unlocked(on_sqlite: PrismaRecords, tmp_path: Path) -> None:
    jobs = [await claimed_job(on_sqlite, utcnow()) for _ in range(4)]
    settlements = [Settlement(JobStatus.COMPLETE, a_media(job)) for job in jobs]
    with locked(tmp_path / "records.db"):
        began = time.monotonic()
        answers = await asyncio.gather(
            *(
                on_sqlite.settle(job, owner="worker", now=utcnow(), settlement=settlement)
                for job, settlement in zip(jobs, settlements, strict=True)
            ),
            *(on_sqlite.create_job(a_job(utcnow())) for _ in range(4)),
            *(on_sqlite.mark_notified(job.id, ended_at=None, now=utcnow()) for job in jobs),
            return_exceptions=True,
        )
        # All time out concurrently; one after the other they would take a minute.
        assert time.monotonic() - began < 15
    assert [type(answer) for answer in answers] == [RecordsUnavailable] * 12
    for job, settlement in zip(jobs, settlements, strict=True):
        assert await on_sqlite.settle(job, owner="worker", now=utcnow(), settlement=settlement)
