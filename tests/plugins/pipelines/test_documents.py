"""Documents in pipelines over HTTP: pages, text, passwords, and pictures joined to one document."""

from __future__ import annotations

import io
import logging
import re
import zipfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import httpx
import pytest
from PIL import Image

from mediagate import MODERATOR, MediaGate, Source
from mediagate.errors import ConfigError, UnsupportedType
from mediagate_plugins.pipelines import Preset, Secret, Text
from tests.support.documents import (
    PASSWORD,
    colours,
    drawing_of,
    encrypted,
    filled,
    many,
    objects_of,
    strokes,
    words,
    written,
)
from tests.support.moderators import Scripted
from tests.support.mounted import client_of
from tests.support.pipeline_site import faults, pipeline_gate, posted, told

pytestmark = pytest.mark.anyio

MakeGate = Callable[..., MediaGate]
FORMATS: tuple[Literal["jpeg", "png", "pdf"], ...] = ("jpeg", "png", "pdf")
DOCUMENTS = Source(formats=FORMATS, visibility="private", ttl=timedelta(hours=2), max_bytes=8_000_000)
ANN = {"Authorization": "ann"}
RENDER: dict[str, Any] = {"op": "render", "dpi": 72}
READ: dict[str, Any] = {"op": "read_text"}
Steps = list[dict[str, Any]]


def site(make_gate: MakeGate, source: Source = DOCUMENTS, **options: Any) -> MediaGate:
    sources = {"avatar": Source(reject=source.reject), "work": source}
    return pipeline_gate(make_gate, known=True, sources=sources, **options)


def file(data: bytes, name: str = "scan.pdf", field: str = "file") -> tuple[str, tuple[str, bytes]]:
    return field, (name, data)


async def sent(client: httpx.AsyncClient, steps: Steps, *files: Any, query: str = "") -> httpx.Response:
    return await posted(client, {"steps": steps}, *files, query=query, **ANN)


async def finished(gate: MediaGate, answer: httpx.Response) -> Any:
    assert answer.status_code == 202, answer.text
    status = await gate.wait(answer.json()["jobId"], timeout_s=60)
    return status.to_json(poll_after_ms=0)


async def download(client: httpx.AsyncClient, status: Any, query: str = "") -> bytes:
    answer = await client.get(f"/jobs/{status['jobId']}/download{query}", headers=ANN)
    assert answer.status_code == 200, answer.text
    return answer.content


@pytest.mark.parametrize("memory", [True, False], ids=["memory", "sqlite"])
async def test_each_page_is_an_output_with_its_number(make_gate: MakeGate, memory: bool) -> None:
    gate = site(make_gate, settings={"memory": memory})
    async with client_of(gate) as client:
        steps: Steps = [{**RENDER, "pages": "3,1"}, {"op": "save", "as": "a", "format": "png"}, {"op": "read_text"}]
        status = await finished(gate, await sent(client, steps, file(colours(), "my scan.pdf")))
        assert status["status"] == "COMPLETE"
        assert status["inputs"][0] | {"bytes": 0} == {
            "name": "input0", "filename": "my scan.pdf", "format": "pdf", "mimeType": "application/pdf", "bytes": 0,
            "width": 200, "height": 100, "pages": 3,
        }  # fmt: skip
        assert [(one["page"], one["filename"]) for one in status["outputs"]] == [
            (3, "my scan-p3.png"),
            (1, "my scan-p1.png"),
        ]
        assert [(one["page"], one["value"]["text"]) for one in status["data"]["read_text"]] == [
            (3, "three"),
            (1, "one"),
        ]
        with zipfile.ZipFile(io.BytesIO(await download(client, status))) as archive:
            colours_of = {}
            for name in archive.namelist():
                image = Image.open(io.BytesIO(archive.read(name))).convert("RGB")
                colours_of[name] = image.getpixel((1, 1))
        assert colours_of == {"my scan-p3.png": (0, 0, 255), "my scan-p1.png": (255, 0, 0)}
        assert {stage["name"]: stage["progress"] for stage in status["stages"]}["step0"] == 100


