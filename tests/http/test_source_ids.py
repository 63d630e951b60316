"""Uploads whose ``sourceId`` is any text: from the form to the file and its URL, and to its deletion."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from mediagate import MediaGate, Source
from mediagate.jobs.walk import Walk
from mediagate.values import SERVED, STAGING
from tests.support.direct import completed, sent
from tests.support.mounted import client_of

pytestmark = pytest.mark.anyio

MakeGate = Callable[..., MediaGate]
FILES = 6
"""The variants and the original of each picture."""
IDS = ["ann@example.com", "a/../b", "..", "100%", "写真 🐈\u200d⬛", "x" * 255, "🐈" * 255]


async def uploaded(client: httpx.AsyncClient, photo: bytes, source_id: str) -> Any:
    """Upload a photo and return its media."""
    form = {"sourceType": "avatar", "sourceId": source_id}
    answer = await client.post("/upload", data=form, files={"file": ("a.jpg", photo)})
    assert answer.status_code == 202, answer.text
    done = await client.get(f"/status/{answer.json()['jobId']}?wait=60")
    assert done.status_code == 200, done.text
    return done.json()["media"]


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("visibility", ["public", "private"])
async def test_source_id_of_any_text_is_told_as_it_was_sent_and_its_files_are_served(
    make_gate: MakeGate, photo: bytes, visibility: Any
) -> None:
    gate = make_gate(sources={"avatar": Source(visibility=visibility)}, memory=False)
    folder = gate.settings.data_dir / "files"
    async with client_of(gate) as client:
        for source_id in IDS:
            media = await uploaded(client, photo, source_id)
            assert media["sourceId"] == source_id
            for url in (*media["urls"].values(), media["originalUrl"]):
                assert (await client.get(url.removeprefix("/image-pipeline"))).status_code == 200, url
            query = {"sourceType": "avatar", "sourceId": source_id}
            for path in ("/media", "/jobs"):
                (found,) = (await client.get(path, params=query)).json()["items"]
                assert found["sourceId"] == source_id
        now = await gate.parts.records.now()
        look = await Walk(gate.parts, now).look()
        assert (look.published, look.count) == (len(IDS) * FILES, 0), "the walk finds each file's record"
        assert {path.parent.parent.name for path in folder.rglob("original.*")} >= {"_.2e.2e", "_100.25"}
        for media in (await client.get("/media?sourceType=avatar")).json()["items"]:
            assert (await client.delete(f"/media/{media['id']}")).status_code == 204
        assert files_in(folder) == ["database.json"]


async def test_direct_upload_takes_any_source_id(make_gate: MakeGate, photo: bytes) -> None:
    gate = make_gate()
    declaration = {"sourceType": "avatar", "sourceId": "ann@example.com", "size": len(photo)}
    async with client_of(gate) as client:
        target = (await client.post("/uploads", json=declaration)).json()
        assert (await sent(client, target, photo)).status_code == 204
        job_id = (await completed(client, target)).json()["jobId"]
        status = await gate.wait(job_id, timeout_s=60)
    assert status.media is not None
    assert status.media.record.source_id == "ann@example.com"


async def test_files_of_any_source_id_are_exported_and_erased(
    make_gate: MakeGate, photo: bytes, tmp_path: Path
) -> None:
    gate = make_gate()
    async with gate:
        for source_id in IDS:
            job = await gate.upload(photo, source_type="avatar", source_id=source_id, owner="ann")
            await gate.wait(job.job_id, timeout_s=60)
        exported = await gate.export(owner="ann", to=tmp_path / "ann.zip")
        assert (exported.media, exported.files) == (len(IDS), len(IDS) * FILES)
        erased = await gate.erase(owner="ann")
        assert erased.complete
        roots = (STAGING, *SERVED)
        assert [info.key for root in roots async for info in gate.parts.storage.list(root)] == []
