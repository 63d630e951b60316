"""The file mark names the database of the stored files: no other one may use them, and an older copy removes none."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta

import pytest

from mediagate import RECORDS, STORAGE, MediaGate
from mediagate.cli.doctor import Finding, examine
from mediagate.cli.upkeep import adopted
from mediagate.errors import ConfigError, RecordsUnavailable, StorageUnavailable
from mediagate.records import Identity, MemoryRecords
from mediagate.storage import MARK_KEY as KEY
from mediagate.storage import MemoryStorage

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

MakeGate = Callable[..., MediaGate]


def gate_on(make_gate: MakeGate, storage: MemoryStorage, records: MemoryRecords) -> MediaGate:
    gate = make_gate(memory=False, worker=False)
    gate.decorate(RECORDS, records)
    gate.decorate(STORAGE, storage)
    return gate


async def finding(gate: MediaGate) -> Finding:
    """Return the finding of ``mediagate doctor`` about the storage."""
    (found,) = [one async for one in examine(gate) if one.part == "storage"]
    return found


async def test_gate_refuses_files_of_another_database_until_adopted(make_gate: MakeGate, photo: bytes) -> None:
    storage, own, other = MemoryStorage(), MemoryRecords(), MemoryRecords()
    async with gate_on(make_gate, storage, own) as gate:
        await gate.upload(photo, source_type="avatar", source_id="u1")
    async with gate_on(make_gate, storage, own):
        pass
    refused = gate_on(make_gate, storage, other)
    with pytest.raises(ConfigError, match=r"another database .*mediagate adopt"):
        await refused.open()
    found = await finding(refused)
    assert not found.ok
    assert "mediagate adopt" in found.text
    assert (await own.identity()).id in await adopted(refused)
    async with refused:
        pass
    assert (await finding(refused)).ok
    with pytest.raises(ConfigError, match="another database"):
        await gate_on(make_gate, storage, own).open()


@pytest.mark.parametrize(("files", "boots"), [(5, True), (6, False)])
async def test_gate_refuses_many_unmarked_unknown_files_until_adopted(
    make_gate: MakeGate, files: int, boots: bool
) -> None:
    storage = MemoryStorage()
    for n in range(files):
        await storage.put(f"media/avatar/u1/med_{n}/xs.webp", b"from an older release, or of somebody else")
    gate = gate_on(make_gate, storage, MemoryRecords())
    if not boots:
        with pytest.raises(ConfigError, match="none of the first 6 is on record"):
            await gate.open()
        assert await storage.stat(KEY) is None
        assert not (await finding(gate)).ok
        assert "not assigned before" in await adopted(gate)
    async with gate:
        assert await storage.stat(KEY) is not None


@pytest.mark.parametrize("mark", [b"", b"[]", b'{"database": 7, "generation": 1}', b'{"database": "db_x"}', b"\xff"])
async def test_gate_refuses_an_unreadable_file_mark_until_adopted(make_gate: MakeGate, mark: bytes) -> None:
    storage, records = MemoryStorage(), MemoryRecords()
    await storage.put(KEY, mark)
    gate = gate_on(make_gate, storage, records)
    with pytest.raises(ConfigError, match=r"is malformed: .*; `mediagate adopt` assigns them to this database"):
        await gate.open()
    await adopted(gate)
    async with gate:
        assert json.loads(await storage.get(KEY))["database"] == (await records.identity()).id


async def test_restored_database_removes_no_files_until_confirmed(make_gate: MakeGate) -> None:
    storage, records = MemoryStorage(), MemoryRecords()
    async with gate_on(make_gate, storage, records) as gate:
        await storage.put("media/avatar/u1/med_x/xs.webp", b"known to what was lost")
        yesterday = await records.identity()
        await gate.runtime.janitor.mark_files()
    records._identity = yesterday
    later = await records.now() + timedelta(hours=2)
    for _ in range(2):
        async with gate_on(make_gate, storage, records) as gate:
            found = await gate.runtime.janitor.sweep_files(dry_run=False, now=later)
            assert (found.orphans, found.useless) == ([], 1)
            assert "older than the storage" in (found.doubt or "")
        assert not (await finding(gate)).ok
    async with gate_on(make_gate, storage, records) as gate:
        found = await gate.runtime.janitor.sweep_files(dry_run=False, now=later, really=1)
        assert found.orphans == ["media/avatar/u1/med_x/xs.webp"]
        assert (await gate.runtime.janitor.sweep_files(dry_run=False, now=later)).doubt is None
    assert (await finding(gate)).ok, "a confirmed sweep settles the doubt"


async def test_gate_opens_while_storage_or_database_is_unavailable(
    make_gate: MakeGate, caplog: pytest.LogCaptureFixture
) -> None:
    class Away(MemoryStorage):
        away = True

        async def get(self, key: str) -> bytes:
            if self.away:
                raise StorageUnavailable("the bucket does not answer")
            return await super().get(key)

    class Down(MemoryRecords):
        async def identity(self) -> Identity:
            raise RecordsUnavailable("the database does not answer")

    storage = Away()
    async with gate_on(make_gate, storage, MemoryRecords()) as gate:
        assert "could not check" in caplog.text
        with pytest.raises(StorageUnavailable):
            await gate.runtime.janitor.sweep_files(dry_run=False)
        storage.away = False
        await gate.runtime.janitor.sweep_files(dry_run=False)
    async with gate_on(make_gate, MemoryStorage(), Down()):
        pass
