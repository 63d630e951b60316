"""The conformance check of records for batches: one transaction for all jobs, and one report of their end."""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import datetime
from typing import Any

from mediagate.records import Records, Settlement, get_job
from mediagate.testing.outputs import a_pipeline
from mediagate.testing.owned_records import an_owner
from mediagate.testing.record_samples import HOSTILE, LEASE, MOMENT, RACERS, a_job, expect, race, same
from mediagate.values import (
    Batch,
    BatchChild,
    BatchState,
    Event,
    EventsOfBatch,
    EventType,
    Job,
    JobStatus,
    StageState,
    new_id,
)

ALL = 100_000
FIRST = -30
"""A priority before those of all other checks."""


async def check_batches(records: Records, now: datetime) -> None:
    """Check the promises about batches; raises ``AssertionError`` with the broken one."""
    for check in (_round_trip, _keys, _states, _reporting, _racing, _unreported, _owners, _forgetting, _turns):
        await check(records, now)


def a_batch(now: datetime, size: int = 2, *, owner: str | None = None, **changes: Any) -> tuple[Batch, list[Job]]:
    """Return a new batch and its jobs."""
    batch = Batch(new_id("bat"), now, owner_id=owner or an_owner())
    jobs = [
        a_pipeline(now, batch_id=batch.id, batch_position=number, owner_id=batch.owner_id, **changes)
        for number in range(size)
    ]
    return batch, jobs


async def _created(records: Records, now: datetime, size: int = 2, **changes: Any) -> tuple[Batch, list[Job]]:
    batch, jobs = a_batch(now, size, **changes)
    expect(await records.batches.create(batch, jobs), "batches.create() must return True")
    return batch, jobs


async def _round_trip(records: Records, now: datetime) -> None:
    batch, jobs = a_batch(now, 3, client_reference_id=HOSTILE)
    batch = replace(batch, client_reference_id=HOSTILE, callback_url="https://example.com/?a=1&b=%22#\"'")
    expect(await records.batches.create(batch, jobs), "batches.create() must return True")
    children = tuple(BatchChild(job.id, JobStatus.PENDING, client_reference_id=HOSTILE) for job in jobs)
    same(await records.batches.get(batch.id), BatchState(batch, children), "batches.get() must return all fields")
    found = await get_job(records, jobs[1].id)
    same(found, replace(jobs[1], available_at=now), "get_jobs() must return a job of a batch unchanged")
    for unknown in (new_id("bat"), "", HOSTILE, jobs[0].id):
        same(await records.batches.get(unknown), None, "batches.get() of an unknown batch must be None")
    nobody = Batch(new_id("bat"), now)
    expect(await records.batches.create(nobody, [a_pipeline(now, batch_id=nobody.id, batch_position=0)]), "create()")
    state = await records.batches.get(nobody.id)
    same(state and state.batch, nobody, "batches.get() must return a batch without an owner")


async def _keys(records: Records, now: datetime) -> None:
    key, later = secrets.token_hex(8), now + LEASE
    (batch, jobs), (other, others) = a_batch(now), a_batch(now)
    bound: dict[str, Any] = {"key": key, "fingerprint": "f", "key_expires_at": later}
    before = await records.queue_depth()
    expect(
        not await records.batches.create(batch, jobs, **bound), "create() under a key that is not ours must be False"
    )
    await records.reserve_key(key, now=now, expires_at=later)
    expect(await records.batches.create(batch, jobs, **bound), "create() under a reserved key must be True")
    held = await records.reserve_key(key, now=now, expires_at=later)
    same(held and (held.job_id, held.fingerprint), (jobs[0].id, "f"), "create() must bind the key to the first job")
    expect(not await records.batches.create(other, others, **bound), "create() under a bound key must be False")
    same(await records.batches.get(other.id), None, "create() that is False must write no batch")
    same(await records.queue_depth() - before, 2, "create() that is False must write no jobs")


