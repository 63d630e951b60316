"""The conformance check of records for the order of jobs: priorities, and shares of owners."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from mediagate.records import Records, Settlement, get_job
from mediagate.testing.record_samples import LEASE, MOMENT, RACERS, a_job, expect, race, same
from mediagate.testing.upload_records import an_upload
from mediagate.values import Job, JobStatus

FIRST = -9
"""A priority before those of all other checks, so that their due jobs come later."""


async def check_turns(records: Records, now: datetime) -> None:
    """Check the promises about turns; raises ``AssertionError`` with the broken one."""
    for check in (_priorities, _shares, _retries, _sources, _race, _forgetting, _time_of_the_queue):
        left = await check(records, now)
        for job in left:
            await records.cancel(job.id, now=now)


async def _created(records: Records, job: Job) -> Job:
    """Create a job and return it with its assigned turn."""
    await records.create_job(job)
    found = await get_job(records, job.id)
    if found is None:
        raise AssertionError("get_jobs() must return the created job")
    return found


async def _next(records: Records, now: datetime, limit: int = 1) -> list[str]:
    claimed = await records.claim_oldest(owner="w", now=now, lease_until=now + LEASE, limit=limit)
    return [job.id for job in claimed]


async def _many(records: Records, now: datetime, number: int, **changes: object) -> list[Job]:
    return [await _created(records, a_job(now, priority=FIRST, **changes)) for _ in range(number)]


async def _priorities(records: Records, now: datetime) -> Sequence[Job]:
    late, early = a_job(now, priority=FIRST), a_job(now - LEASE, priority=FIRST + 1)
    lapsed = a_job(now - LEASE, priority=FIRST + 2)
    await records.create_job(lapsed)
    expect(
        await records.claim(lapsed.id, owner="dead", now=now - LEASE, lease_until=now - MOMENT), "claim() must claim"
    )
    for job in (early, late):
        await records.create_job(job)
    order = [*await _next(records, now), *await _next(records, now), *await _next(records, now)]
    same(order, [late.id, early.id, lapsed.id], "jobs must be claimed by priority, the lowest first, regardless of age")
    return late, early, lapsed


async def _shares(records: Records, now: datetime) -> Sequence[Job]:
    many = await _many(records, now, 8, owner_id="ann")
    same(sorted(job.turn for job in many), [job.turn for job in many], "an owner's jobs must keep their order")
    same(await _next(records, now, 2), [many[0].id, many[1].id], "a single owner must not wait")
    one = await _created(records, a_job(now + MOMENT, priority=FIRST, owner_id="bob"))
    same(
        await _next(records, now + MOMENT),
        [one.id],
        "an owner without waiting jobs must come before the next job of an owner with many",
    )
    again = await _created(records, a_job(now + MOMENT, priority=FIRST, owner_id="cleo"))
    same(await _next(records, now + MOMENT), [many[2].id], "an owner with many jobs must not be starved by new owners")
    same(await _next(records, now + MOMENT), [again.id], "a job that arrived meanwhile must be the next")
    others = await _many(records, now, 4, owner_id="dan")
    order = await _next(records, now, 8)
    of_ann = [n for n, job_id in enumerate(order) if job_id in {job.id for job in many}]
    expect(of_ann[:3] and of_ann[2] <= 6, "two owners with many jobs must take turns")
    return *many, one, again, *others


async def _retries(records: Records, now: datetime) -> Sequence[Job]:
    first, *rest = await _many(records, now, 4, owner_id="eve")
    same(await _next(records, now), [first.id], "the first job must be claimed first")
    await records.release(first.id, owner="w", available_at=now + MOMENT)
    same(await _next(records, now), [rest[0].id], "a job that waits for its next attempt must not block others")
    found = await get_job(records, first.id)
    same(found and found.turn, first.turn, "release() must keep the job's turn")
    same(await _next(records, now + MOMENT), [first.id], "a retried job must keep its turn")
    return first, *rest


async def _sources(records: Records, now: datetime) -> Sequence[Job]:
    many = await _many(records, now, 4, source_id="s1")
    same(await _next(records, now), [many[0].id], "the first job must be claimed first")
    upload = an_upload(now)
    await records.create_upload(upload)
    one = a_job(now, priority=FIRST, source_id="s2")
    expect(await records.complete_upload(upload.id, one, expires_at=now), "complete_upload() must be True")
    same(await _next(records, now), [one.id], "without owners, source ids must take turns, direct uploads too")
    return *many, one


async def _race(records: Records, now: datetime) -> Sequence[Job]:
    async def create(number: int) -> Job:
        return await _created(records, a_job(now, priority=FIRST, owner_id="fred"))

    jobs = await race(create)
    same(len({job.turn for job in jobs}), RACERS, f"{RACERS} concurrent uploads of one owner must get distinct turns")
    return jobs


async def _forgetting(records: Records, now: datetime) -> Sequence[Job]:
    jobs = await _many(records, now, 3, owner_id="gil")
    await records.forget(now=now)
    jobs += await _many(records, now, 1, owner_id="gil")
    turns = [job.turn for job in jobs]
    same(sorted(set(turns)), turns, "forget() must keep the last turn of an owner with waiting jobs")
    same(await _next(records, now, 4), [job.id for job in jobs], "jobs must be claimed in order")
    await records.forget(now=now)
    later = await _many(records, now, 1, owner_id="gil")
    expect(later[0].turn > turns[-1], "a new job must come after the claimed ones, even if they are forgotten")
    return *jobs, *later


async def _time_of_the_queue(records: Records, now: datetime) -> Sequence[Job]:
    async def cancel(job: Job) -> None:
        await records.cancel(job.id, now=now)

    async def release(job: Job) -> None:
        await records.release(job.id, owner="w", available_at=now)

    async def requeue(job: Job) -> None:
        await records.settle(job, owner="w", now=now, settlement=Settlement(JobStatus.FAILED, error="no"))
        await records.requeue(job.id, now=now)

    left: list[Job] = []
    for leave in (cancel, release, requeue):
        many = await _many(records, now, 3, owner_id=f"hal {leave.__name__}")
        for job in many:
            claimed = await records.claim(job.id, owner="w", now=now, lease_until=now + LEASE)
            expect(claimed is not None, "claim() must claim")
        for job in many:
            await leave(job)
        late = await _created(records, a_job(now, priority=FIRST, owner_id=f"ida {leave.__name__}"))
        promise = f"a new job's turn must be above the highest claimed one, also after {leave.__name__}()"
        expect(late.turn > many[-1].turn, promise)
        left += [*many, late]
    return left
