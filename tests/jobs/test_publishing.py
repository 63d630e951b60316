"""An attempt that lost its job while publishing removes the files that it wrote since."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import anyio
import pytest

from mediagate import RECORDS, STORAGE, Job, JobStatus, Media, MediaGate, Variant
from mediagate.jobs.publishing import unpublish
from mediagate.records import MemoryRecords, Settlement, get_job
from mediagate.storage import FilesystemStorage, MemoryStorage, Storage
from mediagate.testing.record_samples import a_media
from mediagate.values import utcnow

pytestmark = pytest.mark.anyio

MakeGate = Callable[..., MediaGate]


class Stopped:
    """The point at which publishing is stopped and resumed."""

    def __init__(self) -> None:
        self.reached, self.resumed = anyio.Event(), anyio.Event()

    async def here(self, key: str) -> None:
        if key.startswith(("media/", "originals/")):
            self.reached.set()
            await self.resumed.wait()


class InMemory(MemoryStorage):
    def __init__(self, stopped: Stopped) -> None:
        super().__init__()
        self._stopped = stopped

    async def put(self, key: str, body: bytes | Path) -> None:
        await self._stopped.here(key)
        await super().put(key, body)


class InFolder(FilesystemStorage):
    def __init__(self, root: Path, stopped: Stopped) -> None:
        super().__init__(root)
        self._stopped = stopped

    async def put(self, key: str, body: bytes | Path) -> None:
        await self._stopped.here(key)
        await super().put(key, body)


async def published(storage: Storage) -> set[str]:
    return {info.key for root in ("media/", "originals/") async for info in storage.list(root)}


def media_of(job: Job, *names: str) -> Media:
    """Return the media of another attempt, perhaps with other settings."""
    place = f"media/{job.source_type}/{job.source_id}/{job.media_id}"
    variants = tuple(Variant(name, f"{place}/{name}.webp", "webp", 64, 64, 100) for name in names)
    return replace(a_media(job, variants=variants), original_key=None)


async def complete_as_another(gate: MediaGate, job_id: str, *names: str) -> Media:
    """Claim a job after its lease expired, and complete it."""
    records = gate.parts.records
    held = await get_job(records, job_id)
    assert held is not None and held.lease_owner is not None
    now = utcnow()
    assert await records.release(job_id, owner=held.lease_owner, available_at=now)
    taken = await records.claim(job_id, owner="another", now=now, lease_until=now + timedelta(minutes=1))
    assert taken is not None
    media = media_of(held, *names)
    assert await records.settle(taken, owner="another", now=now, settlement=Settlement(JobStatus.COMPLETE, media))
    return media


Stopping = tuple[MediaGate, Storage, Stopped]


@pytest.fixture(params=["memory", "folder"])
def stopping(request: pytest.FixtureRequest, make_gate: MakeGate, tmp_path: Path) -> Stopping:
    """A gate whose worker is stopped when it publishes."""
    gate, stopped = make_gate(memory=False, lease_s=600), Stopped()
    storage = InMemory(stopped) if request.param == "memory" else InFolder(tmp_path / "files", stopped)
    gate.decorate(RECORDS, MemoryRecords())
    gate.decorate(STORAGE, storage)
    return gate, storage, stopped


@pytest.mark.parametrize("end", ["deleted", "cancelled"])
async def test_late_publication_of_an_ended_job_is_removed(stopping: Stopping, photo: bytes, end: str) -> None:
    gate, storage, stopped = stopping
    async with gate:
        job = (await gate.upload(photo, source_type="avatar", source_id="u1")).job
        with anyio.fail_after(30):
            await stopped.reached.wait()
        if end == "deleted":
            await complete_as_another(gate, job.id, "xs", "sm")
            await gate.delete_media(job.media_id)
        else:
            await gate.cancel(job.id)
        stopped.resumed.set()
        # Closing waits for the attempt.
    assert await published(storage) == set()


async def test_late_publication_keeps_only_files_named_by_the_media(stopping: Stopping, photo: bytes) -> None:
    gate, storage, stopped = stopping
    async with gate:
        job = (await gate.upload(photo, source_type="avatar", source_id="u1")).job
        with anyio.fail_after(30):
            await stopped.reached.wait()
        media = await complete_as_another(gate, job.id, "xs", "sm")
        stopped.resumed.set()
    assert await published(storage) == set(media.keys)


async def test_late_publication_during_delete_media_is_removed(make_gate: MakeGate, photo: bytes) -> None:
    class Slow(MemoryStorage):
        """After deleting the files, and before the row goes, writes one as a late attempt would."""

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
        assert await records.settle(job, owner="w", now=now, settlement=Settlement(JobStatus.COMPLETE, media))
        (key,) = media.keys
        await storage.put(key, b"in time")
        storage.late = lambda: None
        await gate.delete_media(media.id)
    assert storage.late is None
    assert await published(storage) == set()
