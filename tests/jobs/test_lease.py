"""A lease is extended, insisted on, given back and lost."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from mediagate import Job, JobStatus, Stage
from mediagate.errors import RecordsUnavailable
from mediagate.jobs.lease import Lease, LeaseLost
from mediagate.records import MemoryRecords, get_job
from mediagate.testing.record_samples import a_job

pytestmark = pytest.mark.anyio

LEASE_S = 60.0


class DownRecords(MemoryRecords):
    """Records that do not answer while they are down."""

    down = False

    async def now(self) -> datetime:
        if self.down:
            raise RecordsUnavailable("down")
        return await super().now()


async def leased(records: MemoryRecords, job: Job | None = None) -> Job:
    """Return a job that was claimed by ``worker`` for a minute: the given one, or a new one."""
    now = await records.now()
    job = job or a_job(now)
    await records.create_job(job)
    claimed = await records.claim(job.id, owner="worker", now=now, lease_until=now + timedelta(seconds=LEASE_S))
    assert claimed is not None
    return claimed


async def found(records: MemoryRecords, job: Job) -> Job:
    state = await get_job(records, job.id)
    assert state is not None
    return state


async def test_lease_is_extended_for_its_whole_length_from_now_on() -> None:
    records = MemoryRecords()
    job = await leased(records)
    before = await records.now()
    assert await Lease(job, records, lease_s=600).extend() is True
    after = await records.now()
    held = await found(records, job)
    assert held.lease_until is not None
    assert before + timedelta(seconds=600) <= held.lease_until <= after + timedelta(seconds=600)
    assert (held.stage, held.model_runs) == (Stage.MODERATE, 0)


async def test_lease_enters_a_stage_with_its_model_runs() -> None:
    records = MemoryRecords()
    job = await leased(records)
    assert await Lease(job, records, lease_s=LEASE_S).extend(Stage.PUBLISH, 7) is True
    held = await found(records, job)
    assert (held.stage, held.model_runs) == (Stage.PUBLISH, 7)


async def test_lease_of_another_worker_is_not_extended() -> None:
    records = MemoryRecords()
    job = await leased(records)
    other = Lease(replace(job, lease_owner="other"), records, lease_s=LEASE_S)
    assert await other.extend(Stage.PUBLISH) is False
    assert await found(records, job) == job


async def test_lease_without_an_owner_is_nobodys() -> None:
    records = MemoryRecords()
    job = await leased(records)
    assert await Lease(replace(job, lease_owner=None), records, lease_s=LEASE_S).extend() is False


@pytest.mark.parametrize(("counted", "attempts"), [(True, 1), (False, 0)])
async def test_lease_is_released_for_an_attempt_at_a_later_moment(counted: bool, attempts: int) -> None:
    records = MemoryRecords()
    job = await leased(records)
    at = await records.now() + timedelta(seconds=30)
    await Lease(job, records, lease_s=LEASE_S).release(at, counted=counted, error="torn", code="image_crashed")
    held = await found(records, job)
    assert (held.status, held.available_at, held.attempts) == (JobStatus.PENDING, at, attempts)
    assert (held.error, held.code) == ("torn", "image_crashed")


async def test_lease_is_given_back_as_the_job_was_before() -> None:
    records = MemoryRecords()
    before = replace(a_job(await records.now()), error="too slow", code="image_timeout", attempts=1)
    job = await leased(records, before)
    await Lease(job, records, lease_s=LEASE_S).give_back()
    held = await found(records, job)
    assert (held.status, held.attempts, held.error, held.code) == (JobStatus.PENDING, 1, "too slow", "image_timeout")
    assert held.available_at is not None
    assert held.available_at <= await records.now()


def fails(times: int) -> tuple[Callable[[], Awaitable[str]], list[float]]:
    """Return a change that the records refuse so many times, and when it was tried."""
    tries: list[float] = []

    async def change() -> str:
        tries.append(asyncio.get_running_loop().time())
        if len(tries) <= times:
            raise RecordsUnavailable("down")
        return "done"

    return change, tries


async def test_lease_insists_every_half_second_while_the_records_are_away() -> None:
    records = MemoryRecords()
    change, tries = fails(2)
    assert await Lease(await leased(records), records, lease_s=LEASE_S).insist(change) == "done"
    assert len(tries) == 3
    assert all(later - earlier >= 0.49 for earlier, later in itertools.pairwise(tries))


async def test_lease_insists_no_longer_than_it_may_run() -> None:
    records = MemoryRecords()
    change, tries = fails(100)
    with pytest.raises(RecordsUnavailable):
        await Lease(await leased(records), records, lease_s=0.7).insist(change)
    assert len(tries) == 2


async def test_lease_insists_beyond_its_time_on_the_end_of_an_attempt() -> None:
    records = MemoryRecords()
    change, tries = fails(2)
    assert await Lease(await leased(records), records, lease_s=0.1).insist(change, to_the_end=True) == "done"
    assert len(tries) == 3


async def test_lease_insists_on_nothing_but_an_outage() -> None:
    records = MemoryRecords()

    async def broken() -> None:
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        await Lease(await leased(records), records, lease_s=LEASE_S).insist(broken)


async def test_lease_that_is_kept_outlives_its_length() -> None:
    records = MemoryRecords()
    job = await leased(records)
    async with Lease(job, records, lease_s=0.3).kept():
        await asyncio.sleep(0.7)
        held = await found(records, job)
        assert held.lease_until is not None
        assert held.lease_until > await records.now()
    # The heart stops with the body.
    until = (await found(records, job)).lease_until
    await asyncio.sleep(0.3)
    assert (await found(records, job)).lease_until == until


async def test_lease_that_was_taken_ends_the_body() -> None:
    records = MemoryRecords()
    job = await leased(records)
    await records.cancel(job.id, now=await records.now())
    with pytest.raises(LeaseLost):
        async with Lease(job, records, lease_s=0.15).kept():
            await asyncio.sleep(10)


async def test_lease_that_misses_a_heartbeat_is_kept() -> None:
    records = DownRecords()
    job = await leased(records)
    records.down = True
    async with Lease(job, records, lease_s=0.15).kept():
        await asyncio.sleep(0.12)
        records.down = False
        await asyncio.sleep(0.12)
    held = await found(records, job)
    assert held.lease_until is not None
    assert job.lease_until is not None
    assert held.lease_until < job.lease_until


async def test_lease_hands_a_cancellation_from_outside_on() -> None:
    records = MemoryRecords()
    lease = Lease(await leased(records), records, lease_s=LEASE_S)
    entered = asyncio.Event()

    async def body() -> None:
        async with lease.kept():
            entered.set()
            await asyncio.sleep(10)

    task = asyncio.create_task(body())
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
