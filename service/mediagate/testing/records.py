"""The conformance check of records."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from datetime import datetime, timedelta

from mediagate.errors import InvalidParameter
from mediagate.records import Records, Settlement, get_job, get_state
from mediagate.testing.batches import check_batches
from mediagate.testing.erasure import check_erasure
from mediagate.testing.idempotency_keys import check_keys
from mediagate.testing.identity import check_identity
from mediagate.testing.job_ends import check_job_ends
from mediagate.testing.job_path import check_job_path
from mediagate.testing.media_pages import check_media_pages
from mediagate.testing.outbox import check_outbox
from mediagate.testing.outputs import check_outputs
from mediagate.testing.owned_records import check_owned_records
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
    waiting_job,
)
from mediagate.testing.rejudgements import check_rejudgements
from mediagate.testing.turns import check_turns
from mediagate.testing.upload_records import check_uploads
from mediagate.values import CropBox, JobStatus, Stage, Verdict, new_id, utcnow

MANY = 500
COMPLETE = JobStatus.COMPLETE


async def check_records(records: Records) -> None:
    """Check all promises of the protocol on open records; raises ``AssertionError`` with the broken one.

    Use a separate database: the check leaves its jobs behind, and sweeps all due rows.
    """
    now = utcnow()
    for check in (
        _round_trip,
        _reading_many,
        _what_changed,
        _waiting_longest,
        check_job_path,
        check_job_ends,
        check_outbox,
        check_media_pages,
        _deleting,
        check_owned_records,
        check_keys,
        check_uploads,
        check_turns,
        check_erasure,
        check_rejudgements,
        check_outputs,
        check_batches,
        check_identity,
    ):
        await check(records, now)
    before, after = await records.now(), await records.now()
    expect(before <= after, "now() must not run backwards")
    expect(before.tzinfo and not before.microsecond % 1000, "now() must have a time zone and whole milliseconds")
    expect(await records.check(), "check() must return a line with its result")


async def _round_trip(records: Records, now: datetime) -> None:
    plain = a_job(now)
    await records.create_job(plain)
    same(await get_job(records, plain.id), replace(plain, available_at=now), "get_jobs() must return the created job")
    full = a_job(
        now + MOMENT,
        source_id=HOSTILE,
        filename=HOSTILE,
        client_reference_id=HOSTILE,
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        callback_url="https://example.com/?a=1&b=%22#\"'",
        focal_x=0.0,
        focal_y=0.3333333333333333,
        crop=CropBox(0.1, 0.2, 0.3333333333333333, 1e-9),
        max_attempts=7,
        available_at=now,
        bytes=2**31 - 1,
        owner_id=HOSTILE,
        key_id=HOSTILE,
        priority=-3,
    )
    await records.create_job(full)
    same(await get_job(records, full.id), full, "get_jobs() must return every field unchanged")
    job = await records.claim(full.id, owner=HOSTILE, now=now, lease_until=now + LEASE)
    claimed = replace(
        full,
        status=JobStatus.PROCESSING,
        stage=Stage.MODERATE,
        attempts=1,
        lease_owner=HOSTILE,
        lease_until=now + LEASE,
        started_at=now,
    )
    same(job, claimed, "claim() must return the new state of the job")
    state = await get_state(records, full.id)
    same(state and (state.job, state.media), (claimed, None), "changed() of a running job must have no media")
    scores = {"nudity": 0.1234567890123, HOSTILE: 1.0}
    models = {"m": "ff", HOSTILE: ""}
    verdict = Verdict("review", ("nudity", HOSTILE), scores, 0.5, "m", "ff", HOSTILE, complete=False, models=models)
    media = a_media(full, original_key=None, focal_x=0.0)
    settlement = Settlement(
        COMPLETE,
        media,
        verdict,
        HOSTILE,
        HOSTILE,
        "a_code",
        True,
        {"moderate": 1.5, HOSTILE: 0.0},
        (HOSTILE, ""),
        2**31 - 1,
        2,
    )
    expect(
        await records.settle(full, owner=HOSTILE, now=now + LEASE, settlement=settlement),
        "settle() must return True",
    )
    done = replace(
        claimed,
        status=COMPLETE,
        stage=Stage.DONE,
        lease_owner=None,
        lease_until=None,
        finished_at=now + LEASE,
        verdict=verdict,
        reason=HOSTILE,
        error=HOSTILE,
        code="a_code",
        retryable=True,
        timings_ms=settlement.timings_ms or {},
        warnings=settlement.warnings,
        bytes_out=2**31 - 1,
        model_runs=2,
    )
    state = await get_state(records, full.id)
    same(state and state.job, done, "changed() must return the settled job")
    same(state and state.media, media, "changed() must return the media with its variants in order")
    same(await records.get_media(media.id), media, "get_media() must return the media with its variants in order")
    for unknown in (new_id("job"), "", HOSTILE, "x" * 3000):
        same(await get_job(records, unknown), None, f"get_jobs([{unknown[:20]!r}]) of an unknown job must be empty")
        same(
            await get_state(records, unknown),
            None,
            f"changed({{{unknown[:20]!r}: None}}) of an unknown job must be empty",
        )
        same(await records.get_media(unknown), None, f"get_media({unknown[:20]!r}) of an unknown media must be None")
    nul = "a\x00b"
    for name, reading in (
        ("get_jobs", get_job(records, nul)),
        ("changed", get_state(records, nul)),
        ("get_media", records.get_media(nul)),
    ):
        with contextlib.suppress(InvalidParameter):
            expect(await reading is None, f"{name}() of an id with NUL must be empty or raise InvalidParameter")


async def _reading_many(records: Records, now: datetime) -> None:
    before = await records.queue_depth()
    waiting, working = a_job(now), await claimed_job(records, now)
    await records.create_job(waiting)
    media = await published_media(records, now)
    same(await records.queue_depth() - before, 2, "queue_depth() must count only PENDING and PROCESSING jobs")
    same(dict(await records.get_jobs([])), {}, "get_jobs([]) must be empty")
    same(dict(await records.jobs_of_media([])), {}, "jobs_of_media([]) must be empty")
    wanted = {waiting.id: JobStatus.PENDING, working.id: JobStatus.PROCESSING, media.job_id: COMPLETE}
    strangers = [new_id("job") for _ in range(MANY)]
    found = await records.get_jobs([*strangers, *wanted])
    same({i: job.status for i, job in found.items()}, wanted, f"get_jobs() among {MANY} ids")
    same(
        found[working.id], await get_job(records, working.id), "get_jobs() must return the same for many ids as for one"
    )
    gone = await published_media(records, now)
    await records.delete_media(gone.id)
    by_media = {
        waiting.media_id: (JobStatus.PENDING, False),
        working.media_id: (JobStatus.PROCESSING, False),
        media.id: (COMPLETE, True),
        gone.id: (COMPLETE, False),
    }
    same(dict(await records.jobs_of_media([*strangers, *by_media])), by_media, f"jobs_of_media() among {MANY} ids")


async def _what_changed(records: Records, now: datetime) -> None:
    waiting, working = await waiting_job(records, now), await claimed_job(records, now)
    media, gone = await published_media(records, now), await published_media(records, now)
    await records.delete_media(gone.id)
    states = {
        job_id: await get_state(records, job_id) for job_id in (waiting.id, working.id, media.job_id, gone.job_id)
    }
    queued, moderating = (JobStatus.PENDING, Stage.QUEUED), (JobStatus.PROCESSING, Stage.MODERATE)
    strangers = [new_id("job") for _ in range(MANY)]
    same(dict(await records.changed({})), {}, "changed({}) must be empty")
    new = dict.fromkeys([*strangers, *states])
    same(
        dict(await records.changed(new)),
        states,
        "changed() must return every existing job whose state is unknown",
    )
    before = dict.fromkeys([*strangers[:9], *states], queued)
    moved = {job_id: state for job_id, state in states.items() if job_id != waiting.id}
    same(
        dict(await records.changed(before)),
        moved,
        "changed() must return the jobs whose state differs from the known one",
    )
    mixed = {strangers[0]: None, waiting.id: queued, working.id: moderating, media.job_id: moderating}
    same(
        dict(await records.changed(mixed)),
        {media.job_id: states[media.job_id]},
        "changed() must compare each job separately",
    )
    publishing = {working.id: (JobStatus.PROCESSING, Stage.PUBLISH)}
    same(
        list(await records.changed(publishing)), [working.id], "changed() must detect another stage of the same status"
    )


async def _waiting_longest(records: Records, now: datetime) -> None:
    long_ago = now - timedelta(days=365)
    second = a_job(long_ago - LEASE, available_at=long_ago + MOMENT)
    first = a_job(now, available_at=long_ago)
    for job in (second, first):
        await records.create_job(job)
    same(await records.oldest_waiting(), long_ago, "oldest_waiting() must be the time from which a job can be claimed")
    await records.claim(first.id, owner="worker", now=now, lease_until=now + LEASE)
    same(await records.oldest_waiting(), long_ago + MOMENT, "oldest_waiting() must not count a claimed job")
    await records.release(first.id, owner="worker", available_at=long_ago)
    same(await records.oldest_waiting(), long_ago + MOMENT, "oldest_waiting() must not count second attempts")
    await records.cancel(second.id, now=now)
    await records.cancel(first.id, now=now)
    later = await records.oldest_waiting()
    expect(later is None or later > long_ago + LEASE, "oldest_waiting() must not count terminal jobs")


async def _deleting(records: Records, now: datetime) -> None:
    media = await published_media(records, now)
    expect(await records.delete_media(media.id), "delete_media() of an existing media must be True")
    expect(not await records.delete_media(media.id), "delete_media() of a deleted media must be False")
    expect(not await records.delete_media(new_id("med")), "delete_media() of an unknown media must be False")
    same(await records.get_media(media.id), None, "get_media() of a deleted media must be None")
    state = await get_state(records, media.job_id)
    same(state and (state.job.status, state.media), (COMPLETE, None), "the job of a deleted media must remain")
