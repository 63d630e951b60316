"""A watch on records in memory: who waits is told of every move, with few queries."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from mediagate import Job, JobState, JobStatus, Stage
from mediagate.errors import JobNotFound, RecordsUnavailable
from mediagate.jobs import Watch, check_id
from mediagate.jobs import watch as watch_module
from mediagate.jobs.watch import TICK_S
from mediagate.observe import Observer
from mediagate.records import Settlement
from mediagate.testing.record_samples import claimed_job
from tests.support.bare_parts import NOW, SetRecords

pytestmark = pytest.mark.anyio


class Asked(SetRecords):
    """Records that note what they are asked about jobs, and can be down or slow."""

    def __init__(self) -> None:
        super().__init__()
        self.queries: list[dict[str, Any]] = []
        self.error: Exception | None = None
        self.meanwhile: Any = None

    async def changed(self, known: Mapping[str, tuple[JobStatus, Stage] | None]) -> Mapping[str, JobState]:
        self.queries.append(dict(known))
        if self.error is not None:
            raise self.error
        found = await super().changed(known)
        if self.meanwhile is not None:
            await self.meanwhile()
        return found


class Told(Observer):
    """Notes whether a status was known in memory."""

    def __init__(self) -> None:
        self.in_memory: list[bool] = []

    def status_asked(self, *, in_memory: bool) -> None:
        self.in_memory.append(in_memory)


@pytest.fixture
def records() -> Asked:
    return Asked()


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
async def watch(records: Asked, told: Told) -> AsyncIterator[Watch]:
    watch = Watch(records, told)
    yield watch
    await watch.close()


async def end(records: Asked, job: Job, status: JobStatus = JobStatus.REJECTED) -> None:
    assert await records.settle(job, owner="worker", now=NOW, settlement=Settlement(status))


async def job_of(watch: Watch, job_id: str, seen: Job | None = None, timeout_s: float = 5) -> Job:
    state = await watch.next(job_id, seen, timeout_s=timeout_s)
    assert state is not None
    return state.job


async def test_watch_keeps_an_end_in_memory_and_asks_again_about_a_live_job(
    watch: Watch, records: Asked, told: Told
) -> None:
    job = await claimed_job(records, NOW)
    for _ in range(2):
        assert (await watch.get(job.id)).job == job
    await end(records, job)
    for _ in range(2):
        assert (await watch.get(job.id)).job.status is JobStatus.REJECTED
    assert (len(records.queries), told.in_memory) == (3, [False, False, False, True])


@pytest.mark.parametrize("job_id", ["", "job.x", "job\x00", "j" * 65, "jöb"])
async def test_watch_asks_no_records_for_what_cannot_be_an_id(watch: Watch, records: Asked, job_id: str) -> None:
    with pytest.raises(JobNotFound):
        await watch.get(job_id)
    with pytest.raises(JobNotFound):
        await watch.next(job_id, None, timeout_s=1)
    assert records.queries == []


def test_check_id_takes_up_to_64_letters_digits_and_dashes() -> None:
    check_id("job_" + "a" * 60)
    check_id("A-1")


async def test_watch_says_that_there_is_no_such_job(watch: Watch) -> None:
    with pytest.raises(JobNotFound, match="job 'job_x' not found"):
        await watch.get("job_x")
    with pytest.raises(JobNotFound, match="job 'job_x' not found"):
        await watch.next("job_x", None, timeout_s=1)


async def test_watch_tells_at_once_where_a_job_stands_and_then_what_changes(watch: Watch, records: Asked) -> None:
    job = await claimed_job(records, NOW)
    seen = await job_of(watch, job.id)
    assert seen == job
    waiting = asyncio.create_task(job_of(watch, job.id, seen))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    await end(records, job)
    assert (await waiting).status is JobStatus.REJECTED
    assert records.queries == [{job.id: None}, {job.id: (JobStatus.PROCESSING, Stage.MODERATE)}]


async def test_watch_answers_from_memory_who_has_not_seen_what_is_known(
    watch: Watch, records: Asked, told: Told
) -> None:
    job = await claimed_job(records, NOW)
    waiting = asyncio.create_task(job_of(watch, job.id, await job_of(watch, job.id)))
    await asyncio.sleep(0)
    assert await job_of(watch, job.id, None) == job
    assert told.in_memory == [False, False, True]
    assert len(records.queries) == 1
    waiting.cancel()


async def test_watch_answers_from_memory_about_an_end(watch: Watch, records: Asked, told: Told) -> None:
    job = await claimed_job(records, NOW)
    await end(records, job)
    await watch.get(job.id)
    assert (await job_of(watch, job.id)).status is JobStatus.REJECTED
    assert (len(records.queries), told.in_memory) == (1, [False, True])


async def test_watch_returns_nothing_when_the_time_runs_out(watch: Watch, records: Asked) -> None:
    job = await claimed_job(records, NOW)
    seen = await job_of(watch, job.id)
    started = asyncio.get_running_loop().time()
    assert await watch.next(job.id, seen, timeout_s=0.1) is None
    assert 0.09 <= asyncio.get_running_loop().time() - started < 0.5


async def test_watch_asks_for_all_who_wait_in_one_query_a_tick(watch: Watch, records: Asked) -> None:
    jobs = [await claimed_job(records, NOW) for _ in range(3)]
    seen = await asyncio.gather(*(job_of(watch, job.id) for job in jobs for _ in range(2)))
    assert [len(query) for query in records.queries] == [3]
    await asyncio.gather(*(watch.next(job.id, job, timeout_s=1.5 * TICK_S) for job in seen))
    assert [len(query) for query in records.queries] == [3, 3]


async def test_watch_stops_asking_when_nobody_waits(watch: Watch, records: Asked) -> None:
    job = await claimed_job(records, NOW)
    await job_of(watch, job.id)
    await asyncio.sleep(1.3 * TICK_S)
    assert len(records.queries) == 1
    # And begins again, at once.
    assert await asyncio.wait_for(job_of(watch, job.id), TICK_S / 2) == job
    assert len(records.queries) == 2


async def test_watch_publish_tells_at_once_without_a_query(watch: Watch, records: Asked) -> None:
    job = await claimed_job(records, NOW)
    seen = await job_of(watch, job.id)
    waiting = asyncio.create_task(watch.next(job.id, seen, timeout_s=5))
    await asyncio.sleep(0)
    moved = JobState(replace(job, stage=Stage.PUBLISH))
    watch.publish(moved)
    assert await waiting is moved
    assert await watch.next(job.id, seen, timeout_s=5) is moved
    ended = JobState(replace(job, status=JobStatus.REJECTED))
    watch.publish(ended)
    assert await watch.next(job.id, moved.job, timeout_s=5) is ended
    assert await watch.get(job.id) is ended
    assert len(records.queries) == 1


async def test_watch_forget_asks_the_records_at_once(watch: Watch, records: Asked) -> None:
    job = await claimed_job(records, NOW)
    seen = await job_of(watch, job.id)
    waiting = asyncio.create_task(job_of(watch, job.id, seen))
    await asyncio.sleep(0.01)
    await end(records, job)
    watch.forget(job.id)
    assert (await asyncio.wait_for(waiting, TICK_S / 3)).status is JobStatus.REJECTED
    assert len(records.queries) == 2


async def test_watch_forget_drops_what_is_known_of_a_job(watch: Watch, records: Asked) -> None:
    job = await claimed_job(records, NOW)
    await job_of(watch, job.id)
    await end(records, job)
    watch.forget(job.id)
    assert (await job_of(watch, job.id)).status is JobStatus.REJECTED
    watch.forget(job.id)
    watch.forget("job_unknown")
    await watch.get(job.id)
    assert len(records.queries) == 3


async def test_watch_tells_who_waits_for_an_unknown_state_that_the_records_are_down(
    watch: Watch, records: Asked, caplog: pytest.LogCaptureFixture
) -> None:
    job = await claimed_job(records, NOW)
    records.error = RecordsUnavailable("down")
    with pytest.raises(RecordsUnavailable, match="the database does not answer; try again in a moment"):
        await watch.next(job.id, None, timeout_s=2)
    assert not caplog.records[-1].exc_info
    records.error = RuntimeError("a bug")
    with pytest.raises(RecordsUnavailable):
        await watch.next(job.id, None, timeout_s=2)
    assert caplog.records[-1].exc_info


async def test_watch_goes_on_waiting_over_an_outage_when_a_state_is_known(watch: Watch, records: Asked) -> None:
    job = await claimed_job(records, NOW)
    seen = await job_of(watch, job.id)
    records.error = RecordsUnavailable("down")
    waiting = asyncio.create_task(job_of(watch, job.id, seen))
    await asyncio.sleep(1.3 * TICK_S)
    assert not waiting.done()
    records.error = None
    await end(records, job)
    assert (await waiting).status is JobStatus.REJECTED


async def test_watch_reads_a_state_again_that_was_read_long_ago(
    watch: Watch, records: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_module, "MAX_AGE_S", 0.1)
    monkeypatch.setattr(watch_module, "REREAD", 1)
    jobs = [await claimed_job(records, NOW) for _ in range(2)]
    seen = await asyncio.gather(*(job_of(watch, job.id) for job in jobs))
    waiting = [asyncio.create_task(watch.next(job.id, job, timeout_s=1.5 * TICK_S)) for job in seen]
    assert await asyncio.gather(*waiting) == [None, None]
    # As many of them as a tick may; a state that has not changed is not told.
    assert [list(query.values()).count(None) for query in records.queries] == [2, 1]


async def test_watch_tells_that_a_row_is_gone(watch: Watch, records: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_module, "MAX_AGE_S", 0.1)
    job = await claimed_job(records, NOW)
    seen = await job_of(watch, job.id)
    del records._jobs[job.id]
    with pytest.raises(JobNotFound):
        await watch.next(job.id, seen, timeout_s=2 * TICK_S)


async def test_watch_does_not_tell_what_was_read_before_a_later_move(watch: Watch, records: Asked) -> None:
    job = await claimed_job(records, NOW)
    moved = JobState(replace(job, stage=Stage.PUBLISH))

    async def publish() -> None:
        records.meanwhile = None
        watch.publish(moved)

    records.meanwhile = publish
    assert await watch.next(job.id, None, timeout_s=2) is moved
    assert await watch.next(job.id, None, timeout_s=2) is moved


async def test_watch_does_not_keep_an_end_that_was_read_before_a_change(watch: Watch, records: Asked) -> None:
    job = await claimed_job(records, NOW)
    await end(records, job, JobStatus.FAILED)

    async def retry() -> None:
        records.meanwhile = None
        await records.requeue(job.id, now=NOW)
        watch.forget(job.id)

    for ask in (watch.get, lambda job_id: watch.next(job_id, None, timeout_s=2)):
        records.meanwhile = retry
        await ask(job.id)
        assert (await watch.get(job.id)).job.status is JobStatus.PENDING
        job = (await records.claim_oldest(owner="worker", now=NOW, lease_until=NOW, limit=1))[0]
        await end(records, job, JobStatus.FAILED)


async def test_watch_wake_ends_all_waiting_without_news(watch: Watch, records: Asked) -> None:
    jobs = [await claimed_job(records, NOW) for _ in range(2)]
    seen = await asyncio.gather(*(job_of(watch, job.id) for job in jobs))
    waiting = [asyncio.create_task(watch.next(job.id, job, timeout_s=9)) for job in seen]
    await asyncio.sleep(0)
    watch.wake()
    assert await asyncio.wait_for(asyncio.gather(*waiting), 1) == [None, None]


async def test_watch_close_ends_all_waiting_and_all_queries(watch: Watch, records: Asked) -> None:
    job = await claimed_job(records, NOW)
    seen = await job_of(watch, job.id)
    waiting = asyncio.create_task(watch.next(job.id, seen, timeout_s=9))
    await asyncio.sleep(0)
    await watch.close()
    assert await asyncio.wait_for(waiting, 1) is None
    await asyncio.sleep(1.5 * TICK_S)
    assert len(records.queries) == 1


async def test_watch_publish_replaces_an_end_that_was_kept(watch: Watch, records: Asked) -> None:
    job = await claimed_job(records, NOW)
    await end(records, job, JobStatus.FAILED)
    await watch.get(job.id)
    await records.requeue(job.id, now=NOW)
    watch.publish(JobState(replace(job, status=JobStatus.PENDING)))
    assert (await watch.get(job.id)).job.status is JobStatus.PENDING


async def test_watch_keeps_an_end_that_a_tick_has_read(watch: Watch, records: Asked) -> None:
    job = await claimed_job(records, NOW)
    await end(records, job)
    assert (await job_of(watch, job.id)).status is JobStatus.REJECTED
    assert (await watch.get(job.id)).job.status is JobStatus.REJECTED
    assert len(records.queries) == 1


async def test_watch_tells_the_others_when_one_has_moved_on_meanwhile(watch: Watch, records: Asked) -> None:
    jobs = [await claimed_job(records, NOW) for _ in range(3)]

    async def publish() -> None:
        records.meanwhile = None
        for job in jobs[:2]:
            watch.publish(JobState(replace(job, stage=Stage.PUBLISH)))

    records.meanwhile = publish
    told = await asyncio.gather(*(asyncio.wait_for(job_of(watch, job.id), TICK_S / 2) for job in jobs))
    assert [job.stage for job in told] == [Stage.PUBLISH, Stage.PUBLISH, Stage.MODERATE]


async def test_watch_asks_about_the_others_when_one_has_ended_meanwhile(watch: Watch, records: Asked) -> None:
    jobs = [await claimed_job(records, NOW) for _ in range(3)]
    seen = await asyncio.gather(*(job_of(watch, job.id) for job in jobs))
    waiting = [asyncio.create_task(job_of(watch, job.id, job)) for job in seen]
    await asyncio.sleep(0.01)
    for job in jobs:
        await end(records, job)
        watch.forget(job.id)
    for job in jobs[:2]:
        watch.publish(JobState(replace(job, status=JobStatus.CANCELLED)))
    told = await asyncio.wait_for(asyncio.gather(*waiting), TICK_S / 2)
    assert [job.status for job in told] == [JobStatus.CANCELLED, JobStatus.CANCELLED, JobStatus.REJECTED]


async def test_watch_tells_all_that_have_moved_among_those_that_have_not(watch: Watch, records: Asked) -> None:
    jobs = [await claimed_job(records, NOW) for _ in range(12)]
    seen = await asyncio.gather(*(job_of(watch, job.id) for job in jobs))
    waiting = [asyncio.create_task(job_of(watch, job.id, job)) for job in seen]
    await asyncio.sleep(0.01)
    for job in jobs[::2]:
        await end(records, job)
    told = await asyncio.wait_for(asyncio.gather(*waiting[::2]), 2 * TICK_S)
    assert {job.status for job in told} == {JobStatus.REJECTED}
    assert not any(task.done() for task in waiting[1::2])
    watch.wake()
    await asyncio.gather(*waiting, return_exceptions=True)
