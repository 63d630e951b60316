"""``GET /jobs/{id}/download``: one output as a file, several as a ZIP archive."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from typing import Any
from zipfile import ZIP_STORED, ZipFile

import httpx
import pytest
from PIL import Image

from mediagate import RECORDS, MediaGate
from tests.support.mounted import client_of
from tests.support.pipeline_site import pipeline_gate, posted, told

pytestmark = pytest.mark.anyio

MakeGate = Callable[..., MediaGate]


async def done(gate: MediaGate, client: httpx.AsyncClient, asked: Any, *files: Any, **headers: str) -> str:
    """Return the id of a pipeline that has ended."""
    answer = await posted(client, asked, *files, **headers)
    assert answer.status_code == 202, answer.text
    job_id: str = answer.json()["jobId"]
    await gate.wait(job_id, timeout_s=60)
    return job_id


async def test_one_output_is_downloaded_as_a_file(make_gate: MakeGate, photo: bytes) -> None:
    gate = pipeline_gate(make_gate)
    async with client_of(gate) as client:
        job_id = await done(gate, client, {"preset": "thumb"}, ("file", ("Über uns.jpg", photo)))
        status = (await client.get(f"/status/{job_id}")).json()
        assert status["downloadUrl"].endswith(f"/jobs/{job_id}/download")
        answer = await client.get(f"/jobs/{job_id}/download")
        assert answer.status_code == 200
        assert answer.headers["Content-Type"] == "image/webp"
        assert answer.headers["Content-Length"] == str(status["outputs"][0]["bytes"])
        assert answer.headers["Cache-Control"] == "private, no-store"
        assert answer.headers["Content-Disposition"].startswith("attachment; filename=")
        assert "filename*=UTF-8''%C3%9Cber" in answer.headers["Content-Disposition"]
        assert Image.open(io.BytesIO(answer.content)).size == (50, 50)


@pytest.mark.parametrize("memory", [True, False], ids=["memory", "files"])
async def test_several_outputs_are_downloaded_as_an_archive(make_gate: MakeGate, photo: bytes, memory: bool) -> None:
    gate = pipeline_gate(make_gate, settings={"memory": memory})
    async with client_of(gate) as client:
        files = [("files[]", (name, photo)) for name in ("a.jpg", "A.jpg", "../../b.jpg")]
        job_id = await done(gate, client, {"preset": "two"}, *files)
        outputs = (await client.get(f"/status/{job_id}")).json()["outputs"]
        answer = await client.get(f"/jobs/{job_id}/download")
        assert answer.headers["Content-Type"] == "application/zip"
        assert f'filename="{job_id}.zip"' in answer.headers["Content-Disposition"]
        with ZipFile(io.BytesIO(answer.content)) as archive:
            assert archive.testzip() is None
            entries = archive.infolist()
            assert [entry.file_size for entry in entries] == [output["bytes"] for output in outputs]
            assert {entry.compress_type for entry in entries} == {ZIP_STORED}
            names = [entry.filename for entry in entries]
            assert len({name.casefold() for name in names}) == 6
            assert not any("/" in name or "\\" in name or name.startswith(".") for name in names)
            for entry, output in zip(entries, outputs, strict=True):
                assert Image.open(archive.open(entry)).size == (output["width"], output["height"])


async def test_head_of_a_download_reads_no_file(make_gate: MakeGate, photo: bytes) -> None:
    gate = pipeline_gate(make_gate)
    async with client_of(gate) as client:
        for preset, length in (("thumb", True), ("two", False)):
            job_id = await done(gate, client, {"preset": preset}, ("file", ("a.jpg", photo)))
            whole = await client.get(f"/jobs/{job_id}/download")
            await gate.parts.storage.delete([output.key for output in (await gate.get_status(job_id)).outputs])
            answer = await client.head(f"/jobs/{job_id}/download")
            assert (answer.status_code, answer.content) == (200, b"")
            assert answer.headers["Content-Disposition"] == whole.headers["Content-Disposition"]
            assert answer.headers.get("Content-Length") == (str(len(whole.content)) if length else None)


async def test_output_is_chosen_by_its_name(make_gate: MakeGate, photo: bytes) -> None:
    gate = pipeline_gate(make_gate)
    async with client_of(gate) as client:
        job_id = await done(gate, client, {"preset": "two"}, ("file", ("a.jpg", photo)))
        small = await client.get(f"/jobs/{job_id}/download?output=small")
        assert small.headers["Content-Type"] == "image/png"
        assert Image.open(io.BytesIO(small.content)).width == 40
        for name in ("smal", "../small", "", "small\x00"):
            wrong = await client.get(f"/jobs/{job_id}/download", params={"output": name})
            assert told(wrong) == (400, "invalid_parameter")
        assert "did you mean small?" in (await client.get(f"/jobs/{job_id}/download?output=smal")).json()["detail"]
        assert told(await client.get(f"/jobs/{job_id}/download?outputs=small")) == (400, "invalid_parameter")


async def test_output_of_several_files_is_chosen_of_each(make_gate: MakeGate, photo: bytes) -> None:
    gate = pipeline_gate(make_gate)
    async with client_of(gate) as client:
        files = [("files[]", (name, photo)) for name in ("a.jpg", "b.jpg")]
        job_id = await done(gate, client, {"preset": "two"}, *files)
        answer = await client.get(f"/jobs/{job_id}/download?output=small")
        with ZipFile(io.BytesIO(answer.content)) as archive:
            assert len(archive.namelist()) == 2


async def test_download_before_the_end_answers_409(make_gate: MakeGate, photo: bytes) -> None:
    gate = pipeline_gate(make_gate, settings={"worker": False})
    async with client_of(gate) as client:
        job_id = (await posted(client, {"preset": "thumb"}, ("file", ("a.jpg", photo)))).json()["jobId"]
        answer = await client.get(f"/jobs/{job_id}/download")
        assert told(answer) == (409, "job_conflict")
        assert answer.headers["Mediagate-Job-Status"] == "PENDING"


async def test_download_after_expiry_answers_410(
    make_gate: MakeGate, photo: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = pipeline_gate(make_gate)
    async with client_of(gate) as client:
        job_id = await done(gate, client, {"preset": "thumb"}, ("file", ("a.jpg", photo)))
        expires_at = (await gate.get_status(job_id)).job.expires_at
        assert expires_at is not None

        async def later(*_: object) -> object:
            return expires_at

        monkeypatch.setattr(type(gate[RECORDS]), "now", later)
        assert told(await client.get(f"/jobs/{job_id}/download")) == (410, "media_deleted")


async def test_download_of_an_upload_answers_409(make_gate: MakeGate, photo: bytes) -> None:
    gate = pipeline_gate(make_gate)
    async with client_of(gate) as client:
        job = await gate.upload(photo, source_type="avatar", source_id="u1")
        await gate.wait(job.job_id, timeout_s=60)
        assert told(await client.get(f"/jobs/{job.job_id}/download")) == (409, "job_conflict")
        assert told(await client.get("/jobs/job_unknown/download")) == (404, "job_not_found")


async def test_download_of_a_pipeline_that_gave_data_alone_answers_409(make_gate: MakeGate, photo: bytes) -> None:
    gate = pipeline_gate(make_gate, known=True)
    async with client_of(gate) as client:
        asked, ann = {"steps": [{"op": "read_metadata"}]}, {"Authorization": "ann"}
        job_id = await done(gate, client, asked, ("file", ("a.jpg", photo)), **ann)
        answer = await client.get(f"/jobs/{job_id}/download", headers=ann)
        assert told(answer) == (409, "job_conflict")
        assert "data is in its status" in answer.json()["detail"]


async def test_download_belongs_to_its_owner(make_gate: MakeGate, photo: bytes) -> None:
    gate = pipeline_gate(make_gate, known=True)
    async with client_of(gate) as client:
        job_id = await done(gate, client, {"preset": "thumb"}, ("file", ("a.jpg", photo)), Authorization="ann")
        for caller, status in (("ann", 200), ("root", 200), ("bob", 404), ("", 401)):
            answer = await client.get(f"/jobs/{job_id}/download", headers={"Authorization": caller})
            assert answer.status_code == status, caller


async def test_file_that_is_missing_leaves_the_archive_without_its_end(make_gate: MakeGate, photo: bytes) -> None:
    gate = pipeline_gate(make_gate)
    async with client_of(gate) as client:
        job_id = await done(gate, client, {"preset": "two"}, ("file", ("a.jpg", photo)))
        outputs = (await gate.get_status(job_id)).outputs
        await gate.parts.storage.delete([outputs[1].key])
        began, *pieces = await sent_by(gate, f"/jobs/{job_id}/download")
        assert began["status"] == 200
        assert all(piece["more_body"] for piece in pieces)
        assert b"PK\x05\x06" not in b"".join(piece["body"] for piece in pieces)
        await gate.parts.storage.delete([outputs[0].key])
        assert told(await client.get(f"/jobs/{job_id}/download")) == (404, "file_not_found")


async def sent_by(gate: MediaGate, path: str) -> list[Any]:
    """Return the messages of a response, whether it is complete or not."""
    messages: list[Any] = []

    async def receive() -> Any:
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        messages.append(message)

    scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": [], "http_version": "1.1"}
    await gate(scope, receive, send)
    return messages