async def _states(records: Records, now: datetime) -> None:
    batch, jobs = await _created(records, now, 3)
    await records.claim(jobs[1].id, owner="worker", now=now, lease_until=now + LEASE)
    stages = (StageState("judge", None, "done", 100, 1.5), StageState("publish"))
    await records.advance(jobs[1].id, owner="worker", lease_until=now + LEASE, stages=stages)
    state = await records.batches.get(batch.id)
    progress = state and [child.progress for child in state.children]
    same(progress, [0, 70, 0], "batches.get() must return the progress of each job")
    same(state and state.status, JobStatus.PROCESSING, "a batch must be PROCESSING when a job has begun")
    await _end(records, jobs[1], now, JobStatus.FAILED)
    await _end(records, jobs[0], now + MOMENT, JobStatus.CANCELLED)
    await _end(records, jobs[2], now + LEASE, JobStatus.REJECTED)
    state = await records.batches.get(batch.id)
    ended = await records.get_jobs([job.id for job in jobs])
    children = tuple(BatchChild.of(ended[job.id]) for job in jobs)
    same(state and state.children, children, "batches.get() must return the states of its jobs in their order")
    same(state and (state.status, state.finished_at), (JobStatus.FAILED, now + LEASE), "the end of a batch")


async def _reporting(records: Records, now: datetime) -> None:
    batch, jobs = await _created(records, now)
    seen = list[BatchState]()
    await _end(records, jobs[0], now, JobStatus.CANCELLED)
    early = await records.batches.report(batch.id, now=now, events_of=_noting(seen, now))
    expect(not early and not seen, "report() must be False while a job is live")
    await _end(records, jobs[1], now, JobStatus.CANCELLED)
    state = await records.batches.get(batch.id)
    expect(await records.batches.report(batch.id, now=now, events_of=_noting(seen, now)), "report() must be True")
    same(seen, [state], "report() must derive its events from the state of the batch")
    events = await _events(records, batch)
    same(events, [_event(batch, now)], "report() must write its events unchanged")
    again = await records.batches.report(batch.id, now=now + MOMENT, events_of=_noting(seen, now))
    expect(not again, "report() of a reported batch must be False")
    same(await _events(records, batch), events, "report() of a reported batch must write no event")
    state = await records.batches.get(batch.id)
    same(state and state.batch.reported_at, now, "report() must record when it was")
    unknown = await records.batches.report(new_id("bat"), now=now, events_of=_noting(seen, now))
    expect(not unknown, "report() of an unknown batch must be False")
    await records.passed_on([event.id for event in events], now=now)
    same(await _events(records, batch), [], "passed_on() must remove the event of a batch")


async def _racing(records: Records, now: datetime) -> None:
    batch, jobs = await _created(records, now)
    for job in jobs:
        await _end(records, job, now, JobStatus.CANCELLED)
    reported = await race(
        lambda number: records.batches.report(batch.id, now=now, events_of=lambda state: (_event(batch, now, number),))
    )
    same(reported.count(True), 1, f"of {RACERS} concurrent report() exactly one must be True")
    same(len(await _events(records, batch)), 1, f"{RACERS} concurrent report() must write one event")


async def _unreported(records: Records, now: datetime) -> None:
    for batch_id in await records.batches.unreported(limit=ALL):
        await records.batches.report(batch_id, now=now)
    (late, lates), (early, earlies) = await _created(records, now + MOMENT), await _created(records, now)
    _, lives = await _created(records, now)
    await _end(records, lives[0], now, JobStatus.CANCELLED)
    for job in (*lates, *earlies):
        await _end(records, job, now, JobStatus.CANCELLED)
    found = list(await records.batches.unreported(limit=ALL))
    same(found, [early.id, late.id], "unreported() must return batches whose jobs have ended, oldest first")
    same(list(await records.batches.unreported(limit=1)), [early.id], "unreported() must return at most `limit`")
    await records.batches.report(early.id, now=now)
    same(list(await records.batches.unreported(limit=ALL)), [late.id], "unreported() must leave out reported ones")


