"""The part of the conformance check of records that is about judging published pictures again."""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from mediagate.records import Records, get_state
from mediagate.testing.record_samples import HOSTILE, LEASE, MOMENT, expect, published_media, race, same
from mediagate.values import (
    Event,
    EventType,
    JobStatus,
    Media,
    RejudgeAction,
    Rejudgement,
    RejudgementEnd,
    RejudgementStatus,
    Rejudging,
    Verdict,
    new_id,
    rejudgement_id,
)

VERDICT = Verdict("reject", ("nudity",), {"nudity": 0.9, HOSTILE: 0.1}, 0.9, "m", "ff", HOSTILE, models={"m": "ff"})
ENDED = RejudgementStatus


async def check_rejudgements(records: Records, now: datetime) -> None:
    """Check passes, claims, leases and results."""
    await _passes(records, now)
    await _claims(records, now)
    await _leases(records, now)
    await _ends(records, now)
    await _taking_down(records, now)
    await _erasing(records, now)


def _a_pass(now: datetime, **changes: Any) -> Rejudging:
    new = Rejudging(new_id("rej"), f"kind-{secrets.token_hex(8)}", RejudgeAction.LIST, now, now, 60)
    return replace(new, **changes)


def _claim_of(rejudging: Rejudging, media: Media, now: datetime) -> Rejudgement:
    return Rejudgement(
        rejudgement_id(rejudging.id, media.job_id),
        rejudging.id,
        media.job_id,
        media.id,
        now,
        max_attempts=3,
        lease_owner="worker",
        lease_until=now + LEASE,
    )


async def _read(records: Records, rejudging: Rejudging) -> Rejudging:
    (found,) = await records.rejudgements.get_rejudgings([rejudging.id])
    return found


async def _claimed(records: Records, now: datetime, **changes: Any) -> tuple[Rejudging, Media, Rejudgement]:
    """Begin a pass and claim a new media in it."""
    rejudging = await records.rejudgements.begin(_a_pass(now, **changes))
    media = await published_media(records, now, source_type=rejudging.source_type)
    claimed = _claim_of(rejudging, media, now)
    drawn = await records.rejudgements.draw(rejudging, media, now=now, next_at=now, claimed=claimed)
    expect(drawn, "draw() of an open pass must be True")
    return rejudging, media, claimed


async def _passes(records: Records, now: datetime) -> None:
    passes = records.rejudgements
    first = _a_pass(now, moderator=HOSTILE, outdated=True, action=RejudgeAction.REVIEW)
    same(await passes.begin(first), first, "begin() must return the new pass")
    same(await _read(records, first), first, "get_rejudgings() must return every field unchanged")
    again = replace(first, id=new_id("rej"), rate=7, created_at=now + MOMENT)
    same(await passes.begin(again), replace(first, rate=7), "begin() must return the open pass, with the new rate")
    for other in (
        replace(again, source_type="other"),
        replace(again, action=RejudgeAction.REJECT),
        replace(again, moderator=None),
        replace(again, outdated=False),
    ):
        begun = await passes.begin(replace(other, id=new_id("rej")))
        expect(begun.id != first.id, "begin() must tell sources, actions, moderators and outdated apart")
        await passes.close_rejudging(begun.id, now=now)
    one = _a_pass(now)

    async def begin(_: int) -> Rejudging:
        return await passes.begin(replace(one, id=new_id("rej")))

    begun_ids = {rejudging.id for rejudging in await race(begin)}
    same(len(begun_ids), 1, "begin() by many at once must begin one pass")
    is_open = {rejudging.id for rejudging in await passes.get_rejudgings()}
    expect({first.id, *begun_ids} <= is_open, "get_rejudgings() must return the open passes")
    for rejudging_id in (first.id, *begun_ids):
        await passes.close_rejudging(rejudging_id, now=now + LEASE)
    expect(
        not {first.id, *begun_ids} & {rejudging.id for rejudging in await passes.get_rejudgings()},
        "get_rejudgings() must not return closed passes",
    )
    same((await _read(records, first)).drawn_at, now + LEASE, "close_rejudging() must end the pass")
    same((await passes.begin(again)).id, again.id, "begin() after close_rejudging() must begin a new pass")
    await passes.close_rejudging(again.id, now=now)
    await passes.close_rejudging(new_id("rej"), now=now)


