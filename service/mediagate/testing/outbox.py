"""The conformance check of records for events: written atomically with the change that they report."""

from __future__ import annotations

from datetime import datetime, timedelta

from mediagate.records import Records, Settlement, get_job, get_state
from mediagate.testing.record_samples import (
    HOSTILE,
    LEASE,
    MOMENT,
    RACERS,
    a_media,
    claimed_job,
    expect,
    published_media,
    race,
    same,
    waiting_job,
)
from mediagate.values import Event, EventsOf, EventType, Job, JobStatus, new_id

ALL = 100_000
DONE = JobStatus.COMPLETE


async def check_outbox(records: Records, now: datetime) -> None:
    """Check the promises about events; raises ``AssertionError`` with the broken one."""
    for check in (_settling, _ending_otherwise, _deleting, _racing, _passing_on):
        await check(records, now)


def an_event(job: Job, kind: EventType, moment: datetime) -> Event:
    """Return an event of a job with data that is easily corrupted."""
    return Event(new_id("evt"), kind, job.id, moment, f'{{"job":"{job.id}","attempts":{job.attempts},"x":"{HOSTILE}"}}')


async def _of(records: Records, job_id: str) -> list[Event]:
    return [event for event in await records.outbox(limit=ALL) if event.job_id == job_id]


async def _settling(records: Records, now: datetime) -> None:
    for status in (DONE, JobStatus.REJECTED):
        job = await claimed_job(records, now)
        event = an_event(job, EventType.JOB_COMPLETED, now)
        settlement = Settlement(status, a_media(job) if status is DONE else None)
        late = await records.settle(job, owner="late", now=now, settlement=settlement, events_of=_just(event))
        expect(not late, "settle() by a late owner must be False")
        same(await _of(records, job.id), [], "settle() by a late owner must write no event")
        done = await records.settle(job, owner="worker", now=now, settlement=settlement, events_of=_just(event))
        expect(done, "settle() with events must be True")
        same(await _of(records, job.id), [event], "settle() must write its events unchanged")
        state = await get_state(records, job.id)
        same(state and state.media, settlement.media, "settle() with events must write the media too")
        again = await records.settle(
            job, owner="worker", now=now, settlement=settlement, events_of=_noting(EventType.JOB_FAILED, [])
        )
        expect(not again, "settle() of a settled job must be False")
        same(await _of(records, job.id), [event], "settle() of a settled job must write no event")
    job, seen = await claimed_job(records, now), list[Job]()
    settlement, events_of = Settlement(JobStatus.FAILED, error="x", model_runs=1), _noting(EventType.JOB_FAILED, seen)
    expect(await records.settle(job, owner="worker", now=now, settlement=settlement, events_of=events_of), "settle()")
    same(seen[-1:], [await get_job(records, job.id)], "settle() must derive its events from the job's new state")
    silent = await published_media(records, now)
    same(await _of(records, silent.job_id), [], "settle() without events must write none")


def _just(event: Event) -> EventsOf:
    return lambda job: (event,)


def _noting(kind: EventType, seen: list[Job]) -> EventsOf:
    def events_of(job: Job) -> tuple[Event, ...]:
        seen.append(job)
        return (an_event(job, kind, job.finished_at or job.created_at),)

    return events_of


async def _ending_otherwise(records: Records, now: datetime) -> None:
    for job in (await waiting_job(records, now), await claimed_job(records, now)):
        seen: list[Job] = []
        cancelled = await records.cancel(job.id, now=now + MOMENT, events_of=_noting(EventType.JOB_CANCELLED, seen))
        same(seen[-1:], [cancelled], "cancel() must derive its events from the job's new state")
        same(await get_job(records, job.id), cancelled, "cancel() with events must return the recorded job")
        same([e.type for e in await _of(records, job.id)], [EventType.JOB_CANCELLED], "cancel() must write its events")
        again = await records.cancel(job.id, now=now, events_of=_noting(EventType.JOB_CANCELLED, seen))
        same((again, len(await _of(records, job.id))), (None, 1), "cancel() of a terminal job must write no event")
    died = await claimed_job(records, now, max_attempts=1)
    left = await claimed_job(records, now, max_attempts=2)
    seen = []
    failed = await records.fail_exhausted(now=now + LEASE, limit=1000, events_of=_noting(EventType.JOB_FAILED, seen))
    expect(died.id in failed, "fail_exhausted() with events must fail the job")
    same(
        [job for job in seen if job.id == died.id],
        [await get_job(records, died.id)],
        "fail_exhausted() must derive its events from the job's new state",
    )
    same(
        [e.type for e in await _of(records, died.id)], [EventType.JOB_FAILED], "fail_exhausted() must write its events"
    )
    same(await _of(records, left.id), [], "fail_exhausted() must write no event for a job that it ignores")


async def _deleting(records: Records, now: datetime) -> None:
    media = await published_media(records, now)
    job = await get_job(records, media.job_id)
    if job is None:
        raise AssertionError("get_jobs() of a published media's job must return it")
    event = an_event(job, EventType.MEDIA_DELETED, now)
    expect(await records.delete_media(media.id, events=(event,)), "delete_media() with events must be True")
    same(await _of(records, job.id), [event], "delete_media() must write its events")
    more = (an_event(job, EventType.MEDIA_DELETED, now),)
    expect(not await records.delete_media(media.id, events=more), "delete_media() of a deleted media must be False")
    same(await _of(records, job.id), [event], "delete_media() of a deleted media must write no event")


async def _racing(records: Records, now: datetime) -> None:
    job = await claimed_job(records, now)

    async def end(number: int) -> bool:
        if number % 2:
            cancelled = await records.cancel(job.id, now=now, events_of=_noting(EventType.JOB_CANCELLED, []))
            return cancelled is not None
        event = an_event(job, EventType.JOB_COMPLETED, now)
        settlement = Settlement(DONE, a_media(job))
        return await records.settle(job, owner="worker", now=now, settlement=settlement, events_of=_just(event))

    same((await race(end)).count(True), 1, f"of {RACERS} concurrent ends of one job exactly one must win")
    found = await get_job(records, job.id)
    wanted = EventType.JOB_COMPLETED if found and found.status is DONE else EventType.JOB_CANCELLED
    same([e.type for e in await _of(records, job.id)], [wanted], "only the winning end may write its event")


async def _passing_on(records: Records, now: datetime) -> None:
    long_ago = now - timedelta(days=300)
    events = []
    for n in (2, 0, 1):
        job = await claimed_job(records, now)
        events.append(an_event(job, EventType.JOB_FAILED, long_ago + n * MOMENT))
        settlement = Settlement(JobStatus.FAILED, error="x")
        await records.settle(job, owner="worker", now=now, settlement=settlement, events_of=_just(events[-1]))
    last, first, second = events
    same(
        list(await records.outbox(limit=2)),
        [first, second],
        "outbox() must return the oldest first and respect its limit",
    )
    await records.passed_on([first.id, last.id], now=now)
    await records.passed_on([new_id("evt")], now=now)
    await records.passed_on([], now=now)
    same(list(await records.outbox(limit=1)), [second], "outbox() must not return delivered events")
    found = await records.outbox(limit=ALL)
    expect(first not in found and last not in found, "outbox() must not return delivered events")
    await records.passed_on([second.id], now=now)
