"""The janitor removes expired media, uploads and quarantined files in batches, and survives failing deletions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest

from mediagate import JobStatus, Media, MediaGate, Settings, Source
from mediagate.errors import StorageUnavailable
from mediagate.jobs.expiry import BATCH, GIVE_UP
from mediagate.jobs.janitor import Findings
from mediagate.records import PrismaRecords, Settlement
from mediagate.testing.record_samples import a_job, a_media
from mediagate.values import DirectUpload, UploadFields, new_id, utcnow
from tests.support.forked import SHARED

pytestmark = pytest.mark.anyio

MakeGate = Callable[..., MediaGate]
DAY = timedelta(days=1)
SOURCES = {"story": Source(ttl=DAY), "avatar": Source()}


async def files(gate: MediaGate) -> set[str]:
    storage = gate.parts.storage
    return {o.key for root in ("staging/", "media/", "originals/") async for o in storage.list(root)}


async def published(gate: MediaGate, expires_at: datetime | None) -> Media:
    """Record a media with one file, without processing a picture."""
    records, now = gate.parts.records, utcnow()
    job = a_job(now, source_type="story")
    await records.create_job(job)
    await records.claim(job.id, owner="w", now=now, lease_until=now + DAY)
    media = a_media(job, expires_at=expires_at, original_key=f"originals/story/u1/{job.media_id}/original.jpg")
    await records.settle(job, owner="w", now=now, settlement=Settlement(JobStatus.COMPLETE, media))
    await records.mark_notified(job.id, ended_at=now, now=now)
    await gate.parts.storage.put(str(media.original_key), b"picture")
    return media


async def test_delete_media_of_an_expired_media_succeeds(make_gate: MakeGate) -> None:
    async with make_gate(sources=SOURCES, worker=False) as gate:
        media = await published(gate, utcnow() - DAY)
        await gate.delete_media(media.id)
        assert await files(gate) == set()
        assert (await gate.runtime.janitor.sweep_expired(dry_run=False)).expired_media == []


async def test_expiry_skips_an_undeletable_media_and_retries_it(
    make_gate: MakeGate, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with make_gate(sources=SOURCES, worker=False) as gate:
        now = utcnow()
        made = [await published(gate, now - DAY + timedelta(seconds=n)) for n in range(BATCH + 5)]
        kept = [await published(gate, at) for at in (None, now + DAY)]
        storage = gate.parts.storage
        delete = storage.delete
        sizes: list[int] = []
        stuck = True

        async def stuck_for_the_first(keys: Iterable[str]) -> None:
            keys = list(keys)
            sizes.append(len(keys))
            if stuck and any(made[0].id in key for key in keys):
                raise StorageUnavailable("this key cannot be deleted")
            await delete(keys)

        monkeypatch.setattr(storage, "delete", stuck_for_the_first)
        sweep = gate.runtime.janitor.sweep_expired
        assert (await sweep(dry_run=True)).expired_media == [media.id for media in made]
        assert (await sweep(dry_run=False)).expired_media == [media.id for media in made[1:]]
        assert await files(gate) == {str(media.original_key) for media in (made[0], *kept)}
        stuck = False
        assert (await sweep(dry_run=False)).expired_media == [made[0].id]
        assert max(sizes) == len(made[0].keys), "one picture at a time"


async def test_expiry_gives_up_early_while_storage_is_unavailable(
    make_gate: MakeGate, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with make_gate(sources=SOURCES, worker=False) as gate:
        now = utcnow()
        made = [await published(gate, now - DAY + timedelta(seconds=n)) for n in range(GIVE_UP + 5)]
        asked: list[object] = []

        async def down(keys: Iterable[str]) -> None:
            asked.append(keys)
            raise StorageUnavailable("the storage is down")

        with monkeypatch.context() as for_a_while:
            for_a_while.setattr(gate.parts.storage, "delete", down)
            with pytest.raises(StorageUnavailable):
                await gate.runtime.janitor.sweep_expired(dry_run=False)
        assert len(asked) == GIVE_UP
        swept = await gate.runtime.janitor.sweep_expired(dry_run=False)
        assert swept.expired_media == [media.id for media in made]


async def test_expiry_round_is_limited_by_most(make_gate: MakeGate) -> None:
    async with make_gate(sources=SOURCES, worker=False) as gate:
        made = [await published(gate, utcnow() - DAY + timedelta(seconds=n)) for n in range(BATCH + 5)]
        ids = [media.id for media in made]
        sweep = gate.runtime.janitor.sweep_expired
        assert (await sweep(dry_run=False, most=1)).expired_media == ids[:BATCH]
        assert (await sweep(dry_run=False, most=1)).expired_media == ids[BATCH:]


@dataclass(frozen=True)
class Swept:
    """Sweeps of a gate with many stale files, during which another process wrote before each deletion."""

    strays: set[str]
    """Quarantined files of no job."""
    uploads: set[str]
    """Ids of expired direct uploads."""
    failed: str
    """Quarantined file of a failed job."""
    waiting: str
    """Quarantined file of a waiting job."""
    first: Findings
    """Of the files, within ``staging_ttl_s`` of the failure."""
    expired: Findings
    left: set[str]
    """Files after these two."""
    last: Findings
    """Of the files, after ``staging_ttl_s``."""
    left_at_last: set[str]
    file_batches: list[int]
    """Sizes of the deletions of the first sweep."""
    upload_batches: list[int]


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Swept:
    folder = tmp_path_factory.mktemp("swept")
    settings = Settings(data_dir=folder, worker=False, image_processes=1, staging_ttl_s=3600, orphan_grace_s=60)
    gate = MediaGate(sources={"avatar": Source()}, settings=settings, moderation="off")
    gate.fork_server = SHARED
    return asyncio.run(sweep_beside_a_writer(gate))


async def sweep_beside_a_writer(gate: MediaGate) -> Swept:
    async with gate, another_process(gate) as sizes:
        now, records, storage = utcnow(), gate.parts.records, gate.parts.storage
        failed = a_job(now)
        await records.create_job(failed)
        await records.claim(failed.id, owner="w", now=now, lease_until=now + DAY)
        await records.settle(failed, owner="w", now=now, settlement=Settlement(JobStatus.FAILED, retryable=True))
        waiting = a_job(now)
        await records.create_job(waiting)
        strays = {f"staging/{new_id('job')}" for _ in range(2 * BATCH + 5)}
        for key in (failed.staging_key, waiting.staging_key, *strays):
            await storage.put(key, b"x")
        uploads = [
            DirectUpload(new_id("upl"), UploadFields("avatar", "u1"), "image/png", 1, now, now)
            for _ in range(BATCH + 5)
        ]
        for upload in uploads:
            await records.create_upload(upload)
        janitor = gate.runtime.janitor
        first = await janitor.sweep_files(dry_run=False, now=now + timedelta(seconds=600))
        file_batches = sizes.copy()
        expired = await janitor.sweep_expired(dry_run=False, now=now + timedelta(seconds=1))
        upload_batches = sizes[len(file_batches) :]
        left = await files(gate)
        last = await janitor.sweep_files(dry_run=False, now=now + timedelta(seconds=3700))
        return Swept(
            strays, {upload.id for upload in uploads}, failed.staging_key, waiting.staging_key,
            first, expired, left, last, await files(gate), file_batches, upload_batches,
        )  # fmt: skip


@asynccontextmanager
async def another_process(gate: MediaGate) -> AsyncIterator[list[int]]:
    """Write as another process would before each deletion of files; yields the sizes of the deletions."""
    sizes: list[int] = []
    storage = gate.parts.storage
    delete = storage.delete
    other = PrismaRecords(gate.settings.records_url)
    await other.open()

    async def write_and_delete(keys: Iterable[str]) -> None:
        keys = list(keys)
        sizes.append(len(keys))
        await other.create_job(a_job(utcnow()))
        await delete(keys)

    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(storage, "delete", write_and_delete)
            yield sizes
    finally:
        await other.close()


def test_janitor_removes_stray_files_in_batches_without_blocking_writes(swept: Swept) -> None:
    assert set(swept.first.staging) == swept.strays
    assert (len(swept.file_batches), max(swept.file_batches) <= BATCH) == (3, True)


def test_janitor_removes_expired_uploads_in_batches_without_blocking_writes(swept: Swept) -> None:
    assert set(swept.expired.expired_uploads) == swept.uploads
    assert swept.upload_batches == [BATCH, 5]


def test_janitor_keeps_the_file_of_a_failed_job_for_staging_ttl(swept: Swept) -> None:
    assert swept.left == {swept.failed, swept.waiting}
    assert swept.last.staging == [swept.failed]
    assert swept.left_at_last == {swept.waiting}