async def _claims(records: Records, now: datetime) -> None:
    passes = records.rejudgements
    rejudging, media, claimed = await _claimed(records, now)
    read = await _read(records, rejudging)
    same((read.claims, read.in_progress, read.done), (1, 1, False), "draw() must count a claim")
    same(
        list(await passes.list_rejudgements(rejudging_id=rejudging.id, limit=9)),
        [replace(claimed, available_at=now)],
        "list_rejudgements() must return every field unchanged",
    )
    page = await records.list_media(rejudging.source_type, None, limit=9, cursor=read.cursor)
    same(page.items, (), "draw() must move the pass behind the media")
    other = await published_media(records, now, source_type=rejudging.source_type)
    late = _claim_of(rejudging, other, now)
    expect(
        not await passes.draw(rejudging, other, now=now, next_at=now, claimed=late),
        "draw() must be False for a pass that has changed since it was read",
    )
    expect(
        not await passes.draw(read, media, now=now, next_at=now, claimed=replace(late, job_id=new_id("job"))),
        "draw() must be False for an unknown job",
    )

    async def draw(_: int) -> bool:
        return await passes.draw(read, other, now=now, next_at=now + LEASE, claimed=late, current=2)

    same(sorted(await race(draw))[-2:], [False, True], "draw() by many at once must succeed once")
    read = await _read(records, rejudging)
    same((read.next_at, read.current, read.claims), (now + LEASE, 2, 2), "draw() must record the next time")
    expect(await passes.draw(read, None, now=now, next_at=now), "draw() without media must be True")
    read = await _read(records, rejudging)
    same((read.drawn_at, read.done), (now, False), "draw() without media must end the claims of a pass")
    await passes.close_rejudging(rejudging.id, now=now)
    same(
        list(await passes.list_rejudgements(rejudging_id=rejudging.id, limit=9)),
        [],
        "close_rejudging() must delete unfinished re-judgements",
    )
    expect(not await passes.draw(read, None, now=now, next_at=now), "draw() of a closed pass must be False")


async def _leases(records: Records, now: datetime) -> None:
    passes = records.rejudgements
    rejudging, _, claimed = await _claimed(records, now)
    read, until = await _read(records, rejudging), now + 9 * LEASE

    async def claim_again(read: Rejudging, at: datetime, owner: str = "other") -> Rejudgement | None:
        return await passes.claim_again(read, owner=owner, now=at, lease_until=until, next_at=at)

    same(await claim_again(read, now + LEASE - MOMENT), None, "claim_again() of a held re-judgement must be None")
    expect(await passes.advance(claimed.id, owner="worker", lease_until=now + 2 * LEASE), "advance() by the owner")
    expect(not await passes.advance(claimed.id, owner="x", lease_until=until), "advance() by others must be False")
    same(await claim_again(read, now + LEASE), None, "claim_again() after advance() must be None")
    taken = await race(lambda number: claim_again(read, now + 2 * LEASE, f"other-{number}"))
    (again,) = [one for one in taken if one is not None]
    same((again.attempts, again.status, again.lease_until), (2, ENDED.PROCESSING, until), "claim_again()")
    for counted in (True, False):
        released = await passes.release(claimed.id, owner="worker", available_at=until, count_attempt=counted)
        expect(not released, "release() after a lapse")
    read = await _read(records, rejudging)
    same(read.next_at, now + 2 * LEASE, "release() after a lapse must not let the pass wait")
    owner = again.lease_owner or ""
    expect(
        await passes.release(again.id, owner=owner, available_at=now + LEASE, error=HOSTILE, code="c"),
        "release() by the owner must be True",
    )
    read = await _read(records, rejudging)
    same(await claim_again(read, now + LEASE - MOMENT), None, "claim_again() before available_at must be None")
    third = await claim_again(read, now + LEASE)
    same(third and (third.attempts, third.error, third.code), (3, HOSTILE, "c"), "claim_again() after release()")
    expect(
        await passes.release(claimed.id, owner="other", available_at=until, count_attempt=False),
        "release() by the owner must be True",
    )
    read = await _read(records, rejudging)
    same((read.next_at, read.in_progress), (until, 1), "an uncounted release() must let the whole pass wait")
    fourth = await claim_again(read, until)
    same(fourth and fourth.attempts, 3, "an uncounted release() must not count")
    await passes.close_rejudging(rejudging.id, now=now)


