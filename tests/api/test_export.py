"""Exporting an owner: the archive has all of its rows and published files, and is whole or not there."""

from __future__ import annotations

import asyncio
import json
import stat
import tracemalloc
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

import pytest

from mediagate import STORAGE, Export, JobStatus, MediaGate
from mediagate.errors import ExportFailed, InvalidParameter, OwnerNotFound, StorageUnavailable
from mediagate.records import Settlement
from mediagate.storage import FilesystemStorage, MemoryStorage
from mediagate.testing.record_samples import a_job, a_media
from mediagate.values import Job, Media, Verdict, utcnow
from tests.support.full_disk import largest_file
from tests.support.owner_data import names, table
from tests.support.owners import claim, settle

pytestmark = pytest.mark.anyio

MakeGate = Callable[..., MediaGate]
MIB = 1024 * 1024


async def published(gate: MediaGate, **fields: Any) -> Media:
    """Record a published media of ``ann`` with its files."""
    job = a_job(utcnow(), **{"owner_id": "ann", "source_type": "avatar", **fields})
    await gate.parts.records.create_job(job)
    await claim(gate, job)
    media = a_media(job)
    await settle(gate, job, Settlement(JobStatus.COMPLETE, media))
    for key in media.keys:
        await gate.parts.storage.put(key, key.encode() * 100)
    return media


async def test_export_tells_decision_flags_and_confidence_but_no_scores(make_gate: MakeGate, folder: Path) -> None:
    async with make_gate(worker=False) as gate:
        job = a_job(utcnow(), owner_id="ann", source_type="avatar")
        await gate.parts.records.create_job(job)
        await claim(gate, job)
        verdict = Verdict("reject", ("nude",), {"nude": 0.875, "face": 0.123456}, 0.875, "model", "abcdef", "no", False)
        await settle(
            gate, job, Settlement(JobStatus.REJECTED, verdict=verdict, reason="no", code="moderation_rejected")
        )
        await gate.export(owner="ann", to=folder / "a.zip")
    with ZipFile(folder / "a.zip") as archive:
        (row,) = table(archive, "jobs")
    assert row["moderation"] == {
        "decision": "reject",
        "flags": ["nude"],
        "confidence": 0.875,
        "complete": False,
        "model": "model",
    }
    assert (row["status"], row["reason"], row["code"], row["media"]) == ("REJECTED", "no", "moderation_rejected", None)
    assert "0.123456" not in json.dumps(row)


async def test_export_is_readable_by_its_user_only_and_stores_pictures_as_they_are(
    make_gate: MakeGate, folder: Path
) -> None:
    async with make_gate(worker=False) as gate:
        media = await published(gate)
        exported = await gate.export(owner="ann", to=str(folder / "a.zip"))
    assert stat.S_IMODE(exported.path.stat().st_mode) == 0o600
    with ZipFile(exported.path) as archive:
        assert {archive.getinfo(key).compress_type for key in media.keys} == {ZIP_STORED}
        assert archive.getinfo("jobs.jsonl").compress_type == ZIP_DEFLATED
        written = datetime(*archive.getinfo(media.keys[0]).date_time, tzinfo=UTC)
        assert timedelta() <= media.created_at - written < timedelta(seconds=2), "the resolution of ZIP"


async def test_export_of_missing_files_says_which(make_gate: MakeGate, folder: Path) -> None:
    async with make_gate(worker=False) as gate:
        media = await published(gate)
        await gate.parts.storage.delete([media.variants[0].key])
        exported = await gate.export(owner="ann", to=folder / "a.zip")
    assert (exported.files, exported.missing) == (len(media.keys) - 1, 1)
    with ZipFile(exported.path) as archive:
        (row,) = table(archive, "jobs")
        assert set(archive.namelist()) >= {*media.keys[1:]}
    assert row["media"]["variants"][0]["path"] is row["media"]["variants"][0]["sha256"] is None
    assert row["media"]["variants"][1]["path"] == media.variants[1].key


async def test_export_of_an_unknown_owner_writes_nothing(make_gate: MakeGate, folder: Path) -> None:
    async with make_gate(worker=False) as gate:
        await published(gate)
        with pytest.raises(OwnerNotFound, match="'an': nothing is on record; check the name"):
            await gate.export(owner="an", to=folder / "a.zip")
        with pytest.raises(InvalidParameter, match="owner"):
            await gate.export(owner="", to=folder / "a.zip")
    assert names(folder) == []


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("taken.zip", "exists; name another file"),
        ("folder", "is a folder"),
        ("none/a.zip", "does not exist; create it"),
    ],
)
async def test_export_refuses_a_path_that_cannot_be_created(
    make_gate: MakeGate, folder: Path, name: str, said: str
) -> None:
    (folder / "taken.zip").write_bytes(b"mine")
    (folder / "folder").mkdir()
    async with make_gate(worker=False) as gate:
        await published(gate)
        with pytest.raises(InvalidParameter, match=said):
            await gate.export(owner="ann", to=folder / name)
    assert names(folder) == ["folder", "taken.zip"]
    assert (folder / "taken.zip").read_bytes() == b"mine"


