"""The conformance check of records for the path of a job: claims, leases and settlements."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from mediagate.records import Records, Settlement, get_job, get_state
from mediagate.testing.record_samples import (
    LEASE,
    MOMENT,
    RACERS,
    a_job,
    a_media,
    claimed_job,
    expect,
    owns_nothing,
    published_media,
    race,
    same,
    waiting_job,
)
from mediagate.values import Job, JobStatus, Stage, Variant, Verdict, new_id

COMPLETE, REJECTED, FAILED = JobStatus.COMPLETE, JobStatus.REJECTED, JobStatus.FAILED


async def check_job_path(records: Records, now: datetime) -> None:
    """Check the promises about a job's path; raises ``AssertionError`` with the broken one."""
    for check in (
        _claiming,
        _claim_race,
        _claiming_oldest,
        _claim_oldest_race,
        _lease,
        _settling,
        _settle_race,
        _releasing,
    ):
        await check(records, now)


async def _claiming(records: Records, now: datetime) -> None:
    async def claim(job: Job, at: datetime, owner: str = "worker") -> Job | None:
        return await records.claim(job.id, owner=owner, now=at, lease_until=at + LEASE)

    later = now + timedelta(hours=1)
    job = a_job(now, available_at=later, max_attempts=2)
    await records.create_job(job)
    same(await claim(job, later - MOMENT), None, "claim() before available_at must be None")
    first = await claim(job, later)
    same(first and (first.attempts, first.started_at), (1, later), "the first claim() must count and set started_at")
    lapse = later + LEASE
    same(await claim(job, lapse - MOMENT, "other"), None, "claim() under another's lease must be None")
    second = await claim(job, lapse, "other")
    same(
        second and (second.attempts, second.started_at, second.lease_owner, second.lease_until),
        (2, later, "other", lapse + LEASE),
        "claim() after the lease expired must count, keep started_at and set owner and lease",
    )
    same(await claim(job, lapse + LEASE), None, "claim() without remaining attempts must be None")
    same(await records.claim(new_id("job"), owner="w", now=now, lease_until=later), None, "claim() of an unknown job")
    media = await published_media(records, now)
    same(await records.claim(media.job_id, owner="w", now=later, lease_until=lapse), None, "claim() of a terminal job")
    past = now - timedelta(days=300)
    queue = [a_job(past + (9 - n) * MOMENT, available_at=past + n * MOMENT, priority=-5) for n in (2, 0, 1)]
    for each in queue:
        await records.create_job(each)
    ids = [queue[2].id, queue[1].id, queue[0].id]
    await records.claim(ids[0], owner="worker", now=now, lease_until=past - MOMENT)
    claimed = [await records.claim_oldest(owner="w", now=now, lease_until=later, limit=1) for _ in queue]
    same(
        [[job.id for job in one] for one in claimed],
        [[job_id] for job_id in ids],
        "among equal turns claim_oldest() must claim the longest claimable job first, even after an expired lease",
    )
    for each in queue:
        await records.cancel(each.id, now=now)


async def _claim_race(records: Records, now: datetime) -> None:
    job = a_job(now)
    await records.create_job(job)

    async def claimed(at: datetime, number: int) -> Job | None:
        return await records.claim(job.id, owner=f"racer {number}", now=at, lease_until=at + LEASE)

    for at in (now, now + LEASE):
        won = [won for won in await race(partial(claimed, at)) if won]
        same(len(won), 1, f"of {RACERS} concurrent claims exactly one must win")
        found = await get_job(records, job.id)
        same(found and found.lease_owner, won[0].lease_owner, "the winner of a race must own the lease")