async def _ends(records: Records, now: datetime) -> None:
    passes = records.rejudgements
    counts = {ENDED.PASSED: "passed", ENDED.GONE: "gone", ENDED.FELL: "fell", ENDED.REVIEW: "fell"} | {
        ENDED.FAILED: "failed"
    }
    for status, count in counts.items():
        rejudging, media, claimed = await _claimed(records, now)
        end = RejudgementEnd(status, VERDICT, HOSTILE, "a_code")
        stranger = replace(claimed, lease_owner="x")
        expect(not await passes.end(stranger, end, now=now), f"end() {status} by another owner must be False")
        expect(await passes.end(claimed, end, now=now + MOMENT), f"end() {status} by the owner must be True")
        expect(not await passes.end(claimed, end, now=now), f"end() {status} must happen once")
        read = await _read(records, rejudging)
        same((getattr(read, count), read.in_progress), (1, 0), f"end() {status} must be counted")
        kept = list(await passes.list_rejudgements(job_id=media.job_id, status=status, limit=9))
        ended = replace(claimed, status=status, available_at=now, finished_at=now + MOMENT, verdict=VERDICT)
        ended = replace(ended, lease_owner=None, lease_until=None, error=HOSTILE, code="a_code")
        counted = status in (ENDED.PASSED, ENDED.GONE)
        same(kept, [] if counted else [ended], f"list_rejudgements() after end() {status}")
        state = await get_state(records, media.job_id)
        same(
            state and (state.job.verdict, state.media),
            (VERDICT if status is ENDED.PASSED else None, media),
            f"the job after end() {status}",
        )
        if status is ENDED.REVIEW:
            expect(await passes.end(ended, RejudgementEnd(ENDED.KEPT, VERDICT), now=now), "end() KEPT must be True")
            same(await _read(records, rejudging), read, "end() KEPT must not be counted again")
            state = await get_state(records, media.job_id)
            same(state and state.job.verdict, VERDICT, "end() KEPT must store the verdict")
        await passes.close_rejudging(rejudging.id, now=now)


async def _taking_down(records: Records, now: datetime) -> None:
    passes = records.rejudgements
    rejudging, media, claimed = await _claimed(records, now, action=RejudgeAction.REJECT)
    state = await get_state(records, media.job_id)
    if state is None:
        raise AssertionError("the job of a media must be on record")
    at = now + timedelta(days=2)
    job = replace(state.job, status=JobStatus.REJECTED, verdict=VERDICT, reason=HOSTILE, code="c", warnings=(HOSTILE,))
    job = replace(job, finished_at=at, notified_at=None)
    event = Event(new_id("evt"), EventType.JOB_REJECTED, job.id, at, "{}")
    end = RejudgementEnd(ENDED.REJECTED, VERDICT)

    async def take_down(_: int) -> bool:
        return await passes.end(claimed, end, now=at, taken_down=job, events=(event,))

    same(sorted(await race(take_down))[-2:], [False, True], "a picture must be taken down once")
    state = await get_state(records, job.id)
    same(state and (state.job, state.media), (job, None), "end() REJECTED must change the job and delete the media")
    same(await records.get_media(media.id), None, "end() REJECTED must delete the media")
    waiting = {found.id for found in await records.outbox(limit=10_000)}
    expect(event.id in waiting, "end() REJECTED must write the events")
    expect(job.id in await records.unnotified(before=at + MOMENT, limit=10_000), "its hooks must run")
    await records.mark_notified(job.id, ended_at=at, now=at)
    await records.passed_on([event.id], now=now)
    same((await _read(records, rejudging)).fell, 1, "end() REJECTED must be counted")
    await passes.close_rejudging(rejudging.id, now=now)
    rejudging, media, claimed = await _claimed(records, now)
    await records.delete_media(media.id)
    expect(
        not await passes.end(claimed, end, now=at, taken_down=replace(job, id=media.job_id)),
        "end() REJECTED of a deleted media must be False",
    )
    state = await get_state(records, media.job_id)
    same(state and state.job.status, JobStatus.COMPLETE, "end() REJECTED of a deleted media must write nothing")
    expect(await passes.end(claimed, RejudgementEnd(ENDED.GONE), now=at), "end() GONE afterwards must be True")
    await passes.close_rejudging(rejudging.id, now=now)


async def _erasing(records: Records, now: datetime) -> None:
    owner = secrets.token_hex(8)
    rejudging = await records.rejudgements.begin(_a_pass(now))
    media = await published_media(records, now, source_type=rejudging.source_type, owner_id=owner)
    claimed = _claim_of(rejudging, media, now)
    await records.rejudgements.draw(rejudging, media, now=now, next_at=now, claimed=claimed)
    await records.delete_media(media.id)
    await records.erase_jobs(owner, [media.job_id])
    found = await records.rejudgements.list_rejudgements(job_id=media.job_id, limit=9)
    same(list(found), [], "erase_jobs() must delete the re-judgements of the jobs")
    end = RejudgementEnd(ENDED.PASSED, VERDICT)
    expect(not await records.rejudgements.end(claimed, end, now=now), "end() of an erased job must be False")
    await records.rejudgements.close_rejudging(rejudging.id, now=now)