async def test_document_that_a_pipeline_does_not_render_is_refused(make_gate: MakeGate, photo: bytes) -> None:
    gate = site(make_gate, settings={"worker": False})
    async with client_of(gate) as client:
        assert faults(await sent(client, [{"op": "flip"}], file(colours()))) == {"/steps/0": "not_a_picture"}
        assert faults(await sent(client, [RENDER], file(photo, "a.jpg"))) == {"/steps/0": "not_a_document"}
        beyond = await sent(client, [{**RENDER, "pages": "2-7"}], file(colours()))
        assert faults(beyond) == {"/steps/0/pages": "out_of_range"}
        assert "has 3 pages" in beyond.json()["errors"][0]["detail"]
        large = await sent(client, [RENDER], file(many(10_000)))
        assert faults(large) == {"/steps/0/pages": "too_many_pages"}
        mark: Steps = [RENDER, {"op": "watermark", "picture": "logo"}]
        answer = await sent(client, mark, file(colours()), file(colours(), "l.pdf", "logo"))
        assert told(answer) == (415, "unsupported_type")
        for broken in (colours()[:300], b"%PDF-1.7\n" + b"\0" * 999):
            assert told(await sent(client, [RENDER], file(broken))) == (422, "image_undecodable")
        assert told(await sent(client, [RENDER], file(b""))) == (400, "bad_upload")
        assert await gate.parts.records.queue_depth() == 0
        assert [key async for key in gate.parts.storage.list("staging/")] == []


async def test_few_pages_of_a_long_document_are_rendered(make_gate: MakeGate) -> None:
    gate = site(make_gate)
    async with client_of(gate) as client:
        status = await finished(gate, await sent(client, [{**RENDER, "pages": "9999-last"}], file(many(10_000))))
        assert [one["page"] for one in status["outputs"]] == [9999, 10_000]


async def test_dry_run_tells_the_pages_and_their_size(make_gate: MakeGate) -> None:
    gate = site(make_gate, settings={"worker": False})
    async with client_of(gate) as client:
        steps: Steps = [{"op": "render", "dpi": 144, "password": PASSWORD}, {"op": "save", "format": "webp"}]
        answer = await sent(client, steps, file(encrypted(objects_of(b"", b""))), query="?dryRun=1")
        (cost,) = answer.json()["costs"]
        assert (cost["pages"], cost["width"], cost["height"]) == (2, 400, 200)
        assert answer.json()["steps"][0] == {"op": "render", "dpi": 144}
        limits = (await client.get("/pipelines/operations", headers=ANN)).json()["limits"]
        assert limits["pages"] == 50


async def test_page_that_may_not_be_published_ends_the_job_without_outputs(make_gate: MakeGate) -> None:
    source = DOCUMENTS.model_copy(update={"reject": {"NUDE": 0.5}})
    gate = site(make_gate, source, settings={"moderation": "on"})
    gate.decorate(MODERATOR, Scripted())  # rejects a picture that is 106 pixels wide
    async with client_of(gate) as client:
        harmless = await finished(gate, await sent(client, [{**RENDER, "pages": "1"}], file(colours())))
        assert harmless["status"] == "COMPLETE"
        pages = objects_of(filled(1, 0, 0), filled(1, 0, 0))
        pages[6] = pages[6].replace(b"[0 0 200 100]", b"[0 0 106 100]")
        status = await finished(gate, await sent(client, [RENDER, READ], file(written(pages))))
        assert (status["status"], status["outputs"], status["data"]) == ("REJECTED", [], {})


