"""The comparison of two listings."""

from __future__ import annotations

from pathlib import Path

import pytest

from mediagate.storage import FilesystemStorage, MemoryStorage
from mediagate.transfer import Inventory

pytestmark = pytest.mark.anyio


async def test_inventory_compares_listings_of_several_batches() -> None:
    source, target = MemoryStorage(), MemoryStorage()
    keys = [f"media/avatar/u1/med_1/{number:04}.webp" for number in range(2500)]
    for key in keys:
        await source.put(key, b"xy")
    for key in [*keys[:1200], "media/avatar/u1/med_2/a.webp", "originals/avatar/u1/med_2/original.jpg"]:
        await target.put(key, b"x")
    await target.put("staging/job_1", b"x")
    await target.put("mediagate/database.json", b"x")
    with Inventory() as inventory:
        assert [count async for count in inventory.fill("source", source)] == [1000, 2000, 2500]
        assert [count async for count in inventory.fill("target", target)] == [1000, 1203]
        assert inventory.totals() == (2500, 5000)
        pairs = list(inventory.pairs())
        assert [pair.source.key for pair in pairs] == keys
        assert [pair.target is not None for pair in pairs] == [True] * 1200 + [False] * 1300
        assert {pair.target.size for pair in pairs if pair.target is not None} == {1}
        assert inventory.published() == (2500, 1202, 1200)
        assert list(inventory.extra()) == [
            "media/avatar/u1/med_2/a.webp", "originals/avatar/u1/med_2/original.jpg", "staging/job_1",
        ]  # fmt: skip


async def test_inventory_keeps_size_time_and_version_of_each_object(tmp_path: Path) -> None:
    storage = FilesystemStorage(tmp_path)
    await storage.put("staging/job_1", b"three")
    with Inventory() as inventory:
        async for _ in inventory.fill("source", storage):
            pass
        async for _ in inventory.fill("target", storage):
            pass
        [pair] = inventory.pairs()
    found = await storage.stat("staging/job_1")
    assert found is not None
    assert pair.source == pair.target
    assert (pair.source.size, pair.source.version) == (5, found.version)
    assert abs((pair.source.modified - found.modified).total_seconds()) < 0.001
