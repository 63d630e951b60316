"""Database cost of status requests: none for finished jobs, one query per tick for all waiting requests."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from mediagate import RECORDS, STORAGE, Job, MediaGate, Settings, Source
from mediagate.errors import ModerationFailed, RecordsUnavailable
from mediagate.jobs.watch import TICK_S
from mediagate.records import MemoryRecords, PrismaRecords, Records, Settlement
from mediagate.records.client.engine._query import AsyncQueryEngine
from mediagate.storage import MemoryStorage
from mediagate.testing.record_samples import LEASE, a_job, a_media, claimed_job, published_media, waiting_job
from mediagate.values import JobState, JobStatus, Stage, utcnow
from tests.support.forked import SHARED
from tests.support.load import stretched

pytestmark = pytest.mark.anyio


class CountingRecords(MemoryRecords):
    """Records that count queries about jobs, answer them slowly, and can be unavailable."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: Counter[str] = Counter()
        self.down = False

    async def _ask(self, what: str) -> None:
        self.asked[what] += 1
        await anyio.sleep(0.01)
        if self.down:
            raise RecordsUnavailable("down")

    async def changed(self, known: Mapping[str, tuple[JobStatus, Stage] | None]) -> Mapping[str, JobState]:
        await self._ask("changed")
        return await super().changed(known)

    async def oldest_waiting(self) -> datetime | None:
        await self._ask("oldest_waiting")
        return await super().oldest_waiting()

    def lose(self, job_id: str) -> None:
        """Remove a row behind the gate's back."""
        del self._jobs[job_id]


@asynccontextmanager
async def serving(
    tmp_path: Path, records: Records, **settings: Any
) -> AsyncIterator[tuple[MediaGate, httpx.AsyncClient]]:
    gate = MediaGate(
        sources={"avatar": Source()},
        settings=Settings(data_dir=tmp_path, **{"worker": False, "image_processes": 1, **settings}),
        moderation="off",
    )
    gate.fork_server = SHARED
    gate.decorate(RECORDS, records)
    gate.decorate(STORAGE, MemoryStorage())
    transport = httpx.ASGITransport(app=gate, raise_app_exceptions=True)
    async with gate, httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield gate, client


async def settle_elsewhere(records: Records, job: Job, status: JobStatus = JobStatus.COMPLETE) -> None:
    """End a job as another process would."""
    now = utcnow()
    assert await records.claim(job.id, owner="other", now=now, lease_until=now + LEASE)
    media = a_media(job) if status is JobStatus.COMPLETE else None
    assert await records.settle(job, owner="other", now=now, settlement=Settlement(status, media, retryable=True))


async def get_all(client: httpx.AsyncClient, paths: list[str], **headers: str) -> list[httpx.Response]:
    """Request all paths concurrently."""
    answers: dict[str, httpx.Response] = {}

    async def get(path: str) -> None:
        answers[path] = await client.get(path, headers=headers)

    async with anyio.create_task_group() as tasks:
        for path in paths:
            tasks.start_soon(get, path)
    return [answers[path] for path in paths]


# -- finished jobs


async def test_finished_job_is_queried_once(tmp_path: Path) -> None:
    records = CountingRecords()
    async with serving(tmp_path, records) as (_, client):
        media = await published_media(records, utcnow())
        path = f"/status/{media.job_id}"
        first = await client.get(path)
        assert (first.status_code, first.json()["media"]["id"]) == (200, media.id)
        for asked in (path, f"{path}?http=200", f"{path}?wait=20"):
            again = await client.get(asked)
            assert (again.status_code, again.json()) == (200, first.json())
        unchanged = await client.get(path, headers={"If-None-Match": first.headers["ETag"]})
        assert (unchanged.status_code, unchanged.content) == (304, b"")
        assert records.asked == {"changed": 1}


async def test_deletion_by_this_process_shows_at_once(tmp_path: Path) -> None:
    records = CountingRecords()
    async with serving(tmp_path, records) as (_, client):
        media = await published_media(records, utcnow())
        assert (await client.get(f"/status/{media.job_id}")).status_code == 200
        assert (await client.delete(f"/media/{media.id}")).status_code == 204
        gone = await client.get(f"/status/{media.job_id}")
        assert (gone.status_code, gone.json()["code"]) == (410, "media_deleted")


