"""The conformance check of records for jobs that end or are requeued without their worker, and for their hooks."""

from __future__ import annotations

from datetime import datetime, timedelta

from mediagate.records import Records, Settlement, get_job
from mediagate.testing.record_samples import (
    LEASE,
    MOMENT,
    claimed_job,
    expect,
    owns_nothing,
    published_media,
    same,
    waiting_job,
)
from mediagate.values import JobStatus, Media, Stage, new_id

FAILED = JobStatus.FAILED


async def check_job_ends(records: Records, now: datetime) -> None:
    """Check the promises about job ends; raises ``AssertionError`` with the broken one."""
    for check in (_exhausted, _cancelling, _requeueing, _notifying):
        await check(records, now)


async def _exhausted(records: Records, now: datetime) -> None:
    lapse = now + LEASE
    died = await claimed_job(records, now, max_attempts=1)
    await records.advance(died.id, owner="worker", lease_until=lapse, stage=Stage.PUBLISH)
    spent = await claimed_job(records, now, max_attempts=1)
    await records.release(spent.id, owner="worker", available_at=now + 9 * LEASE, error="boom", code="image_crashed")
    left = await claimed_job(records, now, max_attempts=2)
    early = await records.fail_exhausted(now=lapse - MOMENT, limit=1000)
    expect(died.id not in early, "fail_exhausted() must ignore a job with a valid lease")
    failed = {*early, *await records.fail_exhausted(now=lapse, limit=1000)}
    expect(
        {died.id, spent.id} <= failed, "fail_exhausted() must fail expired and PENDING jobs without remaining attempts"
    )
    expect(left.id not in failed, "fail_exhausted() must ignore a job with remaining attempts")
    found = await get_job(records, died.id)
    expect(
        found
        and (found.status, found.code, found.lease_owner, found.stage)
        == (FAILED, "attempts_exhausted", None, Stage.DONE)
        and found.finished_at == lapse
        and "publish" in (found.error or ""),
        f"fail_exhausted() must set attempts_exhausted and an error with the stage: got {found}",
    )
    found = await get_job(records, spent.id)
    same(
        found and (found.status, found.code, found.error),
        (FAILED, "image_crashed", "boom"),
        "fail_exhausted() must keep an earlier failure of the job",
    )
    again = await records.fail_exhausted(now=lapse, limit=1000)
    expect(not failed & set(again), "fail_exhausted() must report a job once")
    for _ in range(3):
        await claimed_job(records, now - 9 * LEASE, max_attempts=1)
    same(len(await records.fail_exhausted(now=now, limit=2)), 2, "fail_exhausted() must respect its limit")
    await records.fail_exhausted(now=now, limit=1000)


async def _cancelling(records: Records, now: datetime) -> None:
    waiting, working = await waiting_job(records, now), await claimed_job(records, now)
    for job in (waiting, working):
        cancelled = await records.cancel(job.id, now=now + MOMENT)
        same(
            cancelled and (cancelled.id, cancelled.status, cancelled.finished_at, cancelled.lease_owner),
            (job.id, JobStatus.CANCELLED, now + MOMENT, None),
            "cancel() must return the job, CANCELLED and without a lease",
        )
        same(await get_job(records, job.id), cancelled, "cancel() must be recorded")
        same(await records.cancel(job.id, now=now), None, "cancel() of a terminal job must be None")
        await owns_nothing(records, job, "worker", now, "the owner of a cancelled job")
        same(await records.requeue(job.id, now=now), None, "requeue() of a cancelled job must be None")
        same(
            await records.claim(job.id, owner="w", now=now + LEASE, lease_until=now + 2 * LEASE), None, "claim() after"
        )
    same(await records.cancel(new_id("job"), now=now), None, "cancel() of an unknown job must be None")


async def _requeueing(records: Records, now: datetime) -> None:
    job = await claimed_job(records, now, max_attempts=2)
    same(await records.requeue(job.id, now=now), None, "requeue() of a live job must be None")
    await records.settle(
        job, owner="worker", now=now, settlement=Settlement(FAILED, error="boom", code="c", retryable=True)
    )
    await records.mark_notified(job.id, ended_at=now, now=now)
    again = await records.requeue(job.id, now=now + LEASE)
    expect(
        again
        and (again.status, again.stage, again.attempts, again.available_at)
        == (JobStatus.PENDING, Stage.QUEUED, 0, now + LEASE)
        and (again.error, again.code, again.retryable, again.finished_at, again.notified_at)
        == (None, None, False, None, None),
        f"requeue() must reset the attempts and the failure of a FAILED job: got {again}",
    )
    same(await get_job(records, job.id), again, "requeue() must be recorded")
    same(await records.requeue(job.id, now=now), None, "requeue() of a requeued job must be None")
    for attempts in (1, 2):
        claimed = await records.claim(job.id, owner="w", now=now + LEASE, lease_until=now + 2 * LEASE)
        same(claimed and claimed.attempts, attempts, "a requeued job must have all its attempts")
        await records.release(job.id, owner="w", available_at=now)
    media = await published_media(records, now)
    same(await records.requeue(media.job_id, now=now), None, "requeue() of a COMPLETE job must be None")
    same(await records.requeue(new_id("job"), now=now), None, "requeue() of an unknown job must be None")


async def _notifying(records: Records, now: datetime) -> None:
    live = await claimed_job(records, now)
    past = now - timedelta(days=200)
    done: list[Media] = [await published_media(records, past + n * MOMENT) for n in (1, 0)]
    ids = [media.job_id for media in reversed(done)]
    same(
        list(await records.unnotified(before=past, limit=9)),
        [],
        "unnotified() must return only jobs that finished before",
    )
    found = await records.unnotified(before=past + 2 * MOMENT, limit=9)
    same(list(found), ids, "unnotified() must return the terminal jobs that finished before, oldest first")
    same(list(await records.unnotified(before=now, limit=1)), ids[:1], "unnotified() must respect its limit")
    found = await records.unnotified(before=now + LEASE, limit=10_000)
    expect(live.id not in found, "unnotified() must not return live jobs")
    await records.mark_notified(ids[0], ended_at=past - MOMENT, now=now)
    same(list(await records.unnotified(before=past + LEASE, limit=9)), ids, "mark_notified() of an outdated end")
    await records.mark_notified(ids[0], ended_at=past, now=now)
    await records.mark_notified(new_id("job"), ended_at=past, now=now)
    same(list(await records.unnotified(before=past + LEASE, limit=9)), ids[1:], "unnotified() after mark_notified()")
    job = await get_job(records, ids[0])
    same(job and job.notified_at, now, "mark_notified() must record the time")
    await records.mark_notified(ids[1], ended_at=past + MOMENT, now=now)