async def _claiming_oldest(records: Records, now: datetime) -> None:
    past = now - timedelta(days=500)  # before all other due jobs
    jobs = [a_job(now, available_at=past + n * MOMENT) for n in range(4)]
    spent = await claimed_job(records, past, max_attempts=1)
    await records.release(spent.id, owner="worker", available_at=past)
    for job in reversed(jobs):
        await records.create_job(job)

    async def claim_oldest(at: datetime, limit: int, *busy: str) -> list[Job]:
        claimed = await records.claim_oldest(owner="w", now=at, lease_until=at + LEASE, limit=limit, busy=busy)
        for job in claimed:
            same(await get_job(records, job.id), job, "claim_oldest() must return the current state of the jobs")
        return list(claimed)

    ids = [job.id for job in jobs]
    same(await claim_oldest(past - MOMENT, 9), [], "claim_oldest() before available_at must claim nothing")
    same(await claim_oldest(past + LEASE, 9, *ids), [], "claim_oldest() must ignore busy jobs")
    at = past + LEASE
    first = await claim_oldest(at, 2)
    same({job.id for job in first}, set(ids[:2]), "claim_oldest() must claim the longest claimable jobs")
    wanted = replace(
        jobs[0],
        status=JobStatus.PROCESSING,
        stage=Stage.MODERATE,
        attempts=1,
        lease_owner="w",
        lease_until=at + LEASE,
        started_at=at,
    )
    same([job for job in first if job.id == ids[0]], [wanted], "claim_oldest() must claim as claim() does")
    lapse = at + LEASE
    same({job.id for job in await claim_oldest(lapse - MOMENT, 1)}, {ids[2]}, "claim_oldest() must respect leases")
    rest = await claim_oldest(lapse, 9, ids[0])
    same({job.id for job in rest}, {ids[1], ids[3]}, "claim_oldest() must claim expired jobs and ignore busy ones")
    same([job.id for job in await claim_oldest(lapse, 9)], ids[:1], "claim_oldest() must claim every due job")
    again = await claim_oldest(lapse + LEASE, 9)
    same({job.id: job.attempts for job in again}, dict(zip(ids, (3, 3, 2, 2), strict=True)), "claims must count")
    for job in again:
        same(
            job.started_at,
            {ids[2]: lapse - MOMENT, ids[3]: lapse}.get(job.id, at),
            "only the first claim must set started_at",
        )
    same(
        {j.id for j in await claim_oldest(lapse + 2 * LEASE, 9)},
        set(ids[2:]),
        "jobs without remaining attempts must not be claimed",
    )
    for job_id in (*ids, spent.id):
        await records.cancel(job_id, now=now)


async def _claim_oldest_race(records: Records, now: datetime) -> None:
    past = now - timedelta(days=500)
    jobs = [a_job(now, available_at=past) for _ in range(9)]
    for job in jobs:
        await records.create_job(job)

    async def claim_oldest(number: int) -> list[str]:
        owner = f"racer {number}"
        claimed = await records.claim_oldest(owner=owner, now=past, lease_until=past + LEASE, limit=1)
        expect(all(job.lease_owner == owner for job in claimed), "claim_oldest() must set the owner")
        return [job.id for job in claimed]

    taken = [job_id for one in await race(claim_oldest) for job_id in one]
    expect(taken, f"of {RACERS} concurrent calls of claim_oldest() one must claim something")
    rest = await records.claim_oldest(owner="last", now=past, lease_until=past + LEASE, limit=len(jobs))
    taken += [job.id for job in rest]
    same(len(set(taken)), len(taken), "claim_oldest() must return a job to one caller only")
    same(set(taken), {job.id for job in jobs}, "claim_oldest() must claim every job eventually")
    for job in jobs:
        await records.cancel(job.id, now=now)


async def _lease(records: Records, now: datetime) -> None:
    job = await claimed_job(records, now)
    until = now + 2 * LEASE
    expect(await records.advance(job.id, owner="worker", lease_until=until), "advance() by the owner must be True")
    held = replace(job, lease_until=until)
    same(await get_job(records, job.id), held, "advance() without a stage must only extend the lease")
    entered = await records.advance(job.id, owner="worker", lease_until=until, stage=Stage.PUBLISH)
    expect(entered, "advance() into a stage by the owner must be True")
    held = replace(held, stage=Stage.PUBLISH)
    same(await get_job(records, job.id), held, "advance() must enter the stage")
    later = until + LEASE
    held_by_next = await records.claim(job.id, owner="next", now=until, lease_until=later)
    await owns_nothing(records, job, "worker", now, "a late owner")
    same(await get_job(records, job.id), held_by_next, "a late owner must change nothing")
    expect(await records.advance(job.id, owner="next", lease_until=later), "the new owner must hold the lease")
    for stranger in (a_job(now), await waiting_job(records, now)):
        await owns_nothing(records, stranger, "worker", now, "a worker without the lease")


