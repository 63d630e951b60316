"""Sample jobs and media for the conformance check of records, and its common steps."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

import anyio

from mediagate.records import Records, Settlement
from mediagate.values import Job, JobStatus, Media, Stage, Variant, new_id, staging_key

RACERS = 50
HOSTILE = 'Zoë\'s "photo" \\ \\" 写真 🐈\u200d⬛\r\n\t{$x: [null]} \u2028 \'; DROP TABLE mediagate_job; -- \x01\x7f\\'
"""Text that must be stored and returned unchanged."""
LEASE = timedelta(seconds=60)
MOMENT = timedelta(milliseconds=1)

T = TypeVar("T")


def expect(condition: object, promise: str) -> None:
    """Raise ``AssertionError`` with the promise unless the condition holds."""
    # No assert statement: the check must also work under ``python -O``.
    if not condition:
        raise AssertionError(promise)


def same(got: object, wanted: object, promise: str) -> None:
    """Raise ``AssertionError`` with the promise and both values unless they are equal."""
    expect(got == wanted, f"{promise}: got {got!r} instead of {wanted!r}")


def a_job(now: datetime, **changes: Any) -> Job:
    """Return a new job with its own source id and these fields changed."""
    job_id = new_id("job")
    job = Job(
        id=job_id,
        source_type="check",
        source_id=secrets.token_hex(8),
        media_id=new_id("med"),
        staging_key=staging_key(job_id),
        format="jpeg",
        bytes=12_345,
        sha256="ab" * 32,
        width=640,
        height=480,
        created_at=now,
    )
    return replace(job, **changes)


def a_media(job: Job, **changes: Any) -> Media:
    """Return the media of a job, with these fields changed."""
    media = Media(
        id=job.media_id,
        job_id=job.id,
        source_type=job.source_type,
        source_id=job.source_id,
        original_key=f"originals/{job.media_id}/original.jpg",
        format="jpeg",
        width=640,
        height=480,
        bytes=9_999,
        aspect_ratio="4:3",
        blurhash='LEHV6nWB2yk8pyo0adR*.7kCMdnj%#{}\\"',
        thumbhash="1QcSHQRnh493V4dIh4eXh1h4kJUI",
        dominant_color="#aabbcc",
        has_alpha=True,
        frames=3,
        focal_x=0.125,
        focal_y=1.0,
        removed=("gps", HOSTILE),
        client_reference_id=HOSTILE,
        created_at=job.created_at,
        owner_id=job.owner_id,
        variants=tuple(
            Variant(name, f"media/{job.media_id}/{name}.webp", "webp", width, width // 2, width * 3, look)
            for name, width, look in (
                ("thumb", 160, None),
                ("large", 1600, None),
                ("large.jpeg", 1600, None),
                ("a-small", 320, "0123456789abcdef:a-small"),
                ("medium", 800, None),
            )
        ),
    )
    return replace(media, **changes)


async def claimed_job(records: Records, now: datetime, **changes: Any) -> Job:
    """Create a job and claim it as ``worker``."""
    job = a_job(now, **changes)
    await records.create_job(job)
    claimed = await records.claim(job.id, owner="worker", now=now, lease_until=now + LEASE)
    if claimed is None:
        raise AssertionError("claim() of a new job must return it")
    return claimed


async def published_media(records: Records, now: datetime, **changes: Any) -> Media:
    """Create, claim and complete a job; return its media."""
    job = await claimed_job(records, now, **changes)
    media = a_media(job)
    settled = await records.settle(job, owner="worker", now=now, settlement=Settlement(JobStatus.COMPLETE, media))
    expect(settled, "settle() by the lease's owner must return True")
    return media


async def race(attempt: Callable[[int], Awaitable[T]]) -> list[T]:
    """Run the attempt ``RACERS`` times concurrently, numbered from 0, and return the results."""
    results: list[T] = []

    async def run(number: int) -> None:
        results.append(await attempt(number))

    async with anyio.create_task_group() as tasks:
        for number in range(RACERS):
            tasks.start_soon(run, number)
    return results


async def waiting_job(records: Records, now: datetime) -> Job:
    """Create a job."""
    job = a_job(now)
    await records.create_job(job)
    return job


async def owns_nothing(records: Records, job: Job, owner: str, now: datetime, who: str) -> None:
    """Check that this owner can neither advance, release nor settle the job."""
    advanced = await records.advance(job.id, owner=owner, lease_until=now + LEASE, stage=Stage.RECORD)
    expect(not advanced, f"advance() by {who} must be False")
    expect(not await records.release(job.id, owner=owner, available_at=now), f"release() by {who} must be False")
    for settlement in (Settlement(JobStatus.FAILED, error="late"), Settlement(JobStatus.COMPLETE, a_media(job))):
        settled = await records.settle(job, owner=owner, now=now, settlement=settlement)
        expect(not settled, f"settle() by {who} must be False")
    same(await records.get_media(job.media_id), None, f"settle() by {who} must write no media")