async def test_read_in_progress_during_a_delete_is_not_cached(tmp_path: Path) -> None:
    class SlowToAnswer(CountingRecords):
        async def changed(self, known: Mapping[str, tuple[JobStatus, Stage] | None]) -> Mapping[str, JobState]:
            states = await super().changed(known)
            await anyio.sleep(0.2)
            return states

    records = SlowToAnswer()
    async with serving(tmp_path, records) as (gate, client), anyio.create_task_group() as tasks:
        media = await published_media(records, utcnow())
        tasks.start_soon(client.get, f"/status/{media.job_id}")
        await anyio.sleep(0.1)
        await gate.delete_media(media.id)
        await anyio.sleep(0.3)
        assert (await client.get(f"/status/{media.job_id}")).status_code == 410


async def test_change_by_another_process_shows_after_the_age_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mediagate.jobs.recent.MAX_AGE_S", 0.5)
    records = CountingRecords()
    async with serving(tmp_path, records) as (_, client):
        media, failed = await published_media(records, utcnow()), await waiting_job(records, utcnow())
        await settle_elsewhere(records, failed, JobStatus.FAILED)
        paths = [f"/status/{media.job_id}", f"/status/{failed.id}"]
        assert [answer.status_code for answer in await get_all(client, paths)] == [200, 500]
        await records.delete_media(media.id)
        await records.requeue(failed.id, now=utcnow())
        await anyio.sleep(0.6)
        assert [answer.status_code for answer in await get_all(client, paths)] == [410, 202]


async def test_retry_shows_at_once(tmp_path: Path) -> None:
    records = CountingRecords()
    async with serving(tmp_path, records) as (gate, client):
        job = await waiting_job(records, utcnow())
        await gate.parts.storage.put(job.staging_key, b"kept")
        await settle_elsewhere(records, job, JobStatus.FAILED)
        assert (await client.get(f"/status/{job.id}")).status_code == 500
        await gate.retry(job.id)
        assert (await client.get(f"/status/{job.id}")).status_code == 202


async def test_cache_of_finished_jobs_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mediagate.jobs.recent.LIMIT", 2)
    records = CountingRecords()
    async with serving(tmp_path, records) as (_, client):
        ids = [(await published_media(records, utcnow())).job_id for _ in range(3)]
        for job_id in (ids[0], ids[1], ids[0], ids[2]):  # the second is the least recently used when the third comes
            await client.get(f"/status/{job_id}")
        assert records.asked["changed"] == 3
        await client.get(f"/status/{ids[0]}")
        assert records.asked["changed"] == 3
        await client.get(f"/status/{ids[1]}")
        assert records.asked["changed"] == 4


