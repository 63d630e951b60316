"""The conformance check of records for owners: their jobs, their media and their usage."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta

from mediagate.errors import InvalidParameter
from mediagate.records import Records, Settlement, get_job
from mediagate.testing.record_samples import (
    HOSTILE,
    LEASE,
    MOMENT,
    a_job,
    a_media,
    claimed_job,
    expect,
    published_media,
    same,
)
from mediagate.values import Job, JobStatus, Stage, Usage, UsageReport

COMPLETE, FAILED, PENDING = JobStatus.COMPLETE, JobStatus.FAILED, JobStatus.PENDING


async def check_owned_records(records: Records, now: datetime) -> None:
    """Check the promises about owners; raises ``AssertionError`` with the broken one."""
    for check in (_media_of_an_owner, _jobs_of_an_owner, _pages_of_jobs, _model_runs, _usage, _usage_by_key):
        await check(records, now)


def an_owner() -> str:
    """Return the name of a new owner."""
    return f"{HOSTILE}{secrets.token_hex(8)}"


async def _media_of_an_owner(records: Records, now: datetime) -> None:
    kind, one, other = f"kind-{secrets.token_hex(8)}", an_owner(), an_owner()
    mine = await published_media(records, now, source_type=kind, owner_id=one)
    theirs = await published_media(records, now, source_type=kind, owner_id=other, source_id=mine.source_id)
    unowned = await published_media(records, now, source_type=kind)
    same(await records.get_media(mine.id), mine, "get_media() must return the owner")
    for owner, wanted in ((one, {mine.id}), (other, {theirs.id}), (None, {mine.id, theirs.id, unowned.id})):
        page = await records.list_media(kind, None, limit=9, owner_id=owner)
        same({media.id for media in page.items}, wanted, "list_media() must filter by owner")
    page = await records.list_media(kind, mine.source_id, limit=9, owner_id=one)
    same([media.id for media in page.items], [mine.id], "list_media() must filter by owner and source id")
    found = await records.jobs_of_media([mine.id, theirs.id], owner_id=one)
    same(dict(found), {mine.id: (COMPLETE, True)}, "jobs_of_media() must filter by owner")


async def _jobs_of_an_owner(records: Records, now: datetime) -> None:
    one, other = an_owner(), an_owner()
    waiting = a_job(now, owner_id=one)
    await records.create_job(waiting)
    theirs = a_job(now, owner_id=other, source_id=waiting.source_id)
    await records.create_job(theirs)
    media = await published_media(records, now - MOMENT, owner_id=one, source_type=f"kind-{secrets.token_hex(4)}")
    gone = await published_media(records, now - 2 * MOMENT, owner_id=one)
    await records.delete_media(gone.id)
    page = await records.list_jobs(owner_id=one, limit=9)
    same(
        [(state.job.id, state.media) for state in page.items],
        [(waiting.id, None), (media.job_id, media), (gone.job_id, None)],
        "list_jobs() must filter by owner and return the newest first, with their media",
    )
    same(page.items[0].job, await get_job(records, waiting.id), "list_jobs() must return complete jobs")
    for wanted, of in (
        ([waiting.id], {"status": PENDING}),
        ([media.job_id, gone.job_id], {"status": COMPLETE}),
        ([], {"status": FAILED}),
        ([waiting.id], {"status": [PENDING]}),
        ([waiting.id, media.job_id, gone.job_id], {"status": [COMPLETE, FAILED, PENDING]}),
        ([media.job_id, gone.job_id], {"status": {FAILED, COMPLETE}}),
        ([], {"status": []}),
        ([media.job_id], {"source_type": media.source_type}),
        ([waiting.id], {"source_id": waiting.source_id}),
        ([waiting.id], {"source_type": "check", "source_id": waiting.source_id, "status": PENDING}),
        ([], {"source_type": media.source_type, "source_id": waiting.source_id}),
        ([], {"source_type": HOSTILE}),
    ):
        page = await records.list_jobs(owner_id=one, limit=9, **of)
        same([state.job.id for state in page.items], wanted, f"list_jobs() must filter by {of}")
    page = await records.list_jobs(source_id=waiting.source_id, limit=9)
    both = {waiting.id, theirs.id}
    same({state.job.id for state in page.items}, both, "list_jobs() without an owner must return all jobs")


async def _pages_of_jobs(records: Records, now: datetime) -> None:
    owner = an_owner()
    made: list[Job] = []
    for n in range(10):
        job = a_job(now + n // 4 * MOMENT, owner_id=owner)
        await records.create_job(job)
        made.append(job)
    wanted = [job.id for job in sorted(made, key=lambda job: (job.created_at, job.id), reverse=True)]
    seen: list[str] = []
    cursor: str | None = None
    for turn in range(9):
        page = await records.list_jobs(owner_id=owner, limit=3, cursor=cursor)
        seen += [state.job.id for state in page.items]
        if turn == 0:
            await records.create_job(a_job(now + LEASE, owner_id=owner))
        cursor = page.next_cursor
        if cursor is None:
            break
    same(seen, wanted, "pages of jobs must neither repeat nor skip with equal times and new jobs in between")
    newest = a_job(now + 2 * LEASE)
    for job in (newest, a_job(now)):
        await records.create_job(job)
    found = [state.job.id for state in (await records.list_jobs(limit=1)).items]
    same(found, [newest.id], "list_jobs() must return the newest job first, not the one recorded last")
    page = await records.list_jobs(owner_id=owner, limit=4, offset=3)
    found = [state.job.id for state in page.items]
    same((found, page.total), (wanted[2:6], 11), "list_jobs() with an offset must skip that many and count all")
    for status, total in (((PENDING, FAILED), 11), ((COMPLETE, FAILED), 0)):
        page = await records.list_jobs(owner_id=owner, status=status, limit=4, offset=3)
        found = [state.job.id for state in page.items]
        same((found, page.total), (wanted[2:6] if total else [], total), "list_jobs() must count those in any status")
    full = await records.list_jobs(owner_id=owner, limit=11)
    same((len(full.items), full.next_cursor), (11, None), "the last page must have no next_cursor")
    try:
        await records.list_jobs(owner_id=owner, limit=3, cursor="x")
    except InvalidParameter:
        return
    expect(False, "list_jobs() with an invalid cursor must raise InvalidParameter")


async def _model_runs(records: Records, now: datetime) -> None:
    job = await claimed_job(records, now)
    entered = await records.advance(job.id, owner="worker", lease_until=now + LEASE, stage=Stage.PUBLISH, model_runs=1)
    expect(entered, "advance() must be True")
    await records.advance(job.id, owner="worker", lease_until=now + LEASE, stage=Stage.PUBLISH, model_runs=1)
    await records.advance(job.id, owner="worker", lease_until=now + LEASE)
    late = await records.advance(job.id, owner="late", lease_until=now + LEASE, model_runs=5)
    expect(not late, "advance() by a late owner must be False")
    await records.release(job.id, owner="worker", available_at=now)
    again = await records.claim(job.id, owner="worker", now=now, lease_until=now + LEASE)
    same(again and again.model_runs, 1, "advance() must set the model runs, also when repeated")
    settlement = Settlement(JobStatus.REJECTED, reason="why", model_runs=1)
    expect(await records.settle(job, owner="worker", now=now, settlement=settlement), "settle() must be True")
    found = await get_job(records, job.id)
    same(found and found.model_runs, 2, "settle() must add its model runs to those of the job")
    same(again and settlement.state_of(again, now).job.model_runs, 2, "state_of() must add them too")


async def _usage(records: Records, now: datetime) -> None:
    owner, other, large = an_owner(), an_owner(), 2**31 - 1
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=3)
    today = midnight.date()
    day = timedelta(days=1)
    report = UsageReport(owner, today, today, {})
    same(await records.usage(owner_id=owner, first=today, last=today), report, "usage() without uploads must be empty")
    before = (await records.usage(owner_id=None, first=today, last=today)).days
    for moment in (midnight - MOMENT, midnight, midnight + day - MOMENT, midnight + day):
        await records.create_job(a_job(moment, owner_id=owner, bytes=large))
    await records.create_job(a_job(midnight, owner_id=other))
    waiting = Usage(1, large, 0, 0, {PENDING: 1})
    wanted = {today - day: waiting, today: waiting + waiting, today + day: waiting}
    used = (await records.usage(owner_id=owner, first=today - day, last=today + day)).days
    same(dict(used), wanted, "usage() must include both days and group by the UTC day of the upload")
    same(list(used), sorted(used), "usage() must return the days in order")
    used = (await records.usage(owner_id=owner, first=today, last=today)).days
    same(dict(used), {today: wanted[today]}, "usage() must exclude other days")
    for status in (COMPLETE, FAILED):
        job = await claimed_job(records, midnight, owner_id=owner, bytes=10, credits=large)
        same(job.credits, large, "claim() must return the price of a job")
        media = a_media(job) if status is COMPLETE else None
        settlement = Settlement(status, media, bytes_out=large if media else 0, model_runs=1)
        await records.settle(job, owner="worker", now=now, settlement=settlement)
    wanted[today] += Usage(2, 20, large, 2, {COMPLETE: 1, FAILED: 1}, large)
    used = (await records.usage(owner_id=owner, first=today, last=today)).days
    same(
        used.get(today),
        wanted[today],
        "usage() must return bytes out, model runs, job results and the credits of COMPLETE jobs",
    )
    total = (await records.usage(owner_id=None, first=today, last=today)).days
    theirs = Usage(1, a_job(now).bytes, 0, 0, {PENDING: 1})
    everything = before.get(today, Usage()) + wanted[today] + theirs
    same(total.get(today), everything, "usage() without an owner must return the total")


async def _usage_by_key(records: Records, now: datetime) -> None:
    owner, other, today = an_owner(), an_owner(), now.date()
    one, two = (f"{n}{an_owner()}" for n in "12")
    for key in (two, one, one, None):
        await records.create_job(a_job(now, owner_id=owner, key_id=key, bytes=10))
    await records.create_job(a_job(now - timedelta(days=1), owner_id=owner, key_id=one))
    await records.create_job(a_job(now, owner_id=other, key_id=one, bytes=10))
    job = await claimed_job(records, now, owner_id=owner, key_id=two, bytes=10)
    settlement = Settlement(COMPLETE, a_media(job), bytes_out=2**31 - 1, model_runs=1)
    await records.settle(job, owner="worker", now=now, settlement=settlement)
    wanted = {
        one: Usage(2, 20, 0, 0, {PENDING: 2}),
        two: Usage(2, 20, 2**31 - 1, 1, {PENDING: 1, COMPLETE: 1}),
    }
    used = (await records.usage(owner_id=owner, first=today, last=today)).keys
    same(dict(used), wanted, "usage() must sum an owner's uploads by key and exclude those without one")
    same(list(used), [one, two], "usage() must return the keys in order")
    used = (await records.usage(owner_id=None, first=today, last=today)).keys
    same(
        used.get(one),
        wanted[one] + Usage(1, 10, 0, 0, {PENDING: 1}),
        "usage() without an owner must sum the keys of all",
    )