async def test_password_opens_a_document_and_is_kept_nowhere(
    make_gate: MakeGate, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    gate = site(make_gate, settings={"memory": False})
    data = encrypted(objects_of(filled(0, 0, 1) + words("secret")))
    async with client_of(gate) as client:
        steps: Steps = [{**RENDER, "password": PASSWORD}, {"op": "read_text"}, {"op": "save", "format": "png"}]
        answer = await sent(client, steps, file(data))
        status = await finished(gate, answer)
        assert status["status"] == "COMPLETE"
        assert status["data"]["read_text"][0]["value"]["text"] == "secret"
        shown = await client.get(f"/status/{status['jobId']}", headers=ANN)
        assert PASSWORD not in answer.text + shown.text + caplog.text
    assert_kept_nowhere(tmp_path)


def assert_kept_nowhere(folder: Path) -> None:
    """No file of a gate contains the password."""
    kept = [path for path in folder.rglob("*") if path.is_file()]
    assert any(path.suffix == ".db" for path in kept)
    for path in kept:
        assert PASSWORD.encode() not in path.read_bytes(), path


async def test_document_without_its_password_is_422_and_makes_no_job(make_gate: MakeGate) -> None:
    gate = site(make_gate, settings={"worker": False})
    async with client_of(gate) as client:
        for password in ({}, {"password": "wrong-password"}):
            answer = await sent(client, [{**RENDER, **password}], file(encrypted(objects_of(b""))))
            assert told(answer) == (422, "password_required")
            assert answer.json()["retryable"] is False and "wrong-password" not in answer.text
        assert await gate.parts.records.queue_depth() == 0
        assert list(gate.runtime.spool_dir.iterdir()) == []


async def test_repeated_request_with_a_password_gets_the_same_job(make_gate: MakeGate) -> None:
    gate = site(make_gate)
    data = encrypted(objects_of(b""))
    asked = {"steps": [{**RENDER, "password": PASSWORD}]}
    async with client_of(gate) as client:
        headers = {**ANN, "Idempotency-Key": "k"}
        first = await posted(client, asked, file(data), **headers)
        second = await posted(client, asked, file(data), **headers)
        assert first.status_code == second.status_code == 202
        assert first.json()["jobId"] == second.json()["jobId"]
        assert (await finished(gate, first))["status"] == "COMPLETE"


async def test_python_takes_a_password_too(make_gate: MakeGate) -> None:
    gate = site(make_gate)
    async with gate:
        steps: Steps = [{**RENDER, "password": PASSWORD}, {"op": "read_text"}]
        data = encrypted(objects_of(words("mine")))
        job = await gate.pipeline(data, steps=steps, source="work")
        status = await gate.wait(job.job_id, timeout_s=60)
        assert status.to_json(poll_after_ms=0)["data"]["read_text"][0]["value"]["text"] == "mine"
        with pytest.raises(UnsupportedType, match="POST /pipelines"):
            await gate.upload(colours(), source_type="work", source_id="me")


async def test_preset_takes_a_password_as_a_secret(make_gate: MakeGate) -> None:
    preset = Preset(
        steps=[{**RENDER, "password": {"$param": "password"}}, {"op": "save", "format": "png"}],
        params={"password": Secret()},
    )
    gate = site(make_gate, presets={"pages": preset})
    async with client_of(gate) as client:
        for params, data in (({}, colours()), ({"password": PASSWORD}, encrypted(objects_of(b"")))):
            answer = await posted(client, {"preset": "pages", "params": params}, file(data), **ANN)
            assert (await finished(gate, answer))["status"] == "COMPLETE"
        for wrong in (12345678, "z" * 128, ""):
            answer = await posted(client, {"preset": "pages", "params": {"password": wrong}}, file(colours()), **ANN)
            assert list(faults(answer)) == ["/params/password"]
            assert "12345678" not in answer.text and "zzz" not in answer.text


@pytest.mark.parametrize(
    ("steps", "params"),
    [
        ([{**RENDER, "password": "in the code"}], {}),
        ([{**RENDER, "password": {"$param": "password"}}], {"password": Text(20)}),
        ([RENDER, {"op": "watermark", "text": {"$param": "password"}}], {"password": Secret()}),
    ],
    ids=["literal", "no secret", "secret elsewhere"],
)
async def test_preset_that_would_store_a_password_stops_the_boot(
    make_gate: MakeGate, steps: Steps, params: dict[str, Any]
) -> None:
    with pytest.raises(ConfigError, match="Secret"):
        async with site(make_gate, presets={"pages": Preset(steps=steps, params=params)}):
            pass


async def test_pictures_and_pages_are_joined_to_one_document(make_gate: MakeGate, photo: bytes) -> None:
    gate = site(make_gate)
    steps: Steps = [
        {**RENDER, "onError": "skip"},
        {"op": "resize", "width": 100},
        {"op": "save", "as": "all", "format": "pdf", "join": True, "dpi": 72},
        {"op": "save", "as": "one", "format": "png"},
    ]
    async with client_of(gate) as client:
        files = [file(photo, "b.jpg", "files[]"), file(colours(), "c.pdf", "files[]")]
        status = await finished(gate, await sent(client, steps, *files))
        assert [(one["name"], one.get("page")) for one in status["outputs"]] == [
            ("one", None), ("one", 1), ("one", 2), ("one", 3), ("all", None),
        ]  # fmt: skip
        joined = status["outputs"][-1]
        assert (joined["format"], joined["frames"], joined["filename"]) == ("pdf", 4, "b-all.pdf")
        assert joined["mimeType"] == "application/pdf"
        document = await download(client, status, "?output=all")
        assert len(document) == joined["bytes"]
        again = await finished(gate, await sent(client, [RENDER], file(document)))
        assert [(one["width"], one["height"]) for one in again["outputs"][1:]] == [(100, 50)] * 3
        page = (await client.get(f"/jobs/{again['jobId']}/download?output=scan-p3.png", headers=ANN)).content
        pixel = Image.open(io.BytesIO(page)).convert("RGB").getpixel((1, 1))
        assert isinstance(pixel, tuple) and pixel[1] > 240 and max(pixel[0], pixel[2]) < 15


async def test_page_that_takes_too_long_fails_with_its_number(make_gate: MakeGate) -> None:
    gate = site(make_gate, settings={"image_timeout_s": 1.5, "max_attempts": 1})
    slow = written({**objects_of(filled(1, 0, 0), b""), 7: drawing_of(strokes(300_000))})
    async with client_of(gate) as client:
        status = await finished(gate, await sent(client, [{"op": "render"}], file(slow)))
        assert (status["status"], status["code"]) == ("FAILED", "image_timeout")
        assert re.search(r"running step 0 \(render\) on page 2", status["error"])


async def test_upload_of_a_document_is_refused_and_says_where_to_send_it(make_gate: MakeGate) -> None:
    gate = site(make_gate, settings={"worker": False})
    async with client_of(gate) as client:
        for source_type in ("avatar", "work"):
            form = {"sourceType": source_type, "sourceId": "me"}
            answer = await client.post("/upload", data=form, files={"file": ("a.pdf", colours())}, headers=ANN)
            assert told(answer) == (415, "unsupported_type")
            assert "pipeline" in answer.json()["detail"]


async def test_document_of_a_direct_upload_is_rendered(make_gate: MakeGate) -> None:
    gate = site(make_gate)
    data = colours()
    async with client_of(gate) as client:
        told_ = {"sourceType": "work", "sourceId": "me", "size": len(data), "contentType": "application/pdf"}
        target = (await client.post("/uploads", json=told_, headers=ANN)).json()
        put = await client.put(target["url"].removeprefix("/image-pipeline"), content=data, headers=target["headers"])
        assert put.status_code < 300, put.text
        asked = {"steps": [{**RENDER, "pages": "2"}], "uploadIds": [target["uploadId"]]}
        status = await finished(gate, await client.post("/pipelines", json=asked, headers=ANN))
        assert [one["page"] for one in status["outputs"]] == [2]
        completed = await client.post(f"/uploads/{target['uploadId']}/complete", headers=ANN)
        assert told(completed) == (415, "unsupported_type")


@pytest.mark.parametrize("options", [{}, {"visibility": "private"}, {"ttl": timedelta(hours=1)}])
def test_documents_are_for_private_sources_with_an_end(options: dict[str, Any]) -> None:
    assert "pdf" not in Source().formats
    with pytest.raises(ConfigError, match="pdf is for the source of pipelines"):
        Source(formats=FORMATS, **options)


async def test_source_of_documents_needs_the_extra(make_gate: MakeGate, monkeypatch: pytest.MonkeyPatch) -> None:
    from mediagate.api import defaults

    monkeypatch.setattr(defaults, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r'pip install "mediagate\[pdf\]"'):
        async with site(make_gate):
            pass
