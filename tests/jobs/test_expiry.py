"""Expiry of media and quarantined files, which the janitor removes in batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any

import pytest

from mediagate import JobStatus, Media, MediaGate, Source
from mediagate.errors import ConfigError, MediaDeleted, MediaNotFound, StorageUnavailable
from mediagate.jobs.expiry import BATCH, GIVE_UP
from mediagate.records import PrismaRecords, Settlement
from mediagate.testing.record_samples import a_job, a_media
from mediagate.values import DirectUpload, UploadFields, new_id, utcnow
from tests.support.mounted import client_of

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


@pytest.mark.parametrize("memory", [True, False], ids=["memory", "sqlite"])
async def test_a_result_answers_as_deleted_when_its_time_is_over_and_the_janitor_removes_it(
    make_gate: MakeGate, photo: bytes, memory: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    deleted: list[Media] = []

    async def on_deleted(media: Media) -> None:
        deleted.append(media)

    gate = make_gate(sources=SOURCES, memory=memory)
    gate.add_hook("on_deleted", on_deleted)
    async with client_of(gate) as client:
        jobs = [(await gate.upload(photo, source_type=name, source_id="u1")).job_id for name in SOURCES]
        story, avatar = [(await gate.wait(job_id, timeout_s=60)).media for job_id in jobs]
        assert story is not None
        assert avatar is not None
        body = (await client.get(f"/status/{jobs[0]}")).json()["media"]
        created, expires = (datetime.fromisoformat(body[name]) for name in ("createdAt", "expiresAt"))
        assert expires - created == DAY
        assert (await client.get(f"/media/{avatar.id}")).json()["expiresAt"] is None
        everything = await files(gate)

        moment = expires - timedelta(milliseconds=1)

        async def present() -> datetime:
            return moment

        monkeypatch.setattr(gate.parts.records, "now", present)
        assert (await client.get(f"/status/{jobs[0]}")).status_code == 200
        assert (await client.get(f"/media/{story.id}")).status_code == 200
        moment = expires
        gone = await client.get(f"/status/{jobs[0]}")
        assert (gone.status_code, gone.json()["code"]) == (410, "media_deleted")
        assert body["expiresAt"] in gone.json()["detail"]
        assert (await client.get(f"/media/{story.id}")).json()["code"] == "media_not_found"
        assert (await client.get("/media?sourceType=story")).json() == {"items": [], "nextCursor": None}
        assert len((await client.get("/media?sourceType=avatar")).json()["items"]) == 1
        listed = (await client.get("/jobs")).json()["items"]
        assert [item["media"] and item["media"]["id"] for item in listed] == [avatar.id, None]
        with pytest.raises(MediaDeleted):
            await gate.wait(jobs[0])
        with pytest.raises(MediaNotFound):
            await gate.get_media(story.id)

        sweep = gate.runtime.janitor.sweep_expired
        assert (await sweep(dry_run=False, now=expires - timedelta(milliseconds=1))).expired_media == []
        dry = await sweep(dry_run=True, now=expires)
        assert dry.expired_media == [story.id]
        assert (await files(gate), deleted) == (everything, [])
        assert (await sweep(dry_run=False, now=expires)).expired_media == [story.id]
        assert await files(gate) == set(avatar.record.keys)
        assert [media.id for media in deleted] == [story.id]
        assert await gate.parts.records.get_media(story.id) is None
        assert (await sweep(dry_run=False, now=expires + DAY)).expired_media == []
        assert len(deleted) == 1
        assert (await client.get(f"/status/{jobs[0]}")).status_code == 410
        assert (await client.get(f"/status/{jobs[1]}")).status_code == 200


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


async def test_stale_files_go_in_small_batches_and_hold_no_lock(
    make_gate: MakeGate, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = make_gate(memory=False, worker=False, staging_ttl_s=3600, orphan_grace_s=60)
    async with gate:
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
        delete = storage.delete
        sizes: list[int] = []
        other = PrismaRecords(gate.settings.records_url)
        await other.open()

        async def beside_another_process(keys: Iterable[str]) -> None:
            keys = list(keys)
            sizes.append(len(keys))
            await other.create_job(a_job(utcnow()))
            await delete(keys)

        monkeypatch.setattr(storage, "delete", beside_another_process)
        try:
            janitor = gate.runtime.janitor
            found = await janitor.sweep_files(dry_run=False, now=now + timedelta(seconds=600))
            assert set(found.staging) == strays
            assert (len(sizes), max(sizes) <= BATCH) == (3, True)
            expired = await janitor.sweep_expired(dry_run=False, now=now + timedelta(seconds=1))
            assert set(expired.expired_uploads) == {upload.id for upload in uploads}
            assert sizes[3:] == [BATCH, 5]
            assert await files(gate) == {failed.staging_key, waiting.staging_key}
            found = await janitor.sweep_files(dry_run=False, now=now + timedelta(seconds=3700))
            assert found.staging == [failed.staging_key], "a failed job keeps its file for staging_ttl_s"
            assert await files(gate) == {waiting.staging_key}
        finally:
            await other.close()


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_cache_control_of_a_file_ends_with_its_ttl(
    make_gate: MakeGate, photo: bytes, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with client_of(make_gate(sources=SOURCES, worker=False)) as client:
        app: Any = client._transport
        gate: MediaGate = app.app.routes[0].app
        for name, after, wanted in (
            ("story", timedelta(), (DAY.total_seconds() - 60, DAY.total_seconds())),
            ("story", DAY - timedelta(seconds=100), (40, 100)),
            ("story", 2 * DAY, (0, 0)),
        ):
            await gate.parts.storage.put(f"media/{name}/u1/med_1/xs.webp", photo)
            monkeypatch.setattr("mediagate.http.files.utcnow", lambda after=after: utcnow() + after)
            answer = await client.request(method, f"/media/{name}/u1/med_1/xs.webp")
            said, _, seconds = answer.headers["Cache-Control"].rpartition("=")
            assert said == "public, max-age"
            assert wanted[0] <= int(seconds) <= wanted[1]
        await gate.parts.storage.put("media/avatar/u1/med_1/xs.webp", photo)
        answer = await client.request(method, "/media/avatar/u1/med_1/xs.webp")
        assert answer.headers["Cache-Control"].endswith("immutable")


@pytest.mark.parametrize("ttl", [timedelta(), -DAY, timedelta(days=10**6), "soon"])
def test_source_rejects_an_invalid_ttl(ttl: Any) -> None:
    with pytest.raises(ConfigError, match=r"Source\.ttl"):
        Source(ttl=ttl)
