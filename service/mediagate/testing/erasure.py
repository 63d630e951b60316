"""The conformance check of records for erasing the jobs and direct uploads of an owner."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Any

from mediagate.records import Records, Settlement
from mediagate.testing.owned_records import an_owner
from mediagate.testing.record_samples import (
    LEASE,
    MOMENT,
    a_job,
    claimed_job,
    expect,
    published_media,
    same,
)
from mediagate.testing.upload_records import an_upload
from mediagate.values import Event, EventType, Job, JobStatus, new_id

FIRST = -10
"""A priority before those of all other checks."""


async def check_erasure(records: Records, now: datetime) -> None:
    """Check the promises about erasing; raises ``AssertionError`` with the broken one."""
    for check in (_jobs, _events, _keys, _uploads, _time_of_the_queue):
        await check(records, now)


async def _jobs(records: Records, now: datetime) -> None:
    one, other = an_owner(), an_owner()
    waiting = a_job(now, owner_id=one)
    await records.create_job(waiting)
    working = await claimed_job(records, now, owner_id=one)
    published = await published_media(records, now, owner_id=one)
    deleted = await published_media(records, now, owner_id=one)
    await records.delete_media(deleted.id)
    ended = [await _failed(records, now, owner_id=one), await _cancelled(records, now, owner_id=one)]
    theirs = await _failed(records, now, owner_id=other)
    asked = [waiting.id, working.id, published.job_id, deleted.job_id, *(job.id for job in ended), theirs.id]
    same(await records.erase_jobs(one, []), 0, "erase_jobs() without jobs must be 0")
    gone = await records.erase_jobs(one, asked)
    left = {waiting.id, working.id, published.job_id, theirs.id}
    same(set(await records.get_jobs(asked)), left, "erase_jobs() must delete an owner's terminal jobs without media")
    same(gone, len(asked) - len(left), "erase_jobs() must return how many are gone")
    same(await records.get_media(published.id), published, "erase_jobs() must keep a media")
    await records.delete_media(published.id)
    await records.cancel(waiting.id, now=now)
    await records.cancel(working.id, now=now)
    mine = [waiting.id, working.id, published.job_id]
    same(await records.erase_jobs(one, mine), 3, "erase_jobs() must delete them once they are terminal")
    same(await records.erase_jobs(one, mine), 3, "erase_jobs() must be idempotent")
    same((await records.list_jobs(owner_id=one, limit=9)).items, (), "list_jobs() must not return erased jobs")
    found = [state.job.id for state in (await records.list_jobs(owner_id=other, limit=9)).items]
    same(found, [theirs.id], "erase_jobs() must keep other owners' jobs")


async def _events(records: Records, now: datetime) -> None:
    one, other = an_owner(), an_owner()
    written: list[Event] = []

    def events_of(job: Job) -> tuple[Event, ...]:
        written.append(Event(new_id("evt"), EventType.JOB_CANCELLED, job.id, now, "{}"))
        return (written[-1],)

    for owner in (one, other):
        job = a_job(now, owner_id=owner)
        await records.create_job(job)
        await records.cancel(job.id, now=now, events_of=events_of)
    live = await claimed_job(records, now, owner_id=one)
    failed = Settlement(JobStatus.FAILED, error="no")
    await records.settle(live, owner="worker", now=now, settlement=failed, events_of=events_of)
    await records.requeue(live.id, now=now)
    media = await published_media(records, now, owner_id=one)
    deletion = Event(new_id("evt"), EventType.MEDIA_DELETED, media.job_id, now, "{}")
    await records.delete_media(media.id, events=(deletion,))
    await records.erase_jobs(one, [event.job_id for event in (*written, deletion)])
    left = [event for event in await records.outbox(limit=10_000) if event in (*written, deletion)]
    same(
        {event.id for event in left},
        {written[1].id, written[2].id, deletion.id},
        "erase_jobs() must delete the events of its jobs, except media.deleted",
    )
    await records.passed_on([event.id for event in left], now=now)
    await records.cancel(live.id, now=now)


async def _keys(records: Records, now: datetime) -> None:
    owner, later = an_owner(), now + LEASE
    erased, live, theirs = jobs = [a_job(now, owner_id=name) for name in (owner, owner, an_owner())]
    keys = [secrets.token_hex(8) for _ in jobs]
    for job, key in zip(jobs, keys, strict=True):
        await records.reserve_key(key, now=now, expires_at=later)
        await records.create_job(job, key=key, fingerprint="f", key_expires_at=later)
    in_flight = secrets.token_hex(8)
    await records.reserve_key(in_flight, now=now, expires_at=later)
    for job in (erased, theirs):
        await records.cancel(job.id, now=now)
    await records.erase_jobs(owner, [job.id for job in jobs])
    held = [await records.reserve_key(key, now=now, expires_at=later) for key in (*keys, in_flight)]
    expect(held[0] is None, "erase_jobs() must delete the keys of its jobs")
    expect(held[1] is not None and held[1].job_id == live.id, "erase_jobs() must keep the keys of live jobs")
    expect(held[2] is not None and held[2].job_id == theirs.id, "erase_jobs() must keep the keys of others' jobs")
    expect(held[3] is not None, "erase_jobs() must keep keys in flight")
    await records.cancel(live.id, now=now)


async def _uploads(records: Records, now: datetime) -> None:
    one, other = an_owner(), an_owner()
    made = [an_upload(now, owner_id=one, expires_at=now + n * MOMENT) for n in range(-1, 4)]
    for upload in (*made, an_upload(now, owner_id=other), an_upload(now)):
        await records.create_upload(upload)
    job = a_job(now, owner_id=one)
    expect(await records.complete_upload(made[2].id, job, expires_at=now), "complete_upload() must be True")
    await records.cancel(job.id, now=now)
    wanted, seen, after = sorted(upload.id for upload in made), [], ""
    while page := await records.uploads_of(one, limit=2, after=after):
        expect(len(page) <= 2, "uploads_of() must return at most `limit` uploads")
        seen += [upload.id for upload in page]
        after = seen[-1]
    same(seen, wanted, "uploads_of() must return an owner's uploads in every state, ordered by id")
    recorded = await records.get_uploads(wanted)
    found = list(await records.uploads_of(one, limit=9))
    same(found, [recorded[upload_id] for upload_id in wanted], "uploads_of() must return complete uploads")
    same(list(await records.uploads_of(an_owner(), limit=9)), [], "uploads_of() of an unknown owner must be empty")


async def _time_of_the_queue(records: Records, now: datetime) -> None:
    one, waits, new = an_owner(), an_owner(), an_owner()
    many = [await _failed(records, now, owner_id=one, priority=FIRST) for _ in range(4)]
    waiting = a_job(now, owner_id=waits, priority=FIRST)
    await records.create_job(waiting)
    same(await records.erase_jobs(one, [job.id for job in many]), 4, "erase_jobs() must delete failed jobs")
    late = a_job(now + MOMENT, owner_id=new, priority=FIRST)
    await records.create_job(late)
    claimed = await records.claim_oldest(owner="w", now=now + MOMENT, lease_until=now + LEASE, limit=1)
    same([job.id for job in claimed], [waiting.id], "erase_jobs() must not let new jobs come before waiting ones")
    for job in (waiting, late):
        await records.cancel(job.id, now=now)


async def _failed(records: Records, now: datetime, **changes: Any) -> Job:
    job = await claimed_job(records, now, **changes)
    settled = await records.settle(job, owner="worker", now=now, settlement=Settlement(JobStatus.FAILED, error="no"))
    expect(settled, "settle() by the lease's owner must return True")
    return job


async def _cancelled(records: Records, now: datetime, **changes: Any) -> Job:
    job = a_job(now, **changes)
    await records.create_job(job)
    expect(await records.cancel(job.id, now=now), "cancel() of a live job must return it")
    return job
