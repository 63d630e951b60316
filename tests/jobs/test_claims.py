"""A worker on records in memory: which jobs it claims, how many at once, and what it leaves when it stops."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from mediagate import Job, JobStatus, Settings
from mediagate.errors import ProcessingRefused, RecordsUnavailable, ShuttingDown
from mediagate.jobs import Watch, Worker
from mediagate.observe import Observer
from mediagate.parts import Parts
from mediagate.queue import Dispatcher
from mediagate.records import get_job
from mediagate.testing.record_samples import a_job
from tests.support.bare_parts import NOW, SetRecords, bare_parts
from tests.support.until import until

pytestmark = pytest.mark.anyio

POLL_S = 0.05


class Broker:
    """A queue whose ids a test sends, and which notes those that are done with."""

    poll_s = POLL_S

    def __init__(self) -> None:
        self.ids: asyncio.Queue[str] = asyncio.Queue()
        self.finished: list[str] = []
        self.broken = False

    async def dispatch(self, job_id: str) -> None:
        await self.ids.put(job_id)

    async def take(self) -> str:
        if self.broken:
            raise ConnectionError("no broker")
        return await self.ids.get()

    async def done(self, job_id: str) -> None:
        self.finished.append(job_id)


class Claims(SetRecords):
    """Records that note how many jobs each query asked for, and can fail."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[int] = []
        self.owners: set[str] = set()
        self.error: Exception | None = None

    async def claim_oldest(self, *, owner: str, limit: int, **how: Any) -> Sequence[Job]:
        self.asked.append(limit)
        self.owners.add(owner)
        if self.error is not None:
            raise self.error
        return await super().claim_oldest(owner=owner, limit=limit, **how)


class Bench:
    """A worker whose attempts a test lets end: each is refused by a hook, so that no image process is needed."""

    def __init__(self, *, concurrency: int = 2, poll_s: float = POLL_S, **settings: Any) -> None:
        self.broker, self.records = Broker(), Claims()
        self.broker.poll_s = poll_s
        self.parts: Parts = bare_parts(
            queue=Dispatcher(self.broker), records=self.records, settings=Settings(retry_backoff_s=0, **settings)
        )
        self.worker = Worker(self.parts, Watch(self.records, Observer()), concurrency=concurrency)
        self.running: list[str] = []
        self.most = 0
        self.begun: list[str] = []
        self.go = asyncio.Event()
        self.parts.hooks.add("pre_process", self._attempt)

    async def _attempt(self, job: Job) -> None:
        self.begun.append(job.id)
        self.running.append(job.id)
        self.most = max(self.most, len(self.running))
        try:
            await self.go.wait()
        finally:
            self.running.remove(job.id)
        raise ProcessingRefused("done")

    async def job(self, **changes: Any) -> Job:
        """Return a job that waits, with a quarantined file."""
        job = a_job(NOW, **changes)
        await self.parts.storage.put(job.staging_key, b"picture")
        await self.records.create_job(job)
        return job

    async def found(self, job: Job) -> Job:
        found = await get_job(self.records, job.id)
        assert found is not None
        return found

    @asynccontextmanager
    async def started(self, drain_s: float = 5) -> AsyncIterator[Worker]:
        self.worker.start()
        try:
            yield self.worker
        finally:
            await self.worker.stop(drain_s=drain_s)


async def ended(bench: Bench, jobs: Sequence[Job]) -> None:
    """Wait until all of these jobs have ended."""

    async def have_ended() -> bool:
        return all([(await bench.found(job)).status.terminal for job in jobs])

    await until(have_ended)


async def test_worker_takes_the_jobs_that_wait_in_their_turns() -> None:
    bench = Bench(concurrency=1)
    bench.go.set()
    # Of one owner each, for whom no turns are kept back.
    jobs = [await bench.job(owner_id=f"owner{n}") for n in range(4)]
    async with bench.started():
        await ended(bench, jobs)
    assert bench.begun == [job.id for job in jobs]
    assert bench.most == 1
    assert (await bench.found(jobs[0])).attempts == 1


async def test_worker_has_as_many_jobs_in_hand_as_it_has_slots() -> None:
    bench = Bench(concurrency=3)
    jobs = [await bench.job() for _ in range(5)]
    async with bench.started():
        await until(lambda: len(bench.running) == 3)
        await asyncio.sleep(3 * POLL_S)
        assert (len(bench.running), bench.records.asked) == (3, [3])
        bench.go.set()
        await ended(bench, jobs)
    assert bench.most == 3


async def test_worker_polls_for_as_many_as_it_has_room() -> None:
    bench = Bench(concurrency=3)
    await bench.job()
    async with bench.started():
        await until(lambda: len(bench.records.asked) >= 3)
        bench.go.set()
    assert bench.records.asked[:3] == [3, 2, 2]


async def test_worker_works_a_backlog_off_without_a_pause() -> None:
    bench = Bench(concurrency=2, poll_s=60)
    bench.go.set()
    jobs = [await bench.job() for _ in range(9)]
    async with bench.started():
        await ended(bench, jobs)


