"""Exporting an owner: the archive has all of its rows and published files, and is whole or not there."""

from __future__ import annotations

import asyncio
import hashlib
import json
import stat
import tracemalloc
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

import pytest

from mediagate import STORAGE, Export, Exported, JobStatus, MediaGate
from mediagate.errors import ExportFailed, InvalidParameter, OwnerNotFound, StorageUnavailable
from mediagate.records import Settlement
from mediagate.storage import FilesystemStorage, MemoryStorage
from mediagate.testing.record_samples import a_job, a_media
from mediagate.values import Job, Media, Verdict, utcnow
from tests.support.full_disk import largest_file
from tests.support.owner_data import JOBS, MEDIA, UPLOADS, Site, fill, stored
from tests.support.owners import claim, settle

pytestmark = pytest.mark.anyio

MakeGate = Callable[..., MediaGate]
MIB = 1024 * 1024


def names(folder: Path) -> list[str]:
    """Return what a folder has, hidden files too."""
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder for archives."""
    folder = tmp_path / "archives"
    folder.mkdir()
    return folder


def table(archive: ZipFile, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in archive.read(f"{name}.jsonl").splitlines()]


def files_of(media: dict[str, Any]) -> list[dict[str, Any]]:
    return [*media["variants"], *([media["original"]] if media["original"] else [])]


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


@pytest.mark.slow
async def test_export_has_all_rows_and_published_files_of_an_owner(site: Site, photo: bytes, folder: Path) -> None:
    await fill(site, "bob", photo, held=True)
    await fill(site, "ann", photo)
    to = folder / "ann.zip"
    async with site.gate(worker=False) as gate:
        before, files = await site.tables(), await stored(gate)
        exported = await gate.export(owner="ann", to=to)
        assert {**await site.tables(), "mediagate_identity": set()} == {**before, "mediagate_identity": set()}
        assert await stored(gate) == files, "an export changes nothing"
        jobs = {state.job.id: state for state in (await gate.parts.records.list_jobs(owner_id="ann", limit=99)).items}
        theirs = (await gate.parts.records.list_jobs(owner_id="bob", limit=99)).items
        uploads = {upload.id for upload in await gate.parts.records.uploads_of("ann", limit=99)}
        keys = [key for state in jobs.values() if state.media for key in state.media.keys]
        content = {key: await gate.parts.storage.get(key) for key in keys}
        usage = await gate.usage(first=utcnow().date(), last=utcnow().date(), owner="ann")
    assert exported == Exported(
        to, JOBS, MEDIA, UPLOADS, len(keys), sum(map(len, content.values())), others={"api_keys": 2}
    )
    assert names(folder) == ["ann.zip"]
    with ZipFile(to) as archive:
        assert archive.testzip() is None
        tables = {"export.json", "usage.json", "jobs.jsonl", "uploads.jsonl", "api_keys.jsonl"}
        assert set(archive.namelist()) == {*tables, *keys}
        assert len(archive.namelist()) == len(tables) + len(keys)
        rows = {row["jobId"]: row for row in table(archive, "jobs")}
        assert rows.keys() == jobs.keys()
        listed = [file for row in rows.values() if row["media"] for file in files_of(row["media"])]
        assert sorted(file["path"] for file in listed) == sorted(keys)
        for file in listed:
            data = archive.read(file["path"])
            assert data == content[file["path"]]
            assert (file["bytes"], file["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
        for job_id, row in rows.items():
            assert row["status"] == jobs[job_id].job.status
            assert row["upload"]["sha256"] == hashlib.sha256(photo).hexdigest()
            assert row["upload"]["quarantined"] is (f"staging/{job_id}" in files)
        assert {row["uploadId"] for row in table(archive, "uploads")} == uploads
        assert sorted(row["received"] for row in table(archive, "uploads")) == [False, False, True]
        assert json.loads(archive.read("usage.json"))["total"] == usage.total.to_json()
        manifest = json.loads(archive.read("export.json"))
        assert (manifest["format"], manifest["version"], manifest["owner"]) == ("mediagate-export", 1, "ann")
        assert (manifest["jobs"], manifest["files"], manifest["missing"]) == (JOBS, len(keys), 0)
        text = "".join(archive.read(name).decode() for name in tables)
    assert "bob" not in text
    assert not [state.job.id for state in theirs if state.job.id in text]
    secrets = [part for row in before["mediagate_api_key"] for part in row.split("'") if len(part) == 64]
    secrets += [part for row in before["mediagate_upload"] for part in row.split("'") if len(part) == 64]
    assert len(secrets) > 3
    assert not [secret for secret in secrets if secret in text]


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
