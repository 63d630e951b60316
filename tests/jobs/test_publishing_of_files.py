"""Which files a job publishes and which it removes again, on a storage in memory."""

from __future__ import annotations

from datetime import timedelta

import pytest

from mediagate import Job, JobStatus, Media, Source, Verdict
from mediagate.jobs import delete_media
from mediagate.jobs.publishing import publish, unpublish
from mediagate.parts import Parts
from mediagate.records import Settlement
from mediagate.testing.record_samples import a_job, claimed_job, published_media
from mediagate.values import EventType, ImageInfo, Rendered, RenderedFile, Variant
from tests.support.bare_parts import NOW, bare_parts, keys_of

pytestmark = pytest.mark.anyio

SMALL = RenderedFile("xs", "webp", 8, 6, b"small")
LARGE = RenderedFile("xl", "avif", 80, 60, b"much larger")
ORIGINAL = RenderedFile("original", "jpeg", 100, 75, b"original")
RENDERED = Rendered(
    Verdict(),
    ImageInfo("png", 100, 75, frames=3),
    variants=(SMALL, LARGE),
    original=ORIGINAL,
    blurhash="LEHV6n",
    thumbhash="1QcSHQ",
    dominant_color="#aabbcc",
    aspect_ratio="4:3",
    has_alpha=True,
    removed=("gps",),
)


def a_picture() -> Job:
    return a_job(
        NOW - timedelta(minutes=1),
        source_id="u1",
        focal_x=0.25,
        focal_y=0.75,
        client_reference_id="mine",
        owner_id="ann",
    )


async def test_publish_writes_every_file_under_its_key() -> None:
    parts, job = bare_parts(), a_picture()
    await publish(job, RENDERED, parts)
    place = f"check/u1/{job.media_id}"
    files = {
        f"media/{place}/xs.webp": b"small",
        f"media/{place}/xl.avif": b"much larger",
        f"originals/{place}/original.jpg": b"original",
    }
    assert await keys_of(parts) == set(files)
    for key, data in files.items():
        assert await parts.storage.get(key) == data


async def test_publish_returns_the_media_that_names_them() -> None:
    parts, job = bare_parts(), a_picture()
    place = f"check/u1/{job.media_id}"
    assert await publish(job, RENDERED, parts) == Media(
        id=job.media_id,
        job_id=job.id,
        source_type="check",
        source_id="u1",
        original_key=f"originals/{place}/original.jpg",
        format="png",
        width=100,
        height=75,
        bytes=job.bytes,
        aspect_ratio="4:3",
        blurhash="LEHV6n",
        dominant_color="#aabbcc",
        has_alpha=True,
        frames=3,
        focal_x=0.25,
        focal_y=0.75,
        removed=("gps",),
        client_reference_id="mine",
        created_at=NOW,
        variants=(
            Variant("xs", f"media/{place}/xs.webp", "webp", 8, 6, 5),
            Variant("xl", f"media/{place}/xl.avif", "avif", 80, 60, 11),
        ),
        expires_at=None,
        owner_id="ann",
        thumbhash="1QcSHQ",
    )


async def test_publish_without_an_original_names_none() -> None:
    parts, job = bare_parts(), a_picture()
    media = await publish(job, Rendered(Verdict(), ImageInfo("png", 8, 6), variants=(SMALL,)), parts)
    assert media.original_key is None
    assert await keys_of(parts) == {media.variants[0].key}


async def test_publish_counts_the_time_to_live_from_the_publishing_on() -> None:
    parts = bare_parts(sources={"check": Source(ttl=timedelta(days=2)), "other": Source()})
    assert (await publish(a_picture(), RENDERED, parts)).expires_at == NOW + timedelta(days=2)


def keys_of_job(job: Job) -> set[str]:
    place = f"{job.source_type}/{job.source_id}/{job.media_id}"
    return {f"media/{place}/stray.webp", f"originals/{place}/stray.jpg"}


async def with_strays(parts: Parts, job: Job) -> set[str]:
    for key in (*keys_of_job(job), "media/check/other/med_1/xs.webp"):
        await parts.storage.put(key, b"stray")
    return {"media/check/other/med_1/xs.webp"}


async def test_unpublish_leaves_a_job_that_goes_on_its_files() -> None:
    parts = bare_parts()
    job = await claimed_job(parts.records, NOW)
    others = await with_strays(parts, job)
    await unpublish(job, parts)
    assert await keys_of(parts) == keys_of_job(job) | others


@pytest.mark.parametrize("recorded", [True, False])
async def test_unpublish_removes_all_files_of_a_job_without_a_media(recorded: bool) -> None:
    parts = bare_parts()
    job = a_job(NOW)
    if recorded:
        job = await claimed_job(parts.records, NOW)
        await parts.records.settle(job, owner="worker", now=NOW, settlement=Settlement(JobStatus.REJECTED))
    others = await with_strays(parts, job)
    await unpublish(job, parts)
    assert await keys_of(parts) == others


async def test_unpublish_keeps_what_the_media_of_the_job_names() -> None:
    parts = bare_parts()
    job = await claimed_job(parts.records, NOW)
    media = await publish(job, RENDERED, parts)
    others = await with_strays(parts, job)
    assert await parts.records.settle(job, owner="worker", now=NOW, settlement=Settlement(JobStatus.COMPLETE, media))
    await unpublish(job, parts)
    assert await keys_of(parts) == {*media.keys, *others}


async def test_delete_media_removes_its_files_and_its_row_and_writes_the_event() -> None:
    parts = bare_parts(events={EventType.MEDIA_DELETED})
    media = await published_media(parts.records, NOW)
    for key in media.keys:
        await parts.storage.put(key, b"published")
    assert await delete_media(media, parts) is True
    assert await keys_of(parts) == set()
    assert await parts.records.get_media(media.id) is None
    (event,) = await parts.records.outbox(limit=9)
    assert (event.type, event.job_id, event.created_at) == (EventType.MEDIA_DELETED, media.job_id, NOW)


async def test_delete_media_says_when_the_row_had_gone() -> None:
    parts = bare_parts(events={EventType.MEDIA_DELETED})
    media = await published_media(parts.records, NOW)
    assert await delete_media(media, parts) is True
    for key in media.keys:
        await parts.storage.put(key, b"by an attempt that had lost its job")
    assert await delete_media(media, parts) is False
    assert await keys_of(parts) == set()
    assert len(await parts.records.outbox(limit=9)) == 1
