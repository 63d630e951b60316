"""Copies between two storages beyond what the command prints: memory, changes meanwhile, outages."""

from __future__ import annotations

import asyncio
import os
import tracemalloc
from pathlib import Path

import pytest

from mediagate.errors import MediagateError, ObjectNotFound, StorageUnavailable
from mediagate.storage import FilesystemStorage, MemoryStorage, ObjectInfo, Storage
from mediagate.transfer import Copier, Inventory, Outcome, Result
from tests.support.full_disk import largest_file

pytestmark = pytest.mark.anyio

KEY = "media/avatar/u1/med_1/sm.webp"


@pytest.fixture
def source(tmp_path: Path) -> FilesystemStorage:
    return FilesystemStorage(tmp_path / "source")


@pytest.fixture
def target(tmp_path: Path) -> FilesystemStorage:
    return FilesystemStorage(tmp_path / "target")


class Corrupting(MemoryStorage):
    """Stores other bytes of the same size."""

    async def put(self, key: str, body: bytes | Path) -> None:
        assert isinstance(body, bytes)
        await super().put(key, bytes(len(body)))


class Lost(MemoryStorage):
    """Answers each write as if a proxy before it did not know its address."""

    async def put(self, key: str, body: bytes | Path) -> None:
        raise ObjectNotFound(f"object {key} not found")


class Unavailable(MemoryStorage):
    """Fails the first ``failures`` of concurrent writes; the next one, which began before, succeeds last."""

    def __init__(self, failures: int) -> None:
        super().__init__()
        self.left = failures
        self.failed = asyncio.Event()

    async def put(self, key: str, body: bytes | Path) -> None:
        if key.startswith("staging/"):
            await self.failed.wait()
            await super().put(key, body)
            return
        self.left -= 1
        if not self.left:
            self.failed.set()
        raise StorageUnavailable("the storage does not answer")


class Silent(MemoryStorage):
    """Cannot say whether it has some objects."""

    def __init__(self, unknown: set[str]) -> None:
        super().__init__()
        self.unknown = unknown

    async def stat(self, key: str) -> ObjectInfo | None:
        if key in self.unknown:
            raise StorageUnavailable("the storage does not answer")
        return await super().stat(key)


async def listed(inventory: Inventory, source: Storage, target: Storage) -> None:
    async for _ in inventory.fill("source", source):
        pass
    async for _ in inventory.fill("target", target):
        pass


async def run(
    source: Storage, target: Storage, *, verify: bool = False, concurrency: int = 4
) -> tuple[Copier, list[Outcome]]:
    outcomes: list[Outcome] = []
    with Inventory() as inventory:
        await listed(inventory, source, target)
        copier = Copier(source, target, outcomes.append, verify=verify)
        await copier.copy(inventory, concurrency=concurrency)
    return copier, outcomes


async def keys(storage: FilesystemStorage) -> set[str]:
    return {info.key for prefix in ("staging/", "media/", "originals/") async for info in storage.list(prefix)}


async def test_copier_copies_quarantined_files_first(source: FilesystemStorage, target: FilesystemStorage) -> None:
    for key in ("media/avatar/u1/m/a.webp", "originals/avatar/u1/m/original.jpg", "staging/job_1", "staging/job_2"):
        await source.put(key, key.encode())
    copier, outcomes = await run(source, target, concurrency=1)
    assert [outcome.key for outcome in outcomes] == [
        "staging/job_1", "staging/job_2", "media/avatar/u1/m/a.webp", "originals/avatar/u1/m/original.jpg",
    ]  # fmt: skip
    assert copier.counts == {Result.COPIED: 4}
    assert await keys(target) == await keys(source)


async def test_copier_passes_over_files_deleted_since_the_listing(
    source: FilesystemStorage, target: FilesystemStorage
) -> None:
    await source.put("staging/job_1", b"soon done")
    await source.put(KEY, b"stays")
    with Inventory() as inventory:
        await listed(inventory, source, target)
        await source.delete(["staging/job_1"])
        copier = Copier(source, target, lambda _: None)
        await copier.copy(inventory, concurrency=1)
    assert copier.counts == {Result.GONE: 1, Result.COPIED: 1}
    assert await keys(target) == {KEY}


async def test_copier_deletes_no_file_that_came_back_since_the_listing(
    source: FilesystemStorage, target: FilesystemStorage
) -> None:
    await target.put(KEY, b"of an attempt")
    await target.put("staging/job_1", b"done")
    with Inventory() as inventory:
        await listed(inventory, source, target)
        await source.put(KEY, b"of the next attempt")
        copier = Copier(source, target, lambda _: None)
        await copier.delete(inventory)
    assert copier.counts == {Result.DELETED: 1}
    assert await keys(target) == {KEY}