@pytest.mark.parametrize("links", [True, False])
async def test_export_never_replaces_a_file_that_appears_meanwhile(
    make_gate: MakeGate, folder: Path, links: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    to = folder / "a.zip"

    async def appears(export: Export) -> None:
        to.write_bytes(b"mine")

    def without_links(*_: object) -> None:
        raise PermissionError("a file system without links")

    gate = make_gate(worker=False)
    async with gate:
        await published(gate)
        if not links:
            monkeypatch.setattr("os.link", without_links)
        await gate.export(owner="ann", to=folder / "first.zip")
    gate.add_hook("pre_export", appears)
    async with gate:
        with pytest.raises(InvalidParameter, match="exists"):
            await gate.export(owner="ann", to=to)
    assert to.read_bytes() == b"mine"
    assert names(folder) == ["a.zip", "first.zip"]


async def test_export_to_a_full_disk_fails_and_leaves_nothing(make_gate: MakeGate, folder: Path) -> None:
    async with make_gate(worker=False) as gate:
        await published(gate)
        with largest_file(2000), pytest.raises(ExportFailed, match=r"could not write .*a\.zip: File too large"):
            await gate.export(owner="ann", to=folder / "a.zip")
        assert names(folder) == []
        await gate.export(owner="ann", to=folder / "a.zip")


class Stops(MemoryStorage):
    """A storage that breaks off after the first chunk, or waits for ever then."""

    def __init__(self) -> None:
        super().__init__()
        self.waits = False
        self.waiting = asyncio.Event()

    async def stream(self, key: str, *, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        async for chunk in super().stream(key, start=start, length=10):
            yield chunk
        if self.waits:
            self.waiting.set()
            await asyncio.Event().wait()
        raise StorageUnavailable("the storage does not answer")


async def test_export_interrupted_by_storage_or_cancellation_leaves_nothing(make_gate: MakeGate, folder: Path) -> None:
    gate, storage = make_gate(worker=False), Stops()
    gate._host.values[STORAGE] = storage
    async with gate:
        await published(gate)
        with pytest.raises(StorageUnavailable):
            await gate.export(owner="ann", to=folder / "a.zip")
        assert names(folder) == []
        storage.waits = True
        exporting = asyncio.create_task(gate.export(owner="ann", to=folder / "a.zip"))
        async with asyncio.timeout(30):
            await storage.waiting.wait()
        (part,) = names(folder)
        assert part != "a.zip", "it gets its name when it is complete"
        exporting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await exporting
        assert names(folder) == []


async def test_export_streams_files(make_gate: MakeGate, folder: Path, tmp_path: Path) -> None:
    gate = make_gate(worker=False)
    gate._host.values[STORAGE] = FilesystemStorage(tmp_path / "files")
    large = tmp_path / "large"
    large.write_bytes(bytes(48 * MIB))
    async with gate:
        media = await published(gate)
        await gate.parts.storage.put(media.keys[0], large)
        tracemalloc.start()
        try:
            exported = await gate.export(owner="ann", to=folder / "a.zip")
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert exported.bytes > 48 * MIB
    assert peak < 8 * MIB


async def test_export_has_the_tables_of_plugins(make_gate: MakeGate, folder: Path) -> None:
    async def adds(export: Export) -> None:
        export.add("albums", ({"album": f"{export.owner} {number}", "title": "Zoë 写真"} for number in range(2)))
        export.add("likes", [])
        for name in ("jobs", "albums", "../up", ""):
            with pytest.raises(ValueError, match="a name that is not taken"):
                export.add(name, [])

    gate = make_gate(worker=False)
    gate.add_hook("pre_export", adds)
    async with gate:
        exported = await gate.export(owner="ann", to=folder / "a.zip")
    assert exported.others == {"albums": 2, "likes": 0}
    with ZipFile(exported.path) as archive:
        assert table(archive, "albums") == [{"album": f"ann {n}", "title": "Zoë 写真"} for n in range(2)]
        assert "Zoë 写真" in archive.read("albums.jsonl").decode()
        assert json.loads(archive.read("export.json"))["tables"] == {"albums": 2, "likes": 0}


@pytest.mark.slow
async def test_export_of_a_thousand_jobs_has_each_once(make_gate: MakeGate, folder: Path) -> None:
    async with make_gate(worker=False) as gate:
        made: list[Job] = []
        for number in range(1000):
            job = a_job(utcnow(), owner_id="ann" if number % 10 else "bob")
            await gate.parts.records.create_job(job)
            made += [job] if job.owner_id == "ann" else []
        exported = await gate.export(owner="ann", to=folder / "a.zip")
    with ZipFile(exported.path) as archive:
        rows = table(archive, "jobs")
    assert exported.jobs == len(rows) == len(made)
    assert {row["jobId"] for row in rows} == {job.id for job in made}
