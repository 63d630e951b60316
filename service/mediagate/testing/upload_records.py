"""The conformance check of records for direct uploads and expired media."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from mediagate.records import Records, Settlement, get_job
from mediagate.testing.record_samples import (
    HOSTILE,
    LEASE,
    MOMENT,
    RACERS,
    a_job,
    a_media,
    claimed_job,
    expect,
    race,
    same,
)
from mediagate.values import CropBox, DirectUpload, Job, JobStatus, Media, UploadFields, new_id

LONG_AGO = timedelta(days=400)
"""Older than any other rows of the check, so that these expire first."""


async def check_uploads(records: Records, now: datetime) -> None:
    """Check the promises about uploads; raises ``AssertionError`` with the broken one."""
    for check in (_round_trip, _completing, _completing_race, _expiring_uploads, _expiring_media, _listing):
        await check(records, now)


def an_upload(now: datetime, **changes: Any) -> DirectUpload:
    """Return a new direct upload, with these fields changed."""
    upload = DirectUpload(
        new_id("upl"), UploadFields("check", "u1"), "image/jpeg", 12_345, now, now + LEASE, token_hash="ab" * 32
    )
    return replace(upload, **changes)


async def _round_trip(records: Records, now: datetime) -> None:
    plain = an_upload(now, token_hash=None)
    full = an_upload(
        now,
        ticket=UploadFields(
            "check",
            HOSTILE,
            HOSTILE,
            HOSTILE,
            "https://example.com/?a=1&b=%22#\"'",
            0.0,
            0.3333333333333333,
            CropBox(0.1, 0.2, 0.3333333333333333, 1e-9),
        ),
        bytes=2**31 - 1,
        owner_id=HOSTILE,
        key_id=HOSTILE,
    )
    for upload in (plain, full):
        await records.create_upload(upload)
        same(await _upload(records, upload.id), upload, "get_uploads() must return the created upload")
    for unknown in (new_id("upl"), "", HOSTILE):
        same(
            await _upload(records, unknown), None, f"get_uploads([{unknown[:20]!r}]) of an unknown upload must be empty"
        )
    same(dict(await records.get_uploads([])), {}, "get_uploads([]) must be empty")
    found = await records.get_uploads([full.id, new_id("upl"), plain.id])
    same(dict(found), {plain.id: plain, full.id: full}, "get_uploads() must return the recorded ones")


async def _upload(records: Records, upload_id: str) -> DirectUpload | None:
    return (await records.get_uploads([upload_id])).get(upload_id)


async def _completing(records: Records, now: datetime) -> None:
    upload, job, late = an_upload(now), a_job(now), now + 9 * LEASE
    await records.create_upload(upload)
    expect(await records.complete_upload(upload.id, job, expires_at=late), "complete_upload() must be True")
    same(
        await _upload(records, upload.id),
        replace(upload, job_id=job.id, expires_at=late),
        "complete_upload() must set the job and the expiry of the upload",
    )
    same(await get_job(records, job.id), replace(job, available_at=now), "complete_upload() must insert the job")
    claimed = await records.claim(job.id, owner="worker", now=now, lease_until=now + LEASE)
    expect(claimed, "the job of a direct upload must be claimable")
    second = a_job(now)
    expect(
        not await records.complete_upload(upload.id, second, expires_at=late),
        "complete_upload() of a completed upload must be False",
    )
    expect(
        not await records.complete_upload(new_id("upl"), second, expires_at=late),
        "complete_upload() of an unknown upload must be False",
    )
    same(await get_job(records, second.id), None, "complete_upload() that is False must insert no job")
    await records.cancel(job.id, now=now)


async def _completing_race(records: Records, now: datetime) -> None:
    upload = an_upload(now)
    await records.create_upload(upload)
    jobs = [a_job(now) for _ in range(RACERS)]

    async def complete(number: int) -> Job | None:
        done = await records.complete_upload(upload.id, jobs[number], expires_at=now + LEASE)
        return jobs[number] if done else None

    won = [job for job in await race(complete) if job]
    same(len(won), 1, f"of {RACERS} concurrent completions exactly one must win")
    found = await _upload(records, upload.id)
    same(found and found.job_id, won[0].id, "the upload must have the job of the winner")
    same(set(await records.get_jobs([job.id for job in jobs])), {won[0].id}, "only the winner's job may be inserted")
    await records.cancel(won[0].id, now=now)


async def _expiring_uploads(records: Records, now: datetime) -> None:
    past = now - LONG_AGO
    made = [an_upload(past, expires_at=past + n // 2 * MOMENT) for n in range(6)]
    for upload in made:
        await records.create_upload(upload)
    made.sort(key=lambda u: (u.expires_at, u.id))
    same(
        list(await records.expired_uploads(now=past - MOMENT, limit=9)),
        [],
        "expired_uploads() must exclude live uploads",
    )
    same(
        list(await records.expired_uploads(now=past + MOMENT, limit=9)),
        made[:4],
        "expired_uploads() must compare the time",
    )
    same(
        list(await records.expired_uploads(now=past + LEASE, limit=3)),
        made[:3],
        "expired_uploads() must respect its limit",
    )
    rest = await records.expired_uploads(now=past + LEASE, limit=9, after=made[2])
    same(list(rest), made[3:], "expired_uploads() must continue after the given upload")
    ids = [upload.id for upload in made]
    same(await records.forget_uploads(ids, now=past), 2, "forget_uploads() must keep live uploads")
    kept = an_upload(past, expires_at=past)
    await records.create_upload(kept)
    same(await records.forget_uploads(ids, now=past + LEASE), 4, "forget_uploads() must count the deleted uploads")
    same(await records.forget_uploads(ids, now=past + LEASE), 0, "forget_uploads() of forgotten uploads must be 0")
    same(await _upload(records, ids[0]), None, "get_uploads() of a forgotten upload must be empty")
    same(await _upload(records, kept.id), kept, "forget_uploads() must delete only the given uploads")
    same(await records.forget_uploads([kept.id], now=past), 1, "forget_uploads() must delete the last upload")


async def _media_of(records: Records, now: datetime, expires_at: datetime | None, source: str = "check") -> Media:
    job = await claimed_job(records, now, source_type=source)
    media = a_media(job, expires_at=expires_at)
    done = await records.settle(job, owner="worker", now=now, settlement=Settlement(JobStatus.COMPLETE, media))
    expect(done, "settle() must be True")
    return media


async def _expiring_media(records: Records, now: datetime) -> None:
    past = now - LONG_AGO
    for_ever = await _media_of(records, now, None)
    made = [await _media_of(records, now, past + n // 2 * MOMENT) for n in range(4)]
    made.sort(key=lambda m: (m.expires_at or now, m.id))
    same(await records.get_media(made[0].id), made[0], "get_media() must return the expiry")
    same(list(await records.expired_media(now=past - MOMENT, limit=9)), [], "expired_media() must exclude live media")
    same(list(await records.expired_media(now=past, limit=9)), made[:2], "expired_media() must compare the time")
    same(
        list(await records.expired_media(now=past + LEASE, limit=3)), made[:3], "expired_media() must respect its limit"
    )
    rest = await records.expired_media(now=past + LEASE, limit=9, after=made[0])
    same(list(rest), made[1:], "expired_media() must continue after the given media")
    found = await records.expired_media(now=now + LONG_AGO, limit=10_000)
    expect(for_ever.id not in {m.id for m in found}, "expired_media() must exclude media without an expiry")
    for media in made:
        await records.delete_media(media.id)
    same(list(await records.expired_media(now=past + LEASE, limit=9)), [], "expired_media() must exclude deleted media")


async def _listing(records: Records, now: datetime) -> None:
    kind = f"kind-{new_id('med')}"
    moments = (None, now, now + MOMENT, None, now + LEASE)
    made = [await _media_of(records, now + n * MOMENT, at, kind) for n, at in enumerate(moments)][::-1]
    page = await records.list_media(kind, None, limit=9)
    same(page.items, tuple(made), "list_media() without now must return all media")
    live = [m for m in made if m.expires_at is None or m.expires_at > now]
    page = await records.list_media(kind, None, limit=9, now=now)
    same(page.items, tuple(live), "list_media() must exclude expired media")
    page = await records.list_media(kind, None, limit=2, now=now)
    rest = await records.list_media(kind, None, limit=2, cursor=page.next_cursor, now=now)
    same((*page.items, *rest.items), tuple(live), "pages must be filled with live media")
    same(rest.next_cursor, None, "the last page must have no next_cursor")
