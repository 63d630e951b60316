"""Erasing and exporting an owner on SQLite with a folder, and on PostgreSQL with a bucket: all rows, all files."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from mediagate import RECORDS, Erased, Exported, JobStatus
from mediagate.records import Database, PrismaRecords
from mediagate.records.client_patches import models
from mediagate.testing.record_samples import a_job
from mediagate.values import JobPage, utcnow
from tests.support.owner_data import JOBS, MEDIA, UPLOADS, Site, fill, names, stored, table

pytestmark = pytest.mark.anyio

FILES = 2 * 3 + 4 + 1
"""Two media with two sizes and an original, the quarantined files of four jobs, and that of a direct upload."""
VOLATILE = {"mediagate_identity"}
OWN = {"id", "mediaId", "stagingKey", "finishedAt", "notifiedAt"}
RELATIONS = {"media", "outputs", "rejudgements"}
COLUMNS = models.MediagateJob.model_fields.keys() - OWN - RELATIONS
COPY = """
WITH RECURSIVE copies(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM copies WHERE n < 899)
INSERT INTO mediagate_job (id, "mediaId", "stagingKey", "finishedAt", "notifiedAt", {columns})
SELECT 'job_' || n, 'med_' || n, 'staging/job_' || n, "createdAt", "createdAt", {columns} FROM mediagate_job, copies
"""
"""Copies a job that ended 899 times."""


@pytest.mark.slow
async def test_erase_removes_all_of_an_owner_and_nothing_of_others(site: Site, photo: bytes) -> None:
    await fill(site, "bob", photo, held=True)
    gate = site.gate(worker=False)
    async with gate:
        tables, files = await site.tables(), await stored(gate)
    await fill(site, "ann", photo)
    async with gate:
        ids = {state.job.id for state in (await gate.parts.records.list_jobs(owner_id="ann", limit=99)).items}
        ids |= {upload.id for upload in await gate.parts.records.uploads_of("ann", limit=99)}
        assert len(ids) == JOBS + UPLOADS
        erased = await gate.erase(owner="ann")
        left = await site.tables()
        assert await stored(gate) == files
        again = await gate.erase(owner="ann")
    # Of the rate limit: two keys for all uploads, and for avatars.
    assert erased == Erased(
        JOBS, MEDIA, UPLOADS, FILES, {"API keys": 2, "rate limit counters": 4, "rate limit slots": 3}
    )
    assert again == Erased()
    changed = {
        name: left[name] ^ tables[name] for name in tables if name not in VOLATILE and left[name] != tables[name]
    }
    kept = changed.pop("mediagate_event")
    assert len(kept) == MEDIA + 1, "one for each media that was deleted, before or now"
    assert all("'media.deleted'" in row and "ann" not in row for row in kept)
    time_of_the_queue = changed.pop("mediagate_turn", set())
    assert all(re.search(r"'\\n'", row) for row in time_of_the_queue)
    assert not changed


@pytest.mark.slow
async def test_erase_of_an_owner_that_has_nothing_removes_nothing(site: Site, photo: bytes) -> None:
    await fill(site, "bob", photo, held=True)
    async with site.gate(worker=False) as gate:
        tables, files = await site.tables(), await stored(gate)
        assert await gate.erase(owner="bo") == Erased()
        assert await gate.erase(owner="b%") == Erased()
        assert {**await site.tables(), "mediagate_identity": set()} == {**tables, "mediagate_identity": set()}
        assert await stored(gate) == files


async def test_two_concurrent_erases_leave_nothing(site: Site, photo: bytes) -> None:
    gate, other = site.gate(worker=False), site.gate(worker=False)
    async with gate, other:
        for number in range(20):
            await gate.upload(photo, source_type="avatar", source_id=number, owner="ann")
        erased = await asyncio.gather(gate.erase(owner="ann"), other.erase(owner="ann"))
        assert all(one.complete for one in erased)
        assert await stored(gate) == {}
        assert (await site.tables())["mediagate_job"] == set()


class NotedRecords(PrismaRecords):
    """Records that note the sizes of batches."""

    def __init__(self, url: str) -> None:
        super().__init__(url, migrate=True)
        self.read: list[int] = []
        self.deleted: list[int] = []

    async def list_jobs(self, **options: Any) -> JobPage:
        page = await super().list_jobs(**options)
        self.read.append(len(page.items))
        return page

    async def erase_jobs(self, owner_id: str, job_ids: Collection[str]) -> int:
        self.deleted.append(len(job_ids))
        return await super().erase_jobs(owner_id, job_ids)


@pytest.mark.slow
async def test_erase_of_a_thousand_jobs_works_in_batches(site: Site, photo: bytes) -> None:
    gate = site.gate(worker=False)
    records = NotedRecords(site.database)
    gate.decorate(RECORDS, records)
    async with gate:
        ended = a_job(utcnow(), owner_id="ann", source_type="avatar", status=JobStatus.FAILED)
        await records.create_job(ended)
        columns = ", ".join(f'"{name}"' for name in COLUMNS)
        await Database(records).change_rows(COPY.format(columns=columns))
        for _ in range(100):
            job = a_job(utcnow(), owner_id="ann", source_type="avatar")
            await records.create_job(job)
            await gate.parts.storage.put(job.staging_key, b"file")
        assert await gate.erase(owner="ann") == Erased(jobs=1000, files=100)
        assert await stored(gate) == {}
        assert (await site.tables())["mediagate_job"] == set()
    assert max(records.read) == max(records.deleted) == 100
    assert sum(records.deleted) == 1000


def files_of(media: dict[str, Any]) -> list[dict[str, Any]]:
    return [*media["variants"], *([media["original"]] if media["original"] else [])]


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
