"""Multipart forms of careless clients: other field names, names in other encodings, unusual content types."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from mediagate import MediaGate, Source
from mediagate.intake import body
from tests.support.direct import completed, sent
from tests.support.mounted import client_of

pytestmark = pytest.mark.anyio

MakeGate = Callable[..., MediaGate]
FORM = {"sourceType": "avatar", "sourceId": "u1"}
HEAD = {"Content-Type": "multipart/form-data; boundary=B"}


def told(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json().get("code", "")


def part(head: bytes, content: bytes) -> bytes:
    return b"--B\r\nContent-Disposition: form-data; " + head + b"\r\n\r\n" + content + b"\r\n"


FIELDS = part(b'name="sourceType"', b"avatar") + part(b'name="sourceId"', b"u1")


def form_of(head: bytes, photo: bytes) -> bytes:
    return FIELDS + part(head, photo) + b"--B--\r\n"


async def test_file_in_another_field_is_refused_with_the_field_to_use(make_gate: MakeGate, photo: bytes) -> None:
    async with client_of(make_gate(worker=False)) as client:
        for name, file in (("image", photo), ("avatar[]", photo * 9), ("upload", b"\xff\xd8\xff")):
            answer = await client.post("/upload", data=FORM, files={name: ("x.jpg", file)})
            assert told(answer) == (400, "bad_upload")
            assert f"came in the field {name!r}; send it in the field file" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b'filename="caf\xe9.jpg"', "café.jpg"),
        (b'filename="voil\xc3\xa0 \xe2\x80\xa6.jpg"', "voilà ….jpg"),
        (b'filename="\xff\xfe\x00.jpg"', "ÿþ.jpg"),
        (b"filename=\"x.jpg\"; filename*=UTF-8''%E5%86%99.jpg", "写.jpg"),
    ],
)
async def test_filename_in_any_encoding_is_accepted(make_gate: MakeGate, photo: bytes, name: bytes, shown: str) -> None:
    gate = make_gate(worker=False)
    async with client_of(gate) as client:
        answer = await client.post("/upload", content=form_of(b'name="file"; ' + name, photo), headers=HEAD)
        assert answer.status_code == 202, answer.text
        assert (await gate.get_status(answer.json()["jobId"])).job.filename == shown


@pytest.mark.parametrize(
    "metadata", [b"{}", b'{"crop":{"center":{"x":0.5,"y":0.5},"zoom":1,"rotation":0,"scaleToFit":true}}']
)
async def test_filepond_metadata_ahead_of_the_file_is_ignored(
    make_gate: MakeGate, photo: bytes, metadata: bytes
) -> None:
    gate = make_gate(worker=False)
    async with client_of(gate) as client:
        form = FIELDS + part(b'name="file"', metadata) + form_of(b'name="file"; filename="a.jpg"', photo)[len(FIELDS) :]
        answer = await client.post("/upload", content=form, headers=HEAD)
        assert answer.status_code == 202, answer.text
        assert "ignored" not in answer.json()
        job = (await gate.get_status(answer.json()["jobId"])).job
        assert (job.filename, job.bytes) == ("a.jpg", len(photo))


async def test_filepond_metadata_without_a_file_is_refused(make_gate: MakeGate) -> None:
    async with client_of(make_gate(worker=False)) as client:
        form = form_of(b'name="file"', b'{"crop":1}')
        answer = await client.post("/upload", content=form, headers=HEAD)
        assert told(answer) == (400, "bad_upload")
        assert "missing from the form: file" in answer.json()["detail"]


async def test_empty_client_reference_id_becomes_none(make_gate: MakeGate, photo: bytes) -> None:
    async with client_of(make_gate(worker=False)) as client:
        answer = await client.post("/upload", data=FORM | {"clientReferenceId": ""}, files={"file": ("a", photo)})
        assert (answer.status_code, answer.json()["clientReferenceId"]) == (202, None)


async def test_content_encoding_other_than_identity_answers_415(make_gate: MakeGate, photo: bytes) -> None:
    async with client_of(make_gate(worker=False)) as client:
        form = form_of(b'name="file"; filename="a.jpg"', photo)
        for encoding in ("gzip", "GZIP", "br", "gzip, identity"):
            zipped = await client.post(
                "/upload", content=gzip.compress(form), headers={**HEAD, "Content-Encoding": encoding}
            )
            assert told(zipped) == (415, "unsupported_encoding"), encoding
            assert "Content-Encoding" in zipped.json()["detail"]
            assert zipped.headers["Accept-Encoding"] == "identity"
        declared = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        assert told(await client.post("/uploads", content=gzip.compress(b"{}"), headers=declared))[0] == 415
        plain = await client.post("/upload", content=form, headers={**HEAD, "Content-Encoding": "identity"})
        assert plain.status_code == 202


@pytest.mark.parametrize("declared", ["image/jpg", "IMAGE/PJPEG", "application/octet-stream", "", None])
async def test_format_is_decided_by_the_bytes_not_the_declared_type(
    make_gate: MakeGate, photo: bytes, declared: str | None
) -> None:
    gate = make_gate()
    async with client_of(gate) as client:
        told_of = FORM | {"size": len(photo)} | ({} if declared is None else {"contentType": declared})
        answer = await client.post("/uploads", json=told_of)
        assert answer.status_code == 201, answer.text
        target = answer.json()
        assert (await sent(client, target, photo)).status_code == 204
        job = (await completed(client, target)).json()["jobId"]
        done = await gate.wait(job)
        assert done.media is not None
        assert done.media.record.format == "jpeg"


async def test_upload_declared_without_a_type_is_checked_by_its_bytes(make_gate: MakeGate, photo: bytes) -> None:
    gate = make_gate(worker=False, sources={"avatar": Source(formats=("png",))})
    async with client_of(gate) as client:
        target = (await client.post("/uploads", json=FORM | {"size": len(photo)})).json()
        url = f"http://test{target['url']}"
        for content_type in ("image/tiff", "image/png"):
            put = await client.put(url, content=photo, headers={"Content-Type": content_type})
            assert told(put) == (415, "unsupported_type")
        as_jpg = FORM | {"size": len(photo), "contentType": "image/jpg"}
        assert told(await client.post("/uploads", json=as_jpg)) == (415, "unsupported_type")


@pytest.mark.parametrize("begins", [b"<svg xmlns='http://www.w3.org/2000/svg'>", b"%PDF-1.7 ", b"PK\x03\x04", b"\0\0"])
async def test_multipart_file_of_another_type_is_refused_by_its_first_bytes(
    make_gate: MakeGate, monkeypatch: pytest.MonkeyPatch, begins: bytes
) -> None:
    monkeypatch.setattr(body, "DRAIN_S", 0.05)
    never = asyncio.Event()

    async def trickling() -> AsyncIterator[bytes]:
        yield FIELDS + b'--B\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n'
        for _ in range(8):
            yield begins.ljust(16)
        await never.wait()

    async with client_of(make_gate(worker=False, upload_timeout_s=3)) as client:
        answer = await client.post("/upload", content=trickling(), headers=HEAD)
        assert told(answer) == (415, "unsupported_type")


async def test_status_checks_its_parameters_before_it_waits(
    make_gate: MakeGate, photo: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = make_gate(worker=False)
    async with client_of(gate) as client:
        job = (await gate.upload(photo, source_type="avatar", source_id="u1")).job_id
        async with asyncio.timeout(20):
            assert told(await client.get(f"/status/{job}?http=x&wait=60")) == (400, "invalid_parameter")
