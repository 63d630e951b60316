"""Attempts that lost their job while they published: what they write then is removed as soon as they see it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import anyio
import pytest

from mediagate import RECORDS, STORAGE, Job, JobStatus, Media, MediaGate, Variant
from mediagate.media import utcnow
from mediagate.pipeline import unpublish
from mediagate.records import MemoryRecords, Settlement
from mediagate.storage import MemoryStorage
from mediagate.testing.record_samples import a_media

pytestmark = pytest.mark.anyio

MakeGate = Callable[..., MediaGate]


class Pausing(MemoryStorage):
    """Publishes nothing until it is told to go on, as in a process that was stopped."""

    def __init__(self) -> None:
        super().__init__()
        self.reached, self.resumed = anyio.Event(), anyio.Event()

    async def put(self, key: str, body: bytes | Path) -> None:
        if key.startswith(("media/", "originals/")):
            self.reached.set()
            await self.resumed.wait()
        await super().put(key, body)


async def published(storage: MemoryStorage) -> set[str]:
    return {info.key for root in ("media/", "originals/") async for info in storage.list(root)}


def media_of(job: Job, *names: str) -> Media:
    """What another attempt published, perhaps by other settings."""
    place = f"media/{job.source_type}/{job.source_id}/{job.media_id}"
    variants = tuple(Variant(name, f"{place}/{name}.webp", "webp", 64, 64, 100) for name in names)
    return replace(a_media(job, variants=variants), original_key=None)


async def complete_as_another(gate: MediaGate, job_id: str, *names: str) -> Media:
    """Take over a job whose lease ran out, and complete it."""
    records = gate.parts.records
    held = await records.get_job(job_id)
    assert held is not None and held.lease_owner is not None
    now = utcnow()
    assert await records.release(job_id, owner=held.lease_owner, available_at=now)
    assert await records.claim(job_id, owner="another", now=now, lease_until=now + timedelta(minutes=1))
    media = media_of(held, *names)
    assert await records.settle(job_id, owner="another", now=now, settlement=Settlement(JobStatus.COMPLETE, media))
    return media


def stopped_gate(make_gate: MakeGate) -> tuple[MediaGate, Pausing]:
    gate, storage = make_gate(memory=False, lease_s=600), Pausing()
    gate.decorate(RECORDS, MemoryRecords())
    gate.decorate(STORAGE, storage)
    return gate, storage


@pytest.mark.parametrize("end", ["deleted", "cancelled"])
async def test_what_is_published_too_late_is_removed(make_gate: MakeGate, photo: bytes, end: str) -> None:
    gate, storage = stopped_gate(make_gate)
    async with gate:
        job = (await gate.upload(photo, source_type="avatar", source_id="u1")).job
        with anyio.fail_after(30):
            await storage.reached.wait()
        if end == "deleted":
            await complete_as_another(gate, job.id, "xs", "sm")
            await gate.delete_media(job.media_id)
        else:
            await gate.cancel(job.id)
        storage.resumed.set()
        # Closing waits for the attempt.
    assert await published(storage) == set()


async def test_of_a_media_that_is_there_only_what_it_names_is_kept(make_gate: MakeGate, photo: bytes) -> None:
    gate, storage = stopped_gate(make_gate)
    async with gate:
        job = (await gate.upload(photo, source_type="avatar", source_id="u1")).job
        with anyio.fail_after(30):
            await storage.reached.wait()
        media = await complete_as_another(gate, job.id, "xs", "sm")
        storage.resumed.set()
    assert await published(storage) == set(media.keys)


async def test_what_is_written_while_a_media_is_deleted_goes_with_it(make_gate: MakeGate, photo: bytes) -> None:
    class Slow(MemoryStorage):
        """Between the files and the row, an attempt that lost the job writes one of them and looks for the media."""

        late: Callable[[], object] | None = None

        async def delete(self, keys: Iterable[str]) -> None:
            await super().delete(keys)
            if self.late is not None:
                self.late = None
                await self.put(key, b"late")
                await unpublish(job, gate.parts)

    gate, storage = make_gate(memory=False, worker=False), Slow()
    gate.decorate(RECORDS, MemoryRecords())
    gate.decorate(STORAGE, storage)
    async with gate:
        job = (await gate.upload(photo, source_type="avatar", source_id="u1")).job
        records, now = gate.parts.records, utcnow()
        await records.claim(job.id, owner="w", now=now, lease_until=now + timedelta(minutes=1))
        media = media_of(job, "xs")
        assert await records.settle(job.id, owner="w", now=now, settlement=Settlement(JobStatus.COMPLETE, media))
        (key,) = media.keys
        await storage.put(key, b"in time")
        storage.late = lambda: None
        await gate.delete_media(media.id)
    assert storage.late is None
    assert await published(storage) == set()