async def test_copier_fails_a_file_whose_size_changed_since_the_listing(
    source: FilesystemStorage, target: FilesystemStorage
) -> None:
    await source.put("staging/upl_1", b"first")
    outcomes: list[Outcome] = []
    with Inventory() as inventory:
        await listed(inventory, source, target)
        await source.put("staging/upl_1", b"replaced meanwhile")
        await Copier(source, target, outcomes.append).copy(inventory, concurrency=1)
    [outcome] = outcomes
    assert isinstance(outcome.error, MediagateError)
    assert (outcome.result, outcome.error.code) == (Result.FAILED, "object_changed")
    assert await keys(target) == set()


async def test_copier_stops_after_twenty_failures_in_a_row(
    source: FilesystemStorage, target: FilesystemStorage
) -> None:
    for number in range(30):
        await source.put(f"media/avatar/u1/med_1/{number:02}.webp", bytes(1000))
    await source.put("staging/job_1", b"x")
    with largest_file(100):
        copier, outcomes = await run(source, target, concurrency=1)
    assert copier.gave_up
    assert copier.counts == {Result.COPIED: 1, Result.FAILED: 20}
    assert {outcome.error.code for outcome in outcomes if isinstance(outcome.error, MediagateError)} == {
        "storage_unavailable"
    }
    copier, _ = await run(source, target)
    assert (copier.gave_up, copier.counts) == (False, {Result.COPIED: 30, Result.SAME: 1})


async def test_copier_holds_no_large_file_in_memory(
    source: FilesystemStorage, target: FilesystemStorage, tmp_path: Path
) -> None:
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(40_000_000)
    for number in range(3):
        await source.put(f"originals/avatar/u1/med_{number}/original.png", large)
    tracemalloc.start()
    try:
        copier, _ = await run(source, target, verify=True)
        assert tracemalloc.get_traced_memory()[1] < 15_000_000
    finally:
        tracemalloc.stop()
    assert copier.counts == {Result.COPIED: 3}
    assert (await source.get("originals/avatar/u1/med_2/original.png")) == bytes(40_000_000)


async def test_copier_cancelled_in_the_middle_leaves_only_whole_files(
    source: FilesystemStorage, target: FilesystemStorage, tmp_path: Path
) -> None:
    body = os.urandom(3_000_000)
    for number in range(20):
        await source.put(f"originals/avatar/u1/med_{number:02}/original.png", body)
    some = asyncio.Event()
    with Inventory() as inventory:
        await listed(inventory, source, target)
        copier = Copier(source, target, lambda _: some.set())
        copying = asyncio.create_task(copier.copy(inventory, concurrency=2))
        await some.wait()
        copying.cancel()
        with pytest.raises(asyncio.CancelledError):
            await copying
    left = await keys(target)
    assert 0 < len(left) < 20
    assert {await target.get(key) == body for key in left} == {True}
    assert list((tmp_path / "target" / ".tmp").iterdir()) == []


async def test_verify_fails_a_file_that_the_target_stored_with_other_bytes(source: FilesystemStorage) -> None:
    await source.put(KEY, b"as it should be")
    target = Corrupting()
    copier, [outcome] = await run(source, target, verify=True)
    assert isinstance(outcome.error, MediagateError)
    assert (outcome.result, outcome.error.code) == (Result.FAILED, "object_changed")
    assert await target.stat(KEY) is None, "a run without verify would take it for a copy"
    copier, [outcome] = await run(source, target, verify=True)
    assert copier.counts == {Result.FAILED: 1}


async def test_copier_that_gave_up_stays_so_when_a_copy_in_flight_succeeds(source: FilesystemStorage) -> None:
    await source.put("staging/job_1", b"slow")
    for number in range(30):
        await source.put(f"media/avatar/u1/med_1/{number:02}.webp", b"x")
    copier, _ = await run(source, Unavailable(20), concurrency=2)
    assert copier.counts == {Result.FAILED: 20, Result.COPIED: 1}
    assert copier.gave_up


async def test_copier_fails_a_file_whose_target_is_not_found(source: FilesystemStorage) -> None:
    await source.put(KEY, b"x")
    copier, [outcome] = await run(source, Lost())
    assert copier.counts == {Result.FAILED: 1}
    assert isinstance(outcome.error, ObjectNotFound)


def extra(number: int) -> str:
    return f"media/avatar/u1/med_9/{number:02}.webp"


async def deleted(source: Storage, target: Storage) -> Copier:
    with Inventory() as inventory:
        await listed(inventory, source, target)
        copier = Copier(source, target, lambda _: None)
        await copier.delete(inventory)
    return copier


async def test_copier_keeps_a_file_that_the_source_may_have_and_deletes_the_rest(target: FilesystemStorage) -> None:
    for number in range(3):
        await target.put(extra(number), b"x")
    copier = await deleted(Silent({extra(1)}), target)
    assert copier.counts == {Result.FAILED: 1, Result.DELETED: 2}
    assert await keys(target) == {extra(1)}


async def test_copier_stops_deleting_when_the_source_is_unavailable(target: FilesystemStorage) -> None:
    for number in range(30):
        await target.put(extra(number), b"x")
    copier = await deleted(Silent({extra(number) for number in range(30)}), target)
    assert copier.gave_up
    assert copier.counts == {Result.FAILED: 20}
    assert len(await keys(target)) == 30