async def test_worker_pauses_when_nothing_waits() -> None:
    bench = Bench(concurrency=2, poll_s=0.1)
    async with bench.started():
        await asyncio.sleep(0.5)
    assert 3 <= len(bench.records.asked) <= 11


async def test_worker_takes_a_job_that_the_queue_brings_at_once() -> None:
    bench = Bench(poll_s=60)
    bench.go.set()
    async with bench.started():
        await until(lambda: bench.records.asked)
        job = await bench.job()
        await bench.broker.dispatch(job.id)
        await ended(bench, [job])
        await until(lambda: bench.broker.finished)
    assert bench.broker.finished == [job.id]
    assert bench.records.asked[1] == 1


async def test_worker_keeps_an_id_of_the_queue_until_its_attempt_has_ended() -> None:
    bench = Bench(poll_s=60)
    async with bench.started():
        await until(lambda: bench.records.asked)
        job = await bench.job()
        await bench.broker.dispatch(job.id)
        await until(lambda: bench.running)
        assert bench.broker.finished == []
        bench.go.set()
        await until(lambda: bench.broker.finished)


async def test_worker_is_done_at_once_with_an_id_for_which_no_job_waits() -> None:
    bench = Bench(concurrency=1, poll_s=60)
    async with bench.started():
        await until(lambda: bench.records.asked)
        for number in range(3):
            await bench.broker.dispatch(f"job_{number}")
        await until(lambda: len(bench.broker.finished) == 3)
    assert bench.broker.finished == ["job_0", "job_1", "job_2"]


