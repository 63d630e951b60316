"""Leases, attempts, outages and draining of the worker."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import anyio
import pytest

from mediagate import QUEUE, RECORDS, STORAGE, Job, JobState, JobStatus, MediaGate, Stage
from mediagate.errors import ProcessingRefused, RecordsUnavailable, StorageUnavailable
from mediagate.kernel import HookName
from mediagate.queue import CAPACITY, Dispatcher, InProcessQueue
from mediagate.records import MemoryRecords, get_job, get_state
from mediagate.storage import MemoryStorage
from mediagate.testing.record_samples import a_job
from mediagate.values import utcnow

pytestmark = pytest.mark.anyio

MakeGate = Callable[..., MediaGate]


async def upload(gate: MediaGate, photo: bytes) -> str:
    return (await gate.upload(photo, source_type="avatar", source_id="u1")).job_id


async def claim(gate: MediaGate, job_id: str, *, lease_s: float = 9) -> Job | None:
    now = utcnow()
    return await gate.parts.records.claim(job_id, owner="other", now=now, lease_until=now + timedelta(seconds=lease_s))


def hangs(gate: MediaGate) -> anyio.Event:
    """Make every job hang; the returned event is set when one does."""
    entered = anyio.Event()

    async def stuck(job: Job) -> None:
        entered.set()
        await anyio.sleep(60)

    gate.add_hook("pre_process", stuck)
    return entered


async def test_worker_runs_a_repeated_id_once(make_gate: MakeGate, photo: bytes) -> None:
    told: list[JobState] = []

    async def on_complete(state: JobState) -> None:
        told.append(state)

    gate = make_gate(worker=False)
    gate.add_hook("on_complete", on_complete)
    gate.use(worker=True)
    async with gate:
        job_id = await upload(gate, photo)
        for _ in range(3):
            await gate.parts.queue.dispatch(job_id)
        done = await gate.wait(job_id, timeout_s=30)
        await anyio.sleep(0.2)
        assert (done.status, done.job.attempts, len(told)) == (JobStatus.COMPLETE, 1, 1)


async def test_worker_finds_a_lost_id_in_the_records(
    make_gate: MakeGate, photo: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = make_gate()
    async with gate:

        async def lost(job_id: str) -> None: ...

        monkeypatch.setattr(gate.parts.queue, "dispatch", lost)
        job_id = await upload(gate, photo)
        assert (await gate.wait(job_id, timeout_s=30)).status is JobStatus.COMPLETE


@pytest.mark.parametrize("memory", [True, False])
async def test_hooks_receive_the_recorded_state(make_gate: MakeGate, photo: bytes, memory: bool) -> None:
    told: dict[str, JobState] = {}
    all_told = anyio.Event()

    async def tell(state: JobState) -> None:
        told[state.job.id] = state
        if len(told) == 3:
            all_told.set()

    async def judge(job: Job, verdict: object) -> None:
        if job.source_id == "bad":
            raise ProcessingRefused("not here")

    gate = make_gate(memory=memory)
    for name in ("on_complete", "on_rejected", "on_failed"):
        gate.add_hook(name, tell)
    gate.add_hook("pre_verdict", judge)
    async with gate:
        ids = {}
        for source_id, file in (("good", photo), ("bad", photo), ("torn", photo[:600])):
            ids[source_id] = (await gate.upload(file, source_type="avatar", source_id=source_id)).job_id
        ends = {name: (await gate.wait(job_id, timeout_s=30)).status for name, job_id in ids.items()}
        with anyio.fail_after(5):
            await all_told.wait()
        for job_id, state in told.items():
            kept = await get_state(gate.parts.records, job_id)
            assert kept is not None
            assert JobState(replace(kept.job, notified_at=None), kept.media) == state
    assert ends == {"good": JobStatus.COMPLETE, "bad": JobStatus.REJECTED, "torn": JobStatus.FAILED}


async def test_wait_in_the_worker_process_costs_no_query(make_gate: MakeGate, photo: bytes) -> None:
    reads: list[str] = []

    class Counted(MemoryRecords):
        async def changed(self, known: Any) -> Any:
            reads.extend(known)
            return await super().changed(known)

    gate = make_gate(memory=False)
    gate.decorate(STORAGE, MemoryStorage())
    gate.decorate(RECORDS, Counted())
    async with gate:
        job_id = await upload(gate, photo)
        seen, stages = None, []
        while seen is None or not seen.status.terminal:
            seen = await gate.next_status(job_id, seen, timeout_s=30)
            assert seen is not None
            stages.append(seen.stage)
        assert (await gate.get_status(job_id)).media == seen.media
        assert len(reads) <= 1, "the first wait may query the state of the job"
    assert stages[-3:] == [Stage.MODERATE, Stage.PUBLISH, Stage.DONE]


async def test_job_with_an_expired_lease_is_claimed_again(make_gate: MakeGate, photo: bytes) -> None:
    async with make_gate(worker=False) as gate:
        job_id = await upload(gate, photo)
        assert await claim(gate, job_id, lease_s=-1)
        assert await claim(gate, job_id, lease_s=9)
        assert await claim(gate, job_id, lease_s=9) is None, "a leased job cannot be claimed"


async def test_worker_that_lost_its_lease_changes_nothing(make_gate: MakeGate, photo: bytes) -> None:
    gate = make_gate(lease_s=0.3, retry_backoff_s=0.01)
    stolen = anyio.Event()

    async def steals(job: Job, rendered: object) -> None:
        if not stolen.is_set():
            stolen.set()
            records = gate.parts.records
            await records.release(job.id, owner=job.lease_owner or "", available_at=utcnow() + timedelta(seconds=30))
            await anyio.sleep(1)

    gate.add_hook("pre_store", steals)
    async with gate:
        job_id = await upload(gate, photo)
        await stolen.wait()
        await anyio.sleep(0.6)
        job = await get_job(gate.parts.records, job_id)
        assert job is not None
        assert job.status is JobStatus.PENDING, "the late attempt must not have settled the job"
        assert [o async for o in gate.parts.storage.list("media/")] == []


class Away(MemoryStorage):
    """Refuses to publish until it is back."""

    def __init__(self) -> None:
        super().__init__()
        self.back = False
        self.refused = 0

    async def put(self, key: str, body: Any) -> None:
        if key.startswith("media/") and not self.back:
            self.refused += 1
            raise StorageUnavailable("the bucket does not answer")
        await super().put(key, body)


@pytest.mark.slow
async def test_storage_outage_costs_no_attempt(make_gate: MakeGate, photo: bytes) -> None:
    gate, storage = make_gate(memory=False, retry_backoff_s=0.01), Away()
    gate.decorate(STORAGE, storage)
    gate.decorate(RECORDS, MemoryRecords())
    async with gate:
        job_id = await upload(gate, photo)
        with anyio.fail_after(60):
            waiting = await gate.get_status(job_id)
            while waiting.status is not JobStatus.PENDING or storage.refused <= 5 * gate.settings.max_attempts:
                await anyio.sleep(0.02)
                waiting = await gate.get_status(job_id)
        assert (waiting.job.attempts, waiting.job.code) == (0, "storage_unavailable")
        storage.back = True
        done = await gate.wait(job_id, timeout_s=30)
        assert (done.status, done.job.attempts) == (JobStatus.COMPLETE, 1)


@pytest.mark.slow
async def test_job_fails_retryable_when_a_storage_outage_lasts_too_long(
    make_gate: MakeGate, photo: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mediagate.jobs.retries.OUTAGE", timedelta(0))
    gate, storage = make_gate(memory=False, retry_backoff_s=0.01), Away()
    gate.decorate(STORAGE, storage)
    gate.decorate(RECORDS, MemoryRecords())
    async with gate:
        job_id = await upload(gate, photo)
        failed = (await gate.wait(job_id, timeout_s=30)).job
        assert (failed.status, failed.attempts, failed.code) == (JobStatus.FAILED, 3, "storage_unavailable")
        assert failed.retryable, "its file is kept"
        storage.back = True
        await gate.retry(job_id)
        assert (await gate.wait(job_id, timeout_s=30)).status is JobStatus.COMPLETE


class Silent(MemoryRecords):
    """Unavailable while ``away`` is true."""

    def __init__(self) -> None:
        super().__init__()
        self.away = False

    async def now(self) -> datetime:
        self._answer()
        return await super().now()

    async def oldest_waiting(self) -> datetime | None:
        self._answer()
        return await super().oldest_waiting()

    async def advance(self, job_id: str, **how: Any) -> bool:
        self._answer()
        return await super().advance(job_id, **how)

    async def release(self, job_id: str, **how: Any) -> bool:
        self._answer()
        return await super().release(job_id, **how)

    async def settle(self, job: Job, **how: Any) -> bool:
        self._answer()
        return await super().settle(job, **how)

    async def claim_oldest(self, **how: Any) -> Sequence[Job]:
        self._answer()
        return await super().claim_oldest(**how)

    def _answer(self) -> None:
        if self.away:
            raise RecordsUnavailable("the database does not answer")


@pytest.mark.parametrize("at", ["pre_process", "pre_store"])
@pytest.mark.slow
async def test_database_outage_longer_than_a_lease_costs_no_attempt(
    make_gate: MakeGate, photo: bytes, at: HookName
) -> None:
    records, gone = Silent(), anyio.Event()
    gate = make_gate(memory=False, lease_s=0.5, retry_backoff_s=0.01, max_attempts=1, janitor_interval_s=0.2)
    gate.decorate(RECORDS, records)
    gate.decorate(STORAGE, MemoryStorage())

    async def goes(*_: object) -> None:
        if not gone.is_set():
            records.away = True
            gone.set()

    gate.add_hook(at, goes)
    async with gate:
        job_id = await upload(gate, photo)
        await gone.wait()
        await anyio.sleep(2)
        records.away = False
        done = await gate.wait(job_id, timeout_s=30)
        assert (done.status, done.job.attempts) == (JobStatus.COMPLETE, 1), done.job.error


async def test_attempts_of_dead_workers_count(make_gate: MakeGate, photo: bytes) -> None:
    told: list[JobState] = []

    async def on_failed(state: JobState) -> None:
        told.append(state)

    gate = make_gate(worker=False)
    gate.add_hook("on_failed", on_failed)
    async with gate:
        job_id = await upload(gate, photo)
        for _ in range(3):
            assert await claim(gate, job_id, lease_s=-1), "each claim is by a worker that dies"
        assert await claim(gate, job_id) is None
        findings = await gate.runtime.janitor.sweep_jobs()
        assert findings.failed == [job_id]
        status = await gate.get_status(job_id)
        assert (status.status, status.job.code, status.job.attempts) == (JobStatus.FAILED, "attempts_exhausted", 3)
        assert [s.job.id for s in told] == [job_id]
        assert (await gate.runtime.janitor.sweep_jobs()).failed == []


async def test_gate_closing_waits_for_the_job_in_flight(make_gate: MakeGate, photo: bytes) -> None:
    gate = make_gate()
    entered = anyio.Event()
    ended: list[JobStatus] = []

    async def slow(job: Job) -> None:
        entered.set()
        await anyio.sleep(0.5)

    async def on_complete(state: JobState) -> None:
        ended.append(state.job.status)

    gate.add_hook("pre_process", slow)
    gate.add_hook("on_complete", on_complete)
    async with gate:
        await upload(gate, photo)
        await entered.wait()
    assert ended == [JobStatus.COMPLETE]


async def test_undrained_job_is_released_without_counting_the_attempt(make_gate: MakeGate, photo: bytes) -> None:
    gate = make_gate(drain_timeout_s=0.1)
    entered = hangs(gate)
    async with gate:
        job_id = await upload(gate, photo)
        await entered.wait()
        records = gate.parts.records
    job = await get_job(records, job_id)
    assert job is not None
    assert (job.status, job.attempts) == (JobStatus.PENDING, 0)


async def test_last_attempt_does_not_delay_gate_closing(make_gate: MakeGate, photo: bytes) -> None:
    gate = make_gate(drain_timeout_s=0.2)
    entered = hangs(gate)
    async with gate:
        records, now = gate.parts.records, utcnow()
        suspect = a_job(now, source_type="avatar", source_id="u1", attempts=2)
        await gate.parts.storage.put(suspect.staging_key, photo)
        await records.create_job(suspect)
        await entered.wait()
        others = [await upload(gate, photo) for _ in range(3)]
        await anyio.sleep(0.3)  # claims wait for the last attempt to end
        began = anyio.current_time()
    assert anyio.current_time() - began < 20
    found = await records.get_jobs([suspect.id, *others])
    assert found[suspect.id].attempts == 2, "its attempt was not counted"
    assert {found[job_id].status for job_id in others} == {JobStatus.PENDING}
    assert {found[job_id].started_at for job_id in others} == {None}, "no job is claimed only to be released"


async def test_job_retried_in_its_end_hook_stays_unnotified(make_gate: MakeGate, photo: bytes) -> None:
    gate, told = make_gate(max_attempts=1), anyio.Event()

    async def fails(job: Job) -> None:
        raise RuntimeError("down")

    async def on_failed(state: JobState) -> None:
        await gate.retry(state.job.id)
        assert await claim(gate, state.job.id), "another process takes it"
        told.set()

    gate.add_hook("pre_process", fails)
    gate.add_hook("on_failed", on_failed)
    async with gate:
        job_id = await upload(gate, photo)
        await told.wait()
        await anyio.sleep(0.2)
        job = await get_job(gate.parts.records, job_id)
        assert job is not None
        assert job.notified_at is None, "the janitor must find it if its worker dies between its end and its hooks"


async def test_failing_queue_loses_no_job(make_gate: MakeGate, photo: bytes) -> None:
    class Broken:
        poll_s = 60.0

        async def dispatch(self, job_id: str) -> None:
            raise ConnectionError("the broker is down")

        async def take(self) -> str:
            raise ConnectionError("the broker is down")

        async def done(self, job_id: str) -> None: ...

    gate = make_gate()
    gate.decorate(QUEUE, Broken())
    async with gate:
        job_id = await upload(gate, photo)
        assert (await gate.wait(job_id, timeout_s=30)).status is JobStatus.COMPLETE
        await gate.check()


async def test_last_attempt_runs_alone(make_gate: MakeGate, photo: bytes) -> None:
    """A job that kills its worker would otherwise use up the attempts of concurrent jobs."""
    records, storage = MemoryRecords(), MemoryStorage()
    running, most = 0, 0
    side_by_side = anyio.Event()

    def sharing(**settings: Any) -> MediaGate:
        gate = make_gate(memory=False, **settings)
        gate.decorate(RECORDS, records)
        gate.decorate(STORAGE, storage)
        return gate

    async def meet(job: Job) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        if running == 2:
            side_by_side.set()
        with anyio.move_on_after(30 if job.attempts == 1 else 0.2):
            await side_by_side.wait()
        running -= 1

    async with sharing(worker=False) as gate:
        ids = [await upload(gate, photo) for _ in range(3)]
        for job_id in ids * 2:
            assert await claim(gate, job_id, lease_s=-1), "each claim is by a worker that dies"
    gate = sharing()
    gate.add_hook("pre_process", meet)
    async with gate:
        assert all([(await gate.wait(job_id, timeout_s=30)).status is JobStatus.COMPLETE for job_id in ids])
        assert most == 1
        fresh = [await upload(gate, photo) for _ in range(2)]
        assert all([(await gate.wait(job_id, timeout_s=60)).status is JobStatus.COMPLETE for job_id in fresh])
        assert most == 2, "first attempts run concurrently"


async def test_in_process_queue_drops_ids_beyond_its_capacity() -> None:
    full = InProcessQueue()
    for number in range(CAPACITY + 5):
        await full.dispatch(str(number))
    assert await full.take() == "0"


async def test_dispatcher_is_not_blocked_by_a_hanging_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mediagate.queue.SEND_S", 0.05)
    monkeypatch.setattr("mediagate.queue.PAUSE_S", 0.0)
    hangs = True

    class Hanging(InProcessQueue):
        async def dispatch(self, job_id: str) -> None:
            if hangs:
                await anyio.sleep_forever()
            await super().dispatch(job_id)

    dispatcher = Dispatcher(Hanging())
    dispatcher.start()
    try:
        with anyio.fail_after(5):
            for number in range(CAPACITY + 5):
                await dispatcher.dispatch(f"early{number}")
        hangs = False
        with anyio.fail_after(30):
            await dispatcher.dispatch("late")
            taken = [await dispatcher.take()]
        assert taken[0].startswith("early")
    finally:
        await dispatcher.stop()