async def test_status_of_a_live_job_costs_one_query(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    queries: list[str] = []
    query = AsyncQueryEngine.query

    async def counted(engine: AsyncQueryEngine, content: str, *, tx_id: Any) -> Any:
        queries.append(content)
        return await query(engine, content, tx_id=tx_id)

    monkeypatch.setattr(AsyncQueryEngine, "query", counted)
    records = PrismaRecords(f"file:{tmp_path / 'records.db'}", migrate=True)
    async with serving(tmp_path, records) as (_, client):
        working = await claimed_job(records, utcnow())
        # The first one in 10 s also looks at jobs that were completed of late.
        assert (await client.get(f"/status/{working.id}")).status_code == 202
        queries.clear()
        assert (await client.get(f"/status/{working.id}")).status_code == 202
        assert len(queries) == 1
        assert "media {" not in queries[0], "a relation costs another SELECT"


# -- waiting


@pytest.mark.slow
async def test_waiting_requests_share_one_query_per_tick(tmp_path: Path) -> None:
    records = CountingRecords()
    async with serving(tmp_path, records) as (_, client):
        jobs = [await waiting_job(records, utcnow()) for _ in range(100)]
        records.asked.clear()
        began = time.monotonic()
        wait_s = stretched(1.5)  # a request that times out before the first query reads its job itself
        for _ in range(2):  # each waits again after its timeout
            answers = await get_all(client, [f"/status/{job.id}?wait={wait_s}" for job in jobs])
            assert {answer.status_code for answer in answers} == {202}
        spent = time.monotonic() - began
        assert 2 <= records.asked["changed"] <= spent / TICK_S + 1
        assert records.asked.total() <= 2 * spent


@pytest.mark.parametrize("headers", [{}, {"Accept": "text/event-stream"}])
async def test_job_finished_by_another_process_answers_all_waiting_requests(
    tmp_path: Path, headers: dict[str, str]
) -> None:
    records = CountingRecords()
    async with serving(tmp_path, records) as (_, client):
        jobs = [await waiting_job(records, utcnow()) for _ in range(30)]
        answers: list[httpx.Response] = []

        async def ask() -> None:
            answers.extend(await get_all(client, [f"/status/{job.id}?wait=30" for job in jobs], **headers))

        with anyio.fail_after(15):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(ask)
                await anyio.sleep(1)
                for job in jobs:
                    await settle_elsewhere(records, job)
        assert {answer.status_code for answer in answers} == {200}
        assert all('"status":"COMPLETE"' in answer.text for answer in answers)
        assert records.asked["changed"] <= 6


async def test_job_changed_by_this_process_is_reported_without_tick_or_query(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mediagate.jobs.watch.TICK_S", 60.0)
    records = CountingRecords()
    async with serving(tmp_path, records) as (gate, client):
        jobs = [await waiting_job(records, utcnow()) for _ in range(30)]
        answers: list[httpx.Response] = []

        async def ask() -> None:
            answers.extend(await get_all(client, [f"/status/{job.id}?wait=30" for job in jobs]))

        with anyio.fail_after(10):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(ask)
                await anyio.sleep(0.3)
                async with anyio.create_task_group() as cancelling:
                    for job in jobs:
                        cancelling.start_soon(gate.cancel, job.id)
        assert {answer.status_code for answer in answers} == {410}
        # One query by the first to wait, and one by the end hooks of each job.
        assert records.asked["changed"] == 1 + len(jobs)


@pytest.mark.slow
async def test_second_attempt_in_this_process_is_reported_before_the_tick(
    tmp_path: Path, photo: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mediagate.jobs.watch.TICK_S", 60.0)
    attempts: list[Job] = []

    async def fails_first(job: Job) -> None:
        attempts.append(job)
        if len(attempts) == 1:
            await anyio.sleep(1)  # until the stream has begun
            raise ModerationFailed("not today")

    async with serving(tmp_path, CountingRecords(), worker=True, retry_backoff_s=0.5) as (gate, client):
        gate.parts.hooks.add("pre_process", fails_first)
        job_id = (await gate.upload(photo, source_type="avatar", source_id="u1")).job_id
        with anyio.fail_after(20):
            answer = await client.get(f"/status/{job_id}", headers={"Accept": "text/event-stream"})
        assert '"status":"PENDING","stage":"queued","progress":0,"pollAfterMs":1000,"lastError"' in answer.text
        assert '"status":"COMPLETE"' in answer.text


@pytest.mark.slow
async def test_first_wait_after_a_pause_is_answered_before_the_tick(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mediagate.jobs.watch.TICK_S", 2.0)
    records = CountingRecords()
    async with serving(tmp_path, records) as (_, client):
        waiting = await waiting_job(records, utcnow())
        for _ in range(2):
            media = await published_media(records, utcnow())
            began = time.monotonic()
            assert (await client.get(f"/status/{media.job_id}?wait=30")).status_code == 200
            assert time.monotonic() - began < 1.5
            await anyio.sleep(2.1)
            await client.get(f"/status/{waiting.id}?wait=0.1")
            await anyio.sleep(2.1)
        assert records.asked["changed"] == 4


async def test_wait_for_unknown_jobs_is_404_and_disturbs_no_other(tmp_path: Path, postgres_url: str) -> None:
    records = PrismaRecords(postgres_url, migrate=True)
    async with serving(tmp_path, records) as (_, client):
        job = await waiting_job(records, utcnow())
        strangers = ["job_nothing", "a%00b", "%ff", "x" * 3000, "%F0%9F%90%88"]
        with anyio.fail_after(15):
            *unknown, known = await get_all(client, [f"/status/{i}?wait=4" for i in (*strangers, job.id)])
            unknown += await get_all(client, [f"/status/{i}" for i in strangers])
        assert {(answer.status_code, answer.json()["code"]) for answer in unknown} == {(404, "job_not_found")}
        assert known.status_code == 202


@pytest.mark.slow
async def test_wait_ends_with_404_when_the_row_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mediagate.jobs.watch.MAX_AGE_S", 1.0)
    records = CountingRecords()
    async with serving(tmp_path, records) as (_, client):
        job = await waiting_job(records, utcnow())
        with anyio.fail_after(15):
            async with anyio.create_task_group() as tasks:

                async def ask() -> None:
                    assert (await client.get(f"/status/{job.id}?wait=30")).status_code == 404

                tasks.start_soon(ask)
                await anyio.sleep(0.3)
                records.lose(job.id)


async def test_wait_ends_with_media_deleted_when_the_media_is_deleted(tmp_path: Path) -> None:
    records = CountingRecords()
    async with serving(tmp_path, records) as (_, client):
        job = await waiting_job(records, utcnow())
        with anyio.fail_after(15):
            async with anyio.create_task_group() as tasks:

                async def ask() -> None:
                    assert (await client.get(f"/status/{job.id}?wait=30")).json()["code"] == "media_deleted"

                tasks.start_soon(ask)
                await anyio.sleep(0.3)
                await settle_elsewhere(records, job)
                await records.delete_media(job.media_id)


@pytest.mark.slow
async def test_wait_reports_the_last_state_while_records_are_unavailable(tmp_path: Path) -> None:
    records = CountingRecords()
    async with serving(tmp_path, records) as (_, client), anyio.create_task_group() as tasks:
        known, new = await waiting_job(records, utcnow()), await waiting_job(records, utcnow())

        async def ask() -> None:
            answer = await client.get(f"/status/{known.id}?wait=3")
            assert (answer.status_code, answer.json()["status"]) == (202, "PENDING"), "its last state is known"

        tasks.start_soon(ask)
        await anyio.sleep(0.3)
        records.down = True
        with anyio.fail_after(10):
            assert (await client.get(f"/status/{new.id}?wait=30")).status_code == 503
        await anyio.sleep(1)


async def test_gate_closing_ends_all_waits(tmp_path: Path) -> None:
    records = CountingRecords()
    async with serving(tmp_path, records) as (gate, client):
        jobs = [await waiting_job(records, utcnow()) for _ in range(3)]
        with anyio.fail_after(10):
            async with anyio.create_task_group() as tasks:

                async def ask() -> None:
                    answers = await get_all(client, [f"/status/{job.id}?wait=60" for job in jobs])
                    assert {answer.status_code for answer in answers} == {202}

                tasks.start_soon(ask)
                await anyio.sleep(1)
                gate.begin_closing()


# -- pollAfterMs


def after_ms(answer: httpx.Response) -> int:
    pause: int = answer.json()["pollAfterMs"]
    assert int(answer.headers["Retry-After"]) == -(-pause // 1000)
    return pause


async def test_poll_after_follows_the_position_in_the_queue(tmp_path: Path, photo: bytes) -> None:
    records = CountingRecords()
    async with serving(tmp_path, records, poll_after_ms=500) as (_, client):
        now = utcnow()
        jobs = [a_job(now - timedelta(seconds=s), available_at=now - timedelta(seconds=s)) for s in (20, 15, 0)]
        for job in jobs:
            await records.create_job(job)
        working = await claimed_job(records, now - timedelta(seconds=60))
        pauses = [after_ms(await client.get(f"/status/{job.id}")) for job in (*jobs, working)]
        assert pauses[0] == pauses[3] == 500, "the oldest is next, and a running job is nearly done"
        assert pauses[1] == pytest.approx(5_000, abs=1_500)
        assert pauses[2] == pytest.approx(20_000, abs=1_500)
        sent = await client.post(
            "/upload", data={"sourceType": "avatar", "sourceId": "u1"}, files={"file": ("a.jpg", photo)}
        )
        assert after_ms(sent) == pytest.approx(20_000, abs=3_500)


async def test_poll_after_is_at_most_30_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mediagate.intake.backlog.MEASURE_EVERY_S", 0.0)
    records = CountingRecords()
    async with serving(tmp_path, records) as (_, client):
        old, new = a_job(utcnow() - timedelta(hours=1)), a_job(utcnow())
        for job in (old, new):
            await records.create_job(job)
        assert after_ms(await client.get(f"/status/{new.id}")) == 30_000
        await records.cancel(old.id, now=utcnow())
        assert after_ms(await client.get(f"/status/{new.id}")) == 1_000


async def test_backlog_is_measured_rarely_and_only_on_request(tmp_path: Path) -> None:
    records = CountingRecords()
    async with serving(tmp_path, records) as (_, client):
        job = await waiting_job(records, utcnow())
        assert records.asked["oldest_waiting"] == 0
        began = time.monotonic()
        for _ in range(4):
            await get_all(client, [f"/status/{job.id}?n={n}" for n in range(20)])
        assert 1 <= records.asked["oldest_waiting"] <= 1 + (time.monotonic() - began) / 2


async def test_poll_after_has_a_default_when_the_backlog_is_unknown(tmp_path: Path) -> None:
    class Unmeasured(CountingRecords):
        async def oldest_waiting(self) -> datetime | None:
            raise RecordsUnavailable("down")

    records = Unmeasured()
    async with serving(tmp_path, records) as (_, client):
        job = await waiting_job(records, utcnow())
        assert after_ms(await client.get(f"/status/{job.id}")) == 1_000