async def _settling(records: Records, now: datetime) -> None:
    for status in (REJECTED, FAILED):
        job = await claimed_job(records, now)
        settlement = Settlement(
            status, None, Verdict("reject", ("x",)), "reason", "error", "code", True, {"a": 1.0}, ("w",)
        )
        done = await records.settle(job, owner="worker", now=now + LEASE, settlement=settlement)
        expect(done, f"settle() as {status} by the owner must be True")
        wanted = replace(
            job,
            status=status,
            stage=Stage.DONE,
            lease_owner=None,
            lease_until=None,
            finished_at=now + LEASE,
            verdict=settlement.verdict,
            reason="reason",
            error="error",
            code="code",
            retryable=True,
            timings_ms={"a": 1.0},
            warnings=("w",),
        )
        same(await get_job(records, job.id), wanted, f"settle() as {status} must write the settlement")
        await owns_nothing(records, job, "worker", now, "the owner of a terminal job")
        same(await get_job(records, job.id), wanted, "a terminal job must not change")
    job = await claimed_job(records, now)
    media = a_media(job, variants=tuple(Variant(f"v{n}", f"k{n}", "webp", n + 1, n + 1, n) for n in (5, 3, 9, 0, 7, 1)))
    expect(await records.settle(job, owner="worker", now=now, settlement=Settlement(COMPLETE, media)), "settle()")
    found = await records.get_media(media.id)
    same(found and found.variants, media.variants, "variants must keep their order")
    job = await claimed_job(records, now)
    bare = a_media(job, variants=())
    await records.settle(job, owner="worker", now=now, settlement=Settlement(COMPLETE, bare))
    same(await records.get_media(bare.id), bare, "a media without variants must be stored")


async def _settle_race(records: Records, now: datetime) -> None:
    job = await claimed_job(records, now)
    endings = [
        Settlement(COMPLETE, a_media(job, blurhash=str(n))) if n % 2 else Settlement(FAILED, error=str(n))
        for n in range(RACERS)
    ]

    async def settle(number: int) -> int | None:
        won = await records.settle(job, owner="worker", now=now, settlement=endings[number])
        return number if won else None

    winners = [number for number in await race(settle) if number is not None]
    same(len(winners), 1, f"of {RACERS} concurrent settlements exactly one must win")
    state = await get_state(records, job.id)
    won = endings[winners[0]]
    same(
        state and (state.job.status, state.job.error, state.media),
        (won.status, won.error, won.media),
        "only the winning settlement may be written, completely",
    )


async def _releasing(records: Records, now: datetime) -> None:
    job = await claimed_job(records, now)
    later = now + LEASE
    released = await records.release(job.id, owner="worker", available_at=later, error="boom", code="image_crashed")
    expect(released, "release() by the owner must be True")
    wanted = replace(
        job,
        status=JobStatus.PENDING,
        stage=Stage.QUEUED,
        lease_owner=None,
        lease_until=None,
        available_at=later,
        error="boom",
        code="image_crashed",
    )
    same(await get_job(records, job.id), wanted, "release() must return the job and keep count and failure")
    same(await records.claim(job.id, owner="worker", now=now, lease_until=later), None, "claim() within the back-off")
    again = await records.claim(job.id, owner="worker", now=later, lease_until=later + LEASE)
    same(again and again.attempts, 2, "claim() after a counted release() must increment the count")
    expect(
        await records.release(job.id, owner="worker", available_at=now, count_attempt=False), "release() must be True"
    )
    found = await get_job(records, job.id)
    same(
        found and (found.status, found.attempts, found.error, found.code),
        (JobStatus.PENDING, 1, None, None),
        "release(count_attempt=False) must undo the count",
    )
    for attempts in (2, 3):
        again = await records.claim(job.id, owner="worker", now=now, lease_until=later)
        same(again and again.attempts, attempts, "an uncounted attempt must remain available")
        await records.release(job.id, owner="worker", available_at=now)
    same(await records.claim(job.id, owner="worker", now=now, lease_until=later), None, "claim() beyond max_attempts")
    drained = await claimed_job(records, now, max_attempts=1)
    await records.release(drained.id, owner="worker", available_at=later, count_attempt=False)
    first = await records.claim(drained.id, owner="worker", now=later, lease_until=later + LEASE)
    same(first and (first.attempts, first.started_at), (1, now), "only the first claim() may set started_at")