async def _owners(records: Records, now: datetime) -> None:
    owner = an_owner()
    made = [(await _created(records, now, owner=owner))[0] for _ in range(5)]
    await _created(records, now)
    wanted, seen, after = sorted(batch.id for batch in made), list[str](), ""
    while page := await records.batches.of_owner(owner, limit=2, after=after):
        expect(len(page) <= 2, "of_owner() must return at most `limit` batches")
        seen += [batch.id for batch in page]
        after = seen[-1]
    same(seen, wanted, "of_owner() must return the batches of an owner, ordered by id")


async def _forgetting(records: Records, now: datetime) -> None:
    one, other = an_owner(), an_owner()
    (gone, gones), (live, lives) = await _created(records, now, owner=one), await _created(records, now, owner=one)
    theirs, others = await _created(records, now, owner=other)
    for job in (*gones, *others, lives[0]):
        await _end(records, job, now, JobStatus.CANCELLED)
    for batch in (gone, theirs):
        await records.batches.report(batch.id, now=now, events_of=_noting([], now))
    await records.erase_jobs(one, [job.id for job in (*gones, *lives)])
    await records.erase_jobs(other, [job.id for job in others])
    same(await records.batches.forget(owner_id=one), 1, "forget() must delete the batches of an owner without jobs")
    left = [await records.batches.get(batch.id) is not None for batch in (gone, live, theirs)]
    same(left, [False, True, True], "forget() must keep batches with jobs and those of other owners")
    same(await _events(records, gone), [], "forget() must delete the events of its batches")
    same(len(await _events(records, theirs)), 1, "forget() must keep the events of other batches")
    same(await records.batches.forget(), 1, "forget() without an owner must delete the batches of all")
    same(await records.batches.forget(), 0, "forget() must be idempotent")


async def _turns(records: Records, now: datetime) -> None:
    many, other = an_owner(), an_owner()
    _, jobs = await _created(records, now, 6, owner=many, priority=FIRST)
    _, more = await _created(records, now, 2, owner=many, priority=FIRST)
    turns = [job.turn for job in (await _jobs(records, [*jobs, *more]))]
    same(turns, sorted(set(turns)), "the jobs of a batch must get turns one after the other")
    single = a_job(now, owner_id=other, priority=FIRST)
    await records.create_job(single)
    claimed = await records.claim_oldest(owner="w", now=now, lease_until=now + LEASE, limit=2)
    same({job.id for job in claimed}, {single.id, jobs[0].id}, "another's job must not wait for the jobs of a batch")
    for job in (single, *jobs, *more):
        await records.cancel(job.id, now=now)


async def _jobs(records: Records, jobs: list[Job]) -> list[Job]:
    found = await records.get_jobs([job.id for job in jobs])
    return [found[job.id] for job in jobs]


async def _end(records: Records, job: Job, now: datetime, status: JobStatus) -> None:
    if status is JobStatus.CANCELLED:
        expect(await records.cancel(job.id, now=now), "cancel() of a live job must return it")
        return
    claimed = await records.claim(job.id, owner="worker", now=now, lease_until=now + LEASE)
    held = claimed or await get_job(records, job.id)
    settled = held and await records.settle(held, owner="worker", now=now, settlement=Settlement(status, code="a_code"))
    expect(settled, "settle() by the lease's owner must return True")


def _event(batch: Batch, now: datetime, number: int = 0) -> Event:
    return Event(f"evt_{batch.id}_{number}", EventType.BATCH_COMPLETED, batch.id, now, f'{{"x":"{HOSTILE}"}}')


def _noting(seen: list[BatchState], now: datetime) -> EventsOfBatch:
    def events_of(state: BatchState) -> tuple[Event, ...]:
        seen.append(state)
        return (_event(state.batch, now),)

    return events_of


async def _events(records: Records, batch: Batch) -> list[Event]:
    return [event for event in await records.outbox(limit=ALL) if event.job_id == batch.id]