@pytest.mark.slow
async def test_worker_goes_on_with_the_records_while_the_queue_fails(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench(poll_s=60)
    bench.broker.broken = True
    bench.go.set()
    async with bench.started():
        await until(lambda: bench.records.asked)
        job = await bench.job()
        # Within one and a half seconds, though the queue says that it brings every job.
        await ended(bench, [job])
        bench.broker.broken = False
        await bench.broker.dispatch("job_later")
        await until(lambda: bench.broker.finished == ["job_later"])
        assert bench.worker.alive
    assert "queue unavailable (ConnectionError); polling the records instead" in caplog.text


@pytest.mark.parametrize(("error", "bug"), [(RecordsUnavailable("down"), False), (RuntimeError("a bug"), True)])
async def test_worker_goes_on_after_the_records_failed(
    error: Exception, bug: bool, caplog: pytest.LogCaptureFixture
) -> None:
    bench = Bench(concurrency=2)
    bench.go.set()
    bench.records.error = error
    jobs = [await bench.job() for _ in range(3)]
    async with bench.started():
        await until(lambda: len(bench.records.asked) >= 3)
        bench.records.error = None
        await ended(bench, jobs)
    assert bench.records.asked[:3] == [2, 2, 2]
    (first, *_) = [record for record in caplog.records if "could not claim jobs" in record.getMessage()]
    assert bool(first.exc_info) is bug


async def test_worker_claims_under_one_name_of_its_own_for_the_length_of_a_lease() -> None:
    bench, other = Bench(lease_s=77), Bench()
    job = await bench.job()
    async with bench.started(), other.started():
        await until(lambda: bench.running and other.records.owners)
        held = await bench.found(job)
        assert held.lease_until == NOW + timedelta(seconds=77)
        assert {held.lease_owner} == bench.records.owners
        assert not bench.records.owners & other.records.owners
        bench.go.set()
        other.go.set()


async def test_worker_is_alive_between_its_start_and_its_stop() -> None:
    bench = Bench()
    assert not bench.worker.alive
    async with bench.started():
        assert bench.worker.alive
    assert not bench.worker.alive


async def test_worker_stops_when_it_has_not_started_and_when_it_has_stopped() -> None:
    bench = Bench()
    await bench.worker.stop(drain_s=1)
    async with bench.started():
        pass
    await bench.worker.stop(drain_s=1)


async def test_worker_waits_for_its_attempts_when_it_stops() -> None:
    bench = Bench()
    job = await bench.job()
    waiting = await bench.job()
    bench.worker.start()
    await until(lambda: len(bench.running) == 2)
    late = await bench.job()
    stopping = asyncio.create_task(bench.worker.stop(drain_s=5))
    await asyncio.sleep(0.05)
    assert not stopping.done()
    bench.go.set()
    await stopping
    for one in (job, waiting):
        assert (await bench.found(one)).status is JobStatus.REJECTED
    assert (await bench.found(late)).status is JobStatus.PENDING


async def test_worker_gives_back_uncounted_what_does_not_end_in_time() -> None:
    bench = Bench()
    job = await bench.job()
    bench.worker.start()
    await until(lambda: bench.running)
    await asyncio.wait_for(bench.worker.stop(drain_s=0.05), 2)
    released = await bench.found(job)
    assert (released.status, released.attempts, bench.running) == (JobStatus.PENDING, 0, [])


@pytest.mark.parametrize("code", [None, "image_timeout"])
async def test_worker_runs_a_suspect_when_nothing_else_runs(code: str | None) -> None:
    bench = Bench(concurrency=3)
    first = await bench.job()
    attempts = 1 if code else 2
    suspect = await bench.job(attempts=attempts, max_attempts=3, code=code, error="earlier")
    async with bench.started():
        await until(lambda: bench.running)
        later = await bench.job()
        await asyncio.sleep(4 * POLL_S)
        assert bench.running == [first.id]
        bench.go.set()
        await ended(bench, [first, suspect, later])
    assert bench.begun[:2] == [first.id, suspect.id]
    assert bench.most == 1
    assert (await bench.found(suspect)).attempts == attempts + 1


async def test_worker_runs_a_suspect_that_comes_later_when_the_others_have_ended() -> None:
    bench = Bench(concurrency=3)
    first = await bench.job()
    async with bench.started():
        await until(lambda: bench.running)
        suspect = await bench.job(attempts=2, max_attempts=3)
        await asyncio.sleep(4 * POLL_S)
        assert bench.running == [first.id]
        bench.go.set()
        await ended(bench, [first, suspect])
    assert bench.most == 1


async def test_worker_runs_a_suspect_beside_which_there_is_nothing() -> None:
    bench = Bench()
    bench.go.set()
    suspect = await bench.job(attempts=2, max_attempts=3)
    async with bench.started():
        await ended(bench, [suspect])


async def test_worker_claims_no_job_again_that_it_has_in_hand() -> None:
    bench = Bench(concurrency=3)
    job = await bench.job()
    async with bench.started():
        await until(lambda: bench.running)
        # Its lease ran out: the clock of the records was ahead of the heart.
        bench.records.time += timedelta(minutes=5)
        asked = len(bench.records.asked)
        await until(lambda: len(bench.records.asked) >= asked + 2)
        assert bench.begun == [job.id]
        assert (await bench.found(job)).attempts == 1
        bench.go.set()
        await ended(bench, [job])


async def test_worker_work_makes_one_attempt_at_a_job() -> None:
    bench = Bench(lease_s=55)
    job = await bench.job()
    working = asyncio.create_task(bench.worker.work(job.id))
    await until(lambda: bench.running)
    assert (await bench.found(job)).lease_until == NOW + timedelta(seconds=55)
    await bench.worker.work(job.id)
    await bench.worker.work("job_unknown")
    bench.go.set()
    await working
    assert ((await bench.found(job)).status, bench.begun) == (JobStatus.REJECTED, [job.id])


async def test_worker_attend_makes_the_attempt_whose_turn_it_is() -> None:
    bench = Bench(concurrency=1, poll_s=60)
    with pytest.raises(ShuttingDown):
        await bench.worker.attend()
    async with bench.started() as worker:
        await until(lambda: bench.records.asked)
        await asyncio.wait_for(worker.attend(), 1)
        job = await bench.job()
        attending = asyncio.create_task(worker.attend())
        await until(lambda: bench.running)
        assert not attending.done()
        bench.go.set()
        await asyncio.wait_for(attending, 2)
        assert (await bench.found(job)).status is JobStatus.REJECTED
        # Its slot is free again.
        await asyncio.wait_for(worker.attend(), 1)
    with pytest.raises(ShuttingDown):
        await bench.worker.attend()


async def test_worker_attend_begins_with_one_job_alone() -> None:
    bench = Bench(concurrency=3, poll_s=60)
    async with bench.started() as worker:
        await until(lambda: bench.records.asked)
        for _ in range(2):
            await bench.job()
        attending = asyncio.create_task(worker.attend())
        await until(lambda: bench.running)
        await asyncio.sleep(2 * POLL_S)
        assert len(bench.running) == 1
        bench.go.set()
        await attending


async def test_worker_polls_as_often_as_its_queue_says_once_that_has_brought_an_id() -> None:
    bench = Bench(poll_s=0.02)
    async with bench.started():
        await bench.broker.dispatch("job_unknown")
        await until(lambda: bench.broker.finished)
        asked = len(bench.records.asked)
        await until(lambda: len(bench.records.asked) >= asked + 10, timeout_s=2)


async def test_worker_frees_the_slot_of_an_attempt_that_breaks_off(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench(concurrency=1, poll_s=60)
    broken = await bench.job()

    async def breaks(*args: Any, **kwargs: Any) -> bool:
        raise RuntimeError("a bug")

    async with bench.started() as worker:
        await until(lambda: bench.running)
        with pytest.MonkeyPatch.context() as monkeypatch:
            monkeypatch.setattr(bench.records, "settle", breaks)
            bench.go.set()
            await until(lambda: "attempt aborted" in caplog.text)
        assert worker.alive
        later = await bench.job()
        await asyncio.wait_for(worker.attend(), 2)
        assert (await bench.found(later)).status is JobStatus.REJECTED
    assert (await bench.found(broken)).status is JobStatus.PROCESSING
