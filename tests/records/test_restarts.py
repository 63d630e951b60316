"""PostgreSQL is killed and restarted under load, or frozen: no job is lost and every wait ends."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.routing import Mount

from mediagate import STORAGE, JobState, JobStatus, MediaGate, Settings, Source
from mediagate.errors import RecordsUnavailable
from mediagate.records import PrismaRecords, get_job, get_state
from mediagate.records.client.engine.errors import EngineConnectionError
from mediagate.records.engine import SocketEngine
from mediagate.records.queries import RETRY_FOR_S
from mediagate.storage import MemoryStorage
from mediagate.testing.record_samples import LEASE, a_job
from tests.support.load import stretched
from tests.support.postgres_cluster import Cluster, cluster
from tests.support.until import until

pytestmark = pytest.mark.anyio

SENDERS = 4


@pytest.fixture(scope="module")
def server() -> Iterator[Cluster]:
    with cluster() as server:
        yield server


@asynccontextmanager
async def serving(server: Cluster, folder: Path) -> AsyncIterator[tuple[MediaGate, httpx.AsyncClient]]:
    """Run a gate with a worker on this database, and a client of it."""
    settings = Settings(
        data_dir=folder,
        database_url=SecretStr(server.url),
        migrate=True,
        image_processes=1,
        lease_s=stretched(4),
        janitor_interval_s=0.5,
    )
    gate = MediaGate(sources={"avatar": Source()}, settings=settings, moderation="off")
    gate.decorate(STORAGE, MemoryStorage())
    app = Starlette(routes=[Mount("/m", gate)])
    async with gate, httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://test/m") as client:
        yield gate, client


@dataclass(frozen=True)
class Load:
    """Uploads to a gate whose database server was killed and restarted twice meanwhile."""

    accepted: list[str]
    """Ids of the jobs."""
    refused: list[httpx.Response]
    statuses: set[int]
    """Of the answers to status requests."""
    ends: list[JobStatus]
    """Of the accepted jobs."""
    worker_alive: bool
    attempts: dict[str, int]
    """By job on record."""
    media: Counter[str]
    """Media on record by job."""


@pytest.fixture(scope="module")
def load(server: Cluster, tmp_path_factory: pytest.TempPathFactory, photo: bytes) -> Load:
    return asyncio.run(kill_under_load(server, tmp_path_factory.mktemp("load"), photo))


async def kill_under_load(server: Cluster, folder: Path, photo: bytes) -> Load:
    accepted: list[str] = []
    refused: list[httpx.Response] = []
    statuses: set[int] = set()
    stop = asyncio.Event()
    async with serving(server, folder) as (gate, client):

        async def send() -> None:
            while not stop.is_set():
                answer = await client.post(
                    "/upload", data={"sourceType": "avatar", "sourceId": "u1"}, files={"file": ("a.jpg", photo)}
                )
                if answer.status_code == 202:
                    accepted.append(answer.json()["jobId"])
                else:
                    refused.append(answer)
                status = await client.get(f"/status/{accepted[-1] if accepted else 'job_none'}")
                statuses.add(status.status_code)
                await asyncio.sleep(0.05)

        senders = [asyncio.create_task(send()) for _ in range(SENDERS)]
        for _ in range(2):
            await until_longer(accepted, 8)
            await asyncio.to_thread(server.kill)
            await until_longer(refused, SENDERS)
            await asyncio.to_thread(server.start)
        await until_longer(accepted, 8)
        stop.set()
        await asyncio.gather(*senders)
        ends = [(await gate.wait(job_id, timeout_s=90)).status for job_id in accepted]
        alive = gate.runtime.worker.alive
        attempts, media = await rows_of(server.url)
    return Load(accepted, refused, statuses, ends, alive, attempts, media)


async def until_longer(growing: list[Any], by: int) -> None:
    wanted = len(growing) + by
    await until(lambda: len(growing) >= wanted, timeout_s=60)


async def rows_of(url: str) -> tuple[dict[str, int], Counter[str]]:
    """Return the attempts of each job and the number of media of each, and leave the database empty."""
    connection = await asyncpg.connect(url)
    try:
        jobs = await connection.fetch("SELECT id, attempts FROM mediagate_job")
        media = await connection.fetch('SELECT "jobId" FROM mediagate_media')
        await connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    finally:
        await connection.close()
    return {row["id"]: row["attempts"] for row in jobs}, Counter(row["jobId"] for row in media)


def test_upload_during_a_server_outage_is_refused_503_with_retry_after(load: Load) -> None:
    for answer in load.refused:
        assert (answer.status_code, answer.json()["code"]) == (503, "records_unavailable"), answer.text
        assert int(answer.headers["Retry-After"]) >= 1


def test_status_during_a_server_outage_is_answered_or_503(load: Load) -> None:
    assert load.statuses <= {200, 202, 404, 503}


def test_accepted_jobs_all_complete_after_server_outages(load: Load) -> None:
    assert len(set(load.accepted)) == len(load.accepted)
    assert set(load.ends) == {JobStatus.COMPLETE}
    assert set(load.accepted) <= set(load.attempts)


def test_accepted_jobs_have_one_media_each_after_server_outages(load: Load) -> None:
    assert all(load.media[job_id] == 1 for job_id in load.accepted)


def test_worker_survives_server_outages(load: Load) -> None:
    assert load.worker_alive


def test_server_outage_repeats_only_jobs_that_were_being_claimed(load: Load) -> None:
    # The answer to a claim can be lost, so each outage may repeat the jobs that were being claimed.
    again = [job_id for job_id, attempts in load.attempts.items() if attempts > 1]
    assert len(again) <= 2 * 2, f"{len(again)} of {len(load.attempts)} jobs were begun more than once"


async def test_idempotent_queries_survive_a_short_server_outage(
    server: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mediagate.records.queries.RETRY_FOR_S", 60.0)
    records = PrismaRecords(server.url, migrate=True)
    await records.open()
    try:
        now = await records.now()
        job = a_job(now)
        await records.create_job(job)
        assert await records.claim(job.id, owner="w", now=now, lease_until=now + LEASE)
        await asyncio.to_thread(server.kill)
        repeated = asyncio.gather(
            get_state(records, job.id),
            records.get_jobs([job.id]),
            records.advance(job.id, owner="w", lease_until=now + LEASE),
            records.mark_notified(job.id, ended_at=None, now=now),
        )
        with pytest.raises(RecordsUnavailable):
            await records.create_job(a_job(now))
        with pytest.raises(RecordsUnavailable):
            await records.claim_oldest(owner="w", now=now, lease_until=now + LEASE, limit=1)
        assert not repeated.done()
        await asyncio.to_thread(server.start)
        async with asyncio.timeout(30):
            state, jobs, advanced, _ = await repeated
        assert state is not None and jobs[job.id].status is JobStatus.PROCESSING and advanced
    finally:
        await records.close()


async def test_frozen_server_is_reported_as_unavailable(server: Cluster) -> None:
    records = PrismaRecords(f"{server.url}?connect_timeout=1&socket_timeout=1", migrate=True)
    await records.open()
    try:
        now = await records.now()
        job = a_job(now)
        await records.create_job(job)
        with server.stopped():
            began = time.monotonic()
            answers = await asyncio.gather(
                *(get_state(records, job.id) for _ in range(20)),
                *(records.create_job(a_job(now), key=f"k{n}", key_expires_at=now + LEASE) for n in range(10)),
                records.claim_oldest(owner="w", now=now, lease_until=now + LEASE, limit=5),
                records.check(),
                return_exceptions=True,
            )
            assert {type(answer) for answer in answers} == {RecordsUnavailable}
            assert time.monotonic() - began < RETRY_FOR_S + 15
            assert await records.now() >= now, "the clock continues without the server"
        async with asyncio.timeout(30):
            # Connections with late answers are closed, so no query receives the answer of another.
            for _ in range(20):
                state = await get_state(records, job.id)
                assert state is not None and state.job.id == job.id
                assert (await records.get_jobs([job.id]))[job.id].status is state.job.status
    finally:
        await records.close()


async def test_frozen_engine_is_replaced(server: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mediagate.records.engine.ANSWER_S", 1.0)
    records = PrismaRecords(server.url, migrate=True)
    await records.open()
    try:
        now = await records.now()
        engine = records.client._engine
        assert isinstance(engine, SocketEngine) and engine.process is not None
        stopped = engine.process.pid
        os.kill(stopped, signal.SIGSTOP)
        try:
            async with asyncio.timeout(60):
                with pytest.raises(RecordsUnavailable):
                    await records.create_job(a_job(now))
                assert "pending job" in await records.check()
        finally:
            with suppress(ProcessLookupError):
                os.kill(stopped, signal.SIGCONT)
        assert engine.process is not None and engine.process.pid != stopped
    finally:
        await records.close()


async def test_settlement_with_a_lost_answer_runs_its_hooks_once(
    server: Cluster, tmp_path: Path, photo: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    async def on_complete(state: JobState) -> None:
        told.append(state.job.id)

    settle = PrismaRecords.settle
    lost = 0

    async def settles_unheard(self: PrismaRecords, *args: Any, **options: Any) -> bool:
        nonlocal lost
        done = await settle(self, *args, **options)
        if lost < 2:
            lost += 1
            raise RecordsUnavailable("the answer was lost")
        return done

    monkeypatch.setattr(PrismaRecords, "settle", settles_unheard)
    settings = Settings(data_dir=tmp_path, database_url=SecretStr(server.url), migrate=True, image_processes=1)
    gate = MediaGate(sources={"avatar": Source()}, settings=settings, moderation="off")
    gate.decorate(STORAGE, MemoryStorage())
    gate.add_hook("on_complete", on_complete)
    async with gate:
        job_id = (await gate.upload(photo, source_type="avatar", source_id="u1")).job_id
        done = await gate.wait(job_id, timeout_s=60)
        assert (done.status, done.job.attempts) == (JobStatus.COMPLETE, 1)
        async with asyncio.timeout(30):
            job = await get_job(gate.parts.records, job_id)
            while job is None or job.notified_at is None:
                await asyncio.sleep(0.05)
                job = await get_job(gate.parts.records, job_id)
    assert (told, lost) == ([job_id], 2)


@pytest.mark.parametrize("done", [True, False])
async def test_direct_upload_with_a_lost_completion_keeps_its_file(
    server: Cluster, tmp_path: Path, photo: bytes, monkeypatch: pytest.MonkeyPatch, done: bool
) -> None:
    request, lost = SocketEngine.request, 0

    async def once_unheard(self: SocketEngine, *args: Any, **options: Any) -> Any:
        nonlocal lost
        if "updateOneMediagateUpload" in str(options.get("content")) and not lost:
            lost += 1
            if done:
                await request(self, *args, **options)
            raise EngineConnectionError("the answer was lost")
        return await request(self, *args, **options)

    settings = Settings(data_dir=tmp_path, database_url=SecretStr(server.url), migrate=True, image_processes=1)
    gate = MediaGate(sources={"avatar": Source()}, settings=settings, moderation="off")
    gate.decorate(STORAGE, MemoryStorage())
    async with gate:
        target = await gate.create_upload(
            source_type="avatar", source_id="u1", content_type="image/jpeg", size=len(photo)
        )
        await gate.parts.storage.put(f"staging/{target.upload_id}", photo)
        monkeypatch.setattr(SocketEngine, "request", once_unheard)
        with pytest.raises(RecordsUnavailable):
            await gate.complete_upload(target.upload_id)
        assert lost == 1
        status = await gate.complete_upload(target.upload_id)
        assert (await gate.wait(status.job_id, timeout_s=60)).status is JobStatus.COMPLETE
