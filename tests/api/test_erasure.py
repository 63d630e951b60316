"""Erasing an owner: every row and file of it goes, and nothing of other owners."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from typing import Any

import pytest

from mediagate import (
    EVENTS,
    RECORDS,
    STORAGE,
    Erased,
    Erasure,
    EventType,
    IncomingUpload,
    Job,
    JobState,
    JobStatus,
    Media,
    MediaGate,
)
from mediagate.errors import InvalidParameter, JobNotFound, StorageUnavailable, UploadNotFound
from mediagate.records import MemoryRecords, Settlement
from mediagate.storage import MemoryStorage
from mediagate.testing.record_samples import a_job, a_media
from mediagate.values import utcnow
from tests.support.owner_data import client_of, stored
from tests.support.owners import claim, settle

pytestmark = pytest.mark.anyio

MakeGate = Callable[..., MediaGate]


async def test_erase_of_memory_parts_removes_all_of_an_owner(make_gate: MakeGate, photo: bytes) -> None:
    gate = make_gate(worker=False)
    gate.decorate(EVENTS, tuple(EventType))
    async with gate:
        for owner in ("ann", "bob"):
            for number in range(3):
                await gate.upload(
                    photo, source_type="avatar", source_id="u1", owner=owner, idempotency_key=f"key {number}"
                )
            await gate.create_upload(source_type="avatar", source_id="u1", size=len(photo), owner=owner)
        erased = await gate.erase(owner="ann")
        assert erased == Erased(jobs=3, uploads=1, files=3)
        assert [status.job.owner_id for status in (await gate.list_jobs()).items] == ["bob"] * 3
        assert len(await stored(gate)) == 3
        assert {event.job_id for event in await gate[RECORDS].outbox(limit=9)} == set()
        again = await gate.upload(photo, source_type="avatar", source_id="u1", owner="ann", idempotency_key="key 1")
        assert again.status is JobStatus.PENDING, "the key is free again"


async def test_erase_runs_the_hooks_of_cancelled_jobs_and_deleted_media(make_gate: MakeGate, photo: bytes) -> None:
    told: list[tuple[str, str]] = []

    async def on_cancelled(state: JobState) -> None:
        told.append(("cancelled", state.job.id))

    async def on_complete(state: JobState) -> None:
        told.append(("complete", state.job.id))

    async def on_deleted(media: Media) -> None:
        told.append(("deleted", media.job_id))

    gate = make_gate(worker=False)
    gate.add_hook("on_cancelled", on_cancelled)
    gate.add_hook("on_complete", on_complete)
    gate.add_hook("on_deleted", on_deleted)
    async with gate:
        waiting, settled = [
            (await gate.upload(photo, source_type="avatar", source_id="u1", owner="ann")).job for _ in range(2)
        ]
        # By a process that died before it ran the hooks.
        await claim(gate, settled)
        await settle(gate, settled, Settlement(JobStatus.COMPLETE, a_media(settled)))
        await gate.erase(owner="ann")
    assert sorted(told) == sorted([("cancelled", waiting.id), ("complete", settled.id), ("deleted", settled.id)])


async def test_erase_while_a_worker_publishes_leaves_no_file(make_gate: MakeGate, photo: bytes) -> None:
    gate = make_gate()
    erased: list[Erased] = []

    async def erases(job: Job, rendered: object) -> None:
        erased.append(await gate.erase(owner="ann"))

    gate.add_hook("pre_store", erases)
    async with gate:
        status = await gate.upload(photo, source_type="avatar", source_id="u1", owner="ann")
        other = await gate.upload(photo, source_type="post", source_id="u1", owner="bob")
        await gate.wait(other.job_id, timeout_s=30)
        with pytest.raises(JobNotFound):
            await gate.get_status(status.job_id)
    # Closing has waited for the attempt, which discards its output.
    assert [one.jobs for one in erased[:1]] == [1]
    assert {key.split("/")[1] for key in await _stored_in(gate)} == {"post"}


async def test_erase_removes_files_that_no_media_names(make_gate: MakeGate, photo: bytes) -> None:
    gate = make_gate(worker=False)
    async with gate:
        job = (await gate.upload(photo, source_type="avatar", source_id="u1", owner="ann")).job
        await gate.cancel(job.id)
        for key in (f"media/avatar/u1/{job.media_id}/old.webp", f"originals/avatar/u1/{job.media_id}/original.png"):
            await gate.parts.storage.put(key, b"left by an attempt that died")
        await gate.parts.storage.put(f"media/avatar/u1/{job.media_id}0/old.webp", b"of another media")
        assert await gate.erase(owner="ann") == Erased(jobs=1, files=2)
        assert set(await stored(gate)) == {f"media/avatar/u1/{job.media_id}0/old.webp"}


async def test_upload_recorded_during_an_erase_is_found_by_the_next(make_gate: MakeGate, photo: bytes) -> None:
    gate = make_gate(worker=False)
    erased: list[Erased] = []

    async def erases(upload: IncomingUpload) -> None:
        if not erased:
            erased.append(await gate.erase(owner="ann"))

    async with gate:
        await gate.upload(photo, source_type="avatar", source_id="u1", owner="ann")
    gate.add_hook("pre_upload", erases)
    async with gate:
        late = await gate.upload(photo, source_type="avatar", source_id="u1", owner="ann", idempotency_key="key")
        assert erased == [Erased(jobs=1, files=1)]
        assert (await gate.get_status(late.job_id)).status is JobStatus.PENDING
        assert set(await stored(gate)) == {late.job.staging_key}
        assert await gate.erase(owner="ann") == Erased(jobs=1, files=1)
        assert await stored(gate) == {}


async def test_erase_is_not_complete_when_an_upload_arrives_meanwhile(make_gate: MakeGate, photo: bytes) -> None:
    gate = make_gate(worker=False)

    async def uploads(state: JobState) -> None:
        await gate.upload(photo, source_type="avatar", source_id="u1", owner="ann")

    gate.add_hook("on_cancelled", uploads)
    async with gate:
        await gate.upload(photo, source_type="avatar", source_id="u1", owner="ann")
        for _ in range(2):
            assert await gate.erase(owner="ann") == Erased(jobs=1, files=1, complete=False)
        assert len(await stored(gate)) == 1


async def test_direct_upload_completed_during_an_erase_leaves_nothing(make_gate: MakeGate, photo: bytes) -> None:
    gate = make_gate(worker=False)
    erased: list[Erased] = []

    async def erases(upload: IncomingUpload) -> None:
        erased.append(await gate.erase(owner="ann"))

    gate.add_hook("pre_upload", erases)
    async with gate:
        target = await gate.create_upload(source_type="avatar", source_id="u1", size=len(photo), owner="ann")
        await gate.parts.storage.put(f"staging/{target.upload_id}", photo)
        with pytest.raises(UploadNotFound):
            await gate.complete_upload(target.upload_id)
        assert erased == [Erased(uploads=1, files=1)]
        assert await stored(gate) == {}
        assert (await gate.list_jobs()).items == ()


async def test_direct_upload_sent_during_an_erase_leaves_nothing(make_gate: MakeGate, photo: bytes) -> None:
    gate = make_gate(worker=False)
    async with client_of(gate) as client:
        target = await gate.create_upload(source_type="avatar", source_id="u1", size=len(photo), owner="ann")

        async def body() -> AsyncIterator[bytes]:
            yield photo[:100]
            assert await gate.erase(owner="ann") == Erased(uploads=1)
            yield photo[100:]

        headers = {**target.headers, "Content-Length": str(len(photo))}
        answer = await client.put(target.url, content=body(), headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (404, "upload_not_found")
        assert await stored(gate) == {}


class Fails(MemoryStorage):
    """A storage whose deletions fail while a test says so."""

    failing = False

    async def delete(self, keys: Iterable[str]) -> None:
        if self.failing:
            raise StorageUnavailable("the storage does not answer")
        await super().delete(keys)


async def test_erase_stopped_by_an_outage_is_continued_by_the_next_call(make_gate: MakeGate, photo: bytes) -> None:
    gate, storage = make_gate(memory=False), Fails()
    gate.decorate(RECORDS, MemoryRecords())
    gate.decorate(STORAGE, storage)
    async with gate:
        for _ in range(3):
            status = await gate.upload(photo, source_type="avatar", source_id="u1", owner="ann")
            await gate.wait(status.job_id, timeout_s=30)
        storage.failing = True
        with pytest.raises(StorageUnavailable):
            await gate.erase(owner="ann")
        assert len((await gate.list_jobs()).items) == 3, "rows name the files that are left"
        storage.failing = False
        erased = await gate.erase(owner="ann")
        assert (erased.jobs, erased.media, erased.complete) == (3, 3, True)
        assert await stored(gate) == {}


async def test_erase_stops_before_anything_is_deleted_when_a_plugin_fails(make_gate: MakeGate, photo: bytes) -> None:
    async def fails(erasure: Erasure) -> None:
        raise StorageUnavailable(f"the table of {erasure.owner} is locked")

    gate = make_gate(worker=False)
    gate.add_hook("pre_erase", fails)
    async with gate:
        await gate.upload(photo, source_type="avatar", source_id="u1", owner="ann")
        with pytest.raises(StorageUnavailable, match="the table of ann is locked"):
            await gate.erase(owner="ann")
        assert len((await gate.list_jobs()).items) == len(await stored(gate)) == 1


async def test_pre_erase_gets_the_keys_and_reports_what_it_removed(make_gate: MakeGate) -> None:
    seen: list[tuple[str, Collection[str]]] = []

    async def removes(erasure: Erasure) -> None:
        seen.append((erasure.owner, erasure.keys))
        erasure.add("albums", 2)
        erasure.add("likes", 0)
        erasure.add("albums", 3)
        for noun in ("jobs", "media", "direct uploads", "files"):
            with pytest.raises(ValueError, match="the core counts these"):
                erasure.add(noun, 7)

    gate = make_gate(worker=False)
    gate.add_hook("pre_erase", removes)
    async with gate:
        now = utcnow()
        for key in ("k1", "k2", None):
            await gate[RECORDS].create_job(a_job(now, owner_id="ann", key_id=key, source_type="avatar"))
        await gate[RECORDS].create_job(a_job(now, owner_id="bob", key_id="k3"))
        assert await gate.erase(owner="ann") == Erased(jobs=3, others={"albums": 5})
    assert seen == [("ann", {"k1", "k2"})]


@pytest.mark.parametrize("owner", ["", "a\nb", "x" * 256, None])
async def test_erase_refuses_an_invalid_owner(make_gate: MakeGate, photo: bytes, owner: Any) -> None:
    async with make_gate(worker=False) as gate:
        await gate.upload(photo, source_type="avatar", source_id="u1")
        with pytest.raises(InvalidParameter, match="owner"):
            await gate.erase(owner=owner)
        assert len((await gate.list_jobs()).items) == 1


async def test_erase_logs_counts_and_a_hash_in_place_of_the_name(
    make_gate: MakeGate, caplog: pytest.LogCaptureFixture
) -> None:
    async with make_gate(worker=False) as gate:
        await gate[RECORDS].create_job(a_job(utcnow(), owner_id="ann@example.org", source_type="avatar"))
        with caplog.at_level(logging.INFO):
            await gate.erase(owner="ann@example.org")
    (line,) = [record.getMessage() for record in caplog.records if record.name == "mediagate.owners"]
    assert hashlib.sha256(b"ann@example.org").hexdigest() in line
    assert "1 jobs, 0 media" in line
    assert "ann@example" not in caplog.text


async def _stored_in(gate: MediaGate) -> list[str]:
    (storage,) = [value for value in gate._host.values.values() if isinstance(value, MemoryStorage)]
    return [info.key for root in ("staging/", "media/", "originals/") async for info in storage.list(root)]
