"""The conformance check of records for pipelines: their columns, their outputs, and the deletion of these."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from mediagate.records import Records, Settlement, get_job, get_state
from mediagate.testing.owned_records import an_owner
from mediagate.testing.record_samples import HOSTILE, LEASE, MOMENT, a_job, claimed_job, expect, owns_nothing, same
from mediagate.values import (
    InputWarning,
    Job,
    JobKind,
    JobState,
    JobStatus,
    Output,
    PipelineInput,
    PipelineResult,
    PipelineSpec,
    Stage,
    StageState,
    input_key,
    new_id,
)

HOUR = timedelta(hours=1)
MANY = 200
FIRST = -20
"""A priority before those of all other checks."""


async def check_outputs(records: Records, now: datetime) -> None:
    """Check the promises about pipelines; raises ``AssertionError`` with the broken one."""
    for check in (_round_trip, _claims, _lost_lease, _stages, _expiry, _clearing, _media_ids, _erasure):
        await check(records, now)


def a_pipeline(now: datetime, **changes: Any) -> Job:
    """Return a new job of a pipeline with two inputs."""
    steps = ({"op": "resize", "width": 10}, {"op": "save", "as": HOSTILE})
    spec = PipelineSpec(steps, "ab" * 32, HOUR, HOSTILE, "cd" * 32, True, HOSTILE, HOSTILE)
    job = a_job(now, kind=JobKind.PIPELINE, spec=spec)
    inputs = tuple(
        PipelineInput(
            name,
            HOSTILE,
            input_key(job.id, position),
            "png",
            2**31 - 1,
            "ef" * 32,
            640,
            480,
            refers=position == 1,
            pages=None if position == 1 else 3,
        )
        for position, name in enumerate(("input0", "logo"))
    )
    return replace(job, inputs=inputs, **changes)


def outputs_of(job: Job, count: int = 2) -> tuple[Output, ...]:
    """Return the outputs of a job."""
    return tuple(
        Output(
            n,
            f"name{n}",
            "input0",
            HOSTILE,
            f"outputs/{job.media_id}/{n}.webp",
            "webp",
            64 + n,
            48,
            1 + n,
            2**31 - 1,
            page=n or None,
        )
        for n in range(count)
    )


async def made_pipeline(records: Records, now: datetime, **changes: Any) -> JobState:
    """Create, claim and complete a pipeline; return its state."""
    job = await claimed_pipeline(records, now, **changes)
    settlement = Settlement(
        JobStatus.COMPLETE, outputs=outputs_of(job), result=PipelineResult(), expires_at=now + HOUR, bytes_out=9
    )
    settled = await records.settle(job, owner="worker", now=now, settlement=settlement)
    expect(settled, "settle() of a pipeline by the lease's owner must return True")
    return settlement.state_of(job, now)


async def claimed_pipeline(records: Records, now: datetime, **changes: Any) -> Job:
    """Create a pipeline and claim it as ``worker``."""
    job = a_pipeline(now, **changes)
    await records.create_job(job)
    claimed = await records.claim(job.id, owner="worker", now=now, lease_until=now + LEASE)
    if claimed is None:
        raise AssertionError("claim() of a new pipeline must return it")
    return claimed


async def _round_trip(records: Records, now: datetime) -> None:
    job = a_pipeline(now)
    await records.create_job(job)
    created = replace(job, available_at=now)
    same(await get_job(records, job.id), created, "get_jobs() must return every field of a pipeline unchanged")
    claimed = await records.claim(job.id, owner="worker", now=now, lease_until=now + LEASE)
    begun = replace(
        created,
        status=JobStatus.PROCESSING,
        stage=Stage.MODERATE,
        attempts=1,
        lease_owner="worker",
        lease_until=now + LEASE,
        started_at=now,
    )
    same(claimed, begun, "claim() must return the new state of a pipeline")
    data = {"read_metadata": [{"input": "input0", "step": 1, "value": {HOSTILE: [1.5, None, {"a": HOSTILE}]}}]}
    settlement = Settlement(
        JobStatus.COMPLETE,
        outputs=outputs_of(job),
        result=PipelineResult(data, (InputWarning("input0", 1, "a_code", HOSTILE, 3),)),
        stages=(StageState("judge", None, "done", 100, 1.5), StageState("step0", "resize", "skipped", 50)),
        expires_at=now + HOUR,
    )
    expect(
        await records.settle(begun, owner="worker", now=now, settlement=settlement),
        "settle() of a pipeline must return True",
    )
    state = settlement.state_of(begun, now)
    same(await get_state(records, job.id), state, "changed() must return a settled pipeline with its outputs in order")
    page = await records.list_jobs(source_id=job.source_id, limit=2)
    same(page.items, (state,), "list_jobs() must return a pipeline with its outputs")
    same(await records.get_media(job.media_id), None, "a pipeline must have no media")


async def _claims(records: Records, now: datetime) -> None:
    one: dict[str, Any] = {"priority": FIRST, "owner_id": an_owner()}
    upload, pipeline, last = a_job(now, **one), a_pipeline(now, **one), a_job(now, **one)
    for job in (upload, pipeline, last):
        await records.create_job(job)
    claimed = await records.claim_oldest(owner="w", now=now, lease_until=now + LEASE, limit=3)
    same(
        [job.id for job in claimed],
        [upload.id, pipeline.id, last.id],
        "claim_oldest() must claim uploads and pipelines in the order of their turns",
    )
    same([job.lease_until for job in claimed], [now + LEASE] * 3, "claim_oldest() must set the lease of each job")
    early = await records.claim_oldest(owner="x", now=now + LEASE - MOMENT, lease_until=now + 2 * LEASE, limit=MANY)
    same([job.id for job in early if job.priority == FIRST], [], "claim_oldest() must leave a pipeline to its lease")
    again = await records.claim_oldest(owner="x", now=now + LEASE, lease_until=now + 2 * LEASE, limit=MANY)
    same(
        {job.id for job in again if job.priority == FIRST},
        {upload.id, pipeline.id, last.id},
        "claim_oldest() must claim a pipeline whose lease has expired",
    )
    expect(
        await records.release(pipeline.id, owner="x", available_at=now + 2 * LEASE),
        "release() of a pipeline must be True",
    )
    soon = await records.claim(pipeline.id, owner="y", now=now + 2 * LEASE - MOMENT, lease_until=now + 3 * LEASE)
    same(soon, None, "claim() must leave a pipeline that is not available yet")
    ready = await records.claim(pipeline.id, owner="y", now=now + 2 * LEASE, lease_until=now + 3 * LEASE)
    expect(ready is not None, "claim() must claim a pipeline that has become available")
    failed = await records.fail_exhausted(now=now + 2 * LEASE, limit=100)
    expect(pipeline.id not in failed, "fail_exhausted() must leave a pipeline to its lease")
    failed = await records.fail_exhausted(now=now + 3 * LEASE, limit=100)
    expect(pipeline.id in failed, "fail_exhausted() must fail a pipeline without an attempt whose lease has expired")
    retried = await records.requeue(pipeline.id, now=now)
    expect(retried is not None and retried.available_at == now, "requeue() must make a failed pipeline available")
    for job in (upload, pipeline, last):
        await records.cancel(job.id, now=now)


async def _lost_lease(records: Records, now: datetime) -> None:
    job = await claimed_pipeline(records, now)
    await owns_nothing(records, job, "thief", now, "another worker of a pipeline")
    late = Settlement(JobStatus.COMPLETE, outputs=outputs_of(job), result=PipelineResult(), expires_at=now)
    expect(
        not await records.settle(job, owner="thief", now=now, settlement=late),
        "settle() of a pipeline by another worker must be False",
    )
    state = await get_state(records, job.id)
    same(state and state.outputs, (), "settle() by another worker must write no outputs")
    await records.cancel(job.id, now=now)


async def _stages(records: Records, now: datetime) -> None:
    for job in (await claimed_job(records, now), await claimed_pipeline(records, now)):
        stages = (StageState("decode", None, "done", 100, 2.5), StageState(HOSTILE, HOSTILE, "running", 50))
        until = now + 2 * LEASE
        expect(
            await records.advance(job.id, owner="worker", lease_until=until, stages=stages), "advance() must be True"
        )
        told = replace(job, lease_until=until, stages=stages)
        same(await get_job(records, job.id), told, "advance() must record the stages, and nothing else but the lease")
        expect(await records.advance(job.id, owner="worker", lease_until=until), "advance() must be True")
        same(await get_job(records, job.id), told, "advance() without stages must leave them")
        failed = Settlement(JobStatus.FAILED, error="no", stages=stages[:1])
        await records.settle(told, owner="worker", now=now, settlement=failed)
        ended = await get_job(records, job.id)
        same(ended and ended.stages, stages[:1], "settle() must record the stages")
        again = await records.requeue(job.id, now=now)
        same(again and again.stages, (), "requeue() must forget the stages")
        await records.cancel(job.id, now=now)


async def _expiry(records: Records, now: datetime) -> None:
    past = now - timedelta(days=400)
    made = [await made_pipeline(records, past + n // 2 * MOMENT) for n in range(5)]
    made.sort(key=lambda state: (state.job.expires_at, state.job.id))
    early = await records.outputs.expired(now=past + HOUR - MOMENT, limit=9)
    same(list(early), [], "expired() must leave outputs whose time has not come")
    seen: list[JobState] = []
    after: Job | None = None
    while batch := await records.outputs.expired(now=past + HOUR + LEASE, limit=2, after=after):
        expect(len(batch) <= 2, "expired() must return at most `limit` jobs")
        seen += batch
        after = seen[-1].job
    same(seen, made, "expired() must return the jobs with their outputs, ordered by expiry and id")
    for state in made:
        await records.outputs.clear(state.job.id, now=now)


async def _clearing(records: Records, now: datetime) -> None:
    past = now - timedelta(days=300)
    state, running = await made_pipeline(records, past), await claimed_pipeline(records, now)
    media = await claimed_job(records, now)
    for job_id in (running.id, media.id, new_id("job")):
        expect(not await records.outputs.clear(job_id, now=now), "clear() must be False without a complete pipeline")
    expect(await records.outputs.clear(state.job.id, now=now), "clear() must be True")
    cleared = replace(state.job, cleared_at=now, expires_at=None, result=None)
    same(await get_state(records, state.job.id), JobState(cleared), "clear() must delete outputs and result")
    expect(not await records.outputs.clear(state.job.id, now=now), "clear() must be False when it was done before")
    gone = await records.outputs.expired(now=past + 2 * HOUR, limit=9)
    same([one.job.id for one in gone if one.job.id == state.job.id], [], "expired() must leave cleared outputs")
    for job in (running, media):
        await records.cancel(job.id, now=now)


async def _media_ids(records: Records, now: datetime) -> None:
    made, cleared = await made_pipeline(records, now), await made_pipeline(records, now)
    await records.outputs.clear(cleared.job.id, now=now)
    running = await claimed_pipeline(records, now)
    found = await records.jobs_of_media([state.media_id for state in (made.job, cleared.job, running)])
    same(
        dict(found),
        {
            made.job.media_id: (JobStatus.COMPLETE, True),
            cleared.job.media_id: (JobStatus.COMPLETE, False),
            running.media_id: (JobStatus.PROCESSING, False),
        },
        "jobs_of_media() must count outputs as media until they are cleared",
    )
    await records.cancel(running.id, now=now)


async def _erasure(records: Records, now: datetime) -> None:
    owner = an_owner()
    state = await made_pipeline(records, now, owner_id=owner)
    same(await records.erase_jobs(owner, [state.job.id]), 0, "erase_jobs() must keep a pipeline that has outputs")
    await records.outputs.clear(state.job.id, now=now)
    same(await records.erase_jobs(owner, [state.job.id]), 1, "erase_jobs() must delete a pipeline without outputs")
    same(await get_state(records, state.job.id), None, "changed() must not return an erased pipeline")
