"""Direct uploads: declare, put and complete; refusals, expiry and clean-up."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from mediagate import RECORDS, STORAGE, JobStatus, MediaGate
from mediagate.errors import (
    UnknownSource,
    UploadMismatch,
    UploadNotFound,
    UploadNotReceived,
    UploadRefused,
)
from mediagate.records import MemoryRecords
from mediagate.values import utcnow
from tests.support.bucket import URL, Bucket
from tests.support.mounted import ORIGIN, client_of

pytestmark = pytest.mark.anyio

MakeGate = Callable[..., MediaGate]
LATER = timedelta(days=2)
"""Longer than a declared or completed upload is kept."""


def declaration(file: bytes, content_type: str = "image/jpeg", **more: Any) -> dict[str, Any]:
    return {"sourceType": "avatar", "sourceId": "u1", "contentType": content_type, "size": len(file), **more}


async def declared(client: httpx.AsyncClient, file: bytes, content_type: str = "image/jpeg", **more: Any) -> Any:
    answer = await client.post("/uploads", json=declaration(file, content_type, **more))
    assert answer.status_code == 201, answer.text
    return answer.json()


async def sent(client: httpx.AsyncClient, target: Any, file: bytes) -> httpx.Response:
    return await client.put(f"http://test{target['url']}", content=file, headers=target["headers"])


async def completed(client: httpx.AsyncClient, target: Any) -> httpx.Response:
    return await client.post(f"http://test{target['completeUrl']}")


async def staged(gate: MediaGate) -> set[str]:
    return {info.key async for info in gate.parts.storage.list("staging/")}


def code_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


@pytest.mark.parametrize("memory", [True, False], ids=["memory", "sqlite"])
async def test_direct_upload_is_declared_put_and_completed(make_gate: MakeGate, photo: bytes, memory: bool) -> None:
    gate = make_gate(memory=memory)
    async with client_of(gate) as client:
        before = utcnow()
        target = await declared(client, photo, clientReferenceId="mine", focalX=0.25, focalY="0.75", filename="a/b.jpg")
        assert set(target) == {"uploadId", "method", "url", "headers", "expiresAt", "completeUrl"}
        assert (target["method"], target["headers"]) == ("PUT", {"Content-Type": "image/jpeg"})
        place = f"/image-pipeline/uploads/{target['uploadId']}"
        assert target["url"].startswith(f"{place}/content?token=")
        assert target["completeUrl"] == f"{place}/complete"
        left = datetime.fromisoformat(target["expiresAt"]) - before
        assert timedelta(hours=1) <= left < timedelta(hours=1, minutes=1)

        assert (await sent(client, target, photo)).status_code == 204
        assert await staged(gate) == {f"staging/{target['uploadId']}"}
        answer = await completed(client, target)
        assert answer.status_code == 202
        plain = await client.post(
            "/upload", data={"sourceType": "avatar", "sourceId": "u1"}, files={"file": ("a.jpg", photo)}
        )
        assert set(answer.json()) == set(plain.json())
        assert answer.json()["statusUrl"] == answer.headers["Location"]
        assert answer.json()["clientReferenceId"] == "mine"
        for name in ("Retry-After", "Cache-Control", "Access-Control-Allow-Origin"):
            assert answer.headers[name] == plain.headers[name]
        status = await gate.wait(answer.json()["jobId"], timeout_s=60)
        assert status.status is JobStatus.COMPLETE
        assert (status.job.filename, status.job.sha256) == (
            "b.jpg",
            (await gate.wait(plain.json()["jobId"])).job.sha256,
        )
        assert status.media is not None
        assert (status.media.record.focal_x, status.media.record.focal_y) == (0.25, 0.75)
        again = await completed(client, target)
        assert (again.status_code, again.json()["jobId"]) == (202, answer.json()["jobId"])
        assert f"staging/{target['uploadId']}" not in await staged(gate)
        assert list(gate.runtime.spool_dir.iterdir()) == []


@pytest.mark.parametrize("memory", [True, False], ids=["memory", "sqlite"])
async def test_concurrent_completions_create_one_job(make_gate: MakeGate, photo: bytes, memory: bool) -> None:
    gate = make_gate(memory=memory, worker=False)
    async with client_of(gate) as client:
        target = await declared(client, photo)
        await sent(client, target, photo)
        answers = await asyncio.gather(*(completed(client, target) for _ in range(8)))
        others = [answer for answer in answers if answer.status_code != 202]
        assert len(others) < 8
        for answer in others:
            assert code_of(answer) == (409, "upload_in_flight")
        jobs = {answer.json()["jobId"] for answer in answers if answer.status_code == 202}
        jobs.add((await completed(client, target)).json()["jobId"])
        assert len(jobs) == 1
        assert await gate.parts.records.queue_depth() == 1
        assert await staged(gate) == {f"staging/{jobs.pop()}"}


async def test_early_complete_and_second_put_answer_409(make_gate: MakeGate, photo: bytes) -> None:
    gate = make_gate(worker=False)
    async with client_of(gate) as client:
        target = await declared(client, photo)
        early = await completed(client, target)
        assert code_of(early) == (409, "upload_not_received")
        assert early.headers["Access-Control-Allow-Origin"] == ORIGIN
        await sent(client, target, photo)
        assert code_of(await sent(client, target, photo)) == (409, "upload_received")
        assert (await completed(client, target)).status_code == 202
        assert code_of(await sent(client, target, photo)) == (409, "upload_received")


async def test_upload_url_is_bound_to_token_size_and_type(make_gate: MakeGate, photo: bytes) -> None:
    gate = make_gate(worker=False)
    async with client_of(gate) as client:
        target, other = await declared(client, photo), await declared(client, photo)
        url = f"http://test{target['url']}"
        place, _, token = url.partition("?token=")
        strange = [
            place,
            f"{place}?token=",
            f"{place}?token={token[:-1]}",
            f"http://test{other['url']}".partition("?")[0] + f"?token={token}",
            url.replace(target["uploadId"], "upl_" + "a" * 26),
            url.replace(target["uploadId"], "job%00"),
        ]
        for wrong in strange:
            answer = await client.put(wrong, content=photo, headers=target["headers"])
            assert code_of(answer) == (404, "upload_not_found"), wrong
        for body in (photo + b"x", photo[:-1], b""):
            assert code_of(await sent(client, target, body)) == (422, "upload_mismatch")

        async def pieces(body: bytes) -> AsyncIterator[bytes]:
            for at in range(0, len(body), 1000):
                yield body[at : at + 1000]

        for body in (photo + b"x" * 5000, photo[:-1]):
            answer = await client.put(url, content=pieces(body), headers=target["headers"])
            assert code_of(answer) == (422, "upload_mismatch")
        answer = await client.put(url, content=photo, headers={"Content-Type": "image/png"})
        assert code_of(answer) == (422, "upload_mismatch")
        assert await staged(gate) == set()
        assert list(gate.runtime.spool_dir.iterdir()) == []
        assert (await client.put(url, content=pieces(photo), headers=target["headers"])).status_code == 204


async def test_complete_checks_the_type_of_the_bytes_and_removes_refused_files(
    make_gate: MakeGate, photo: bytes, data: Path
) -> None:
    gate = make_gate(worker=False)
    truncated = (data / "bad" / "corrupt-header.jpg").read_bytes()
    async with client_of(gate) as client:
        for file, content_type, wanted in (
            (photo, "image/png", (422, "upload_mismatch")),
            (b"<html><script>alert(1)</script></html>", "image/jpeg", (415, "unsupported_type")),
            (truncated, "image/jpeg", (422, "image_undecodable")),
        ):
            target = await declared(client, file, content_type)
            assert (await sent(client, target, file)).status_code == 204
            assert code_of(await completed(client, target)) == wanted
            key = f"staging/{target['uploadId']}"
            assert key not in await staged(gate), "a refused file must be removed at once"
            assert code_of(await completed(client, target)) == (409, "upload_not_received")
            assert (await sent(client, target, file)).status_code == 204, "other bytes may be sent"
        assert await gate.parts.records.queue_depth() == 0


BAD: list[tuple[dict[str, Any], tuple[int, str]]] = [
    ({"sourceType": None}, (400, "bad_upload")),
    ({"size": None}, (400, "bad_upload")),
    ({"sourceType": "cat"}, (400, "unknown_source")),
    ({"sourceType": ["avatar"]}, (400, "invalid_parameter")),
    ({"sourceId": "a\x7f"}, (400, "invalid_source_id")),
    ({"sourceId": "\ud800"}, (400, "invalid_parameter")),
    ({"sourceId": 7}, (400, "invalid_parameter")),
    ({"size": 0}, (400, "invalid_parameter")),
    ({"size": -1}, (400, "invalid_parameter")),
    ({"size": 1.5}, (400, "invalid_parameter")),
    ({"size": "12"}, (400, "invalid_parameter")),
    ({"size": True}, (400, "invalid_parameter")),
    ({"size": 10**9}, (413, "upload_too_large")),
    ({"size": 10**400}, (413, "upload_too_large")),
    ({"contentType": "image/svg+xml"}, (415, "unsupported_type")),
    ({"contentType": "image/jpeg; charset=x"}, (415, "unsupported_type")),
    ({"contentType": "image/jpeg\r\nX-Evil: 1"}, (415, "unsupported_type")),
    ({"focalX": 2}, (400, "invalid_parameter")),
    ({"focalX": True}, (400, "invalid_parameter")),
    ({"focalX": [0.5]}, (400, "invalid_parameter")),
    ({"callbackUrl": "http://insecure.example"}, (400, "invalid_parameter")),
    ({"callbackUrl": "https://x.example/\ud800"}, (400, "invalid_parameter")),
    ({"filename": "\ud800"}, (400, "invalid_parameter")),
    ({"clientReferenceId": "a\nb"}, (400, "invalid_parameter")),
]


async def test_declaration_with_invalid_field_or_body_is_refused(make_gate: MakeGate, photo: bytes) -> None:
    gate = make_gate(worker=False)
    async with client_of(gate) as client:
        as_json = {"Content-Type": "application/json"}
        for change, wanted in BAD:
            told = json.dumps(declaration(photo) | change)
            answer = await client.post("/uploads", content=told, headers=as_json)
            assert code_of(answer) == wanted, change
            assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
        for body, headers in (
            (b"{", as_json),
            (b"[]", as_json),
            (b"[" * 9000, as_json),
            (b'{"size": 1' + b"0" * 9000 + b"}", as_json),
            (b"\xff\xfe", as_json),
            (b"{}", {"Content-Type": "text/plain"}),
            (b"{}", {}),
            (b" " * 20_000, as_json),
        ):
            assert code_of(await client.post("/uploads", content=body, headers=headers)) == (400, "bad_upload"), body[
                :9
            ]
        declared_nan = json.dumps(declaration(photo) | {"focalX": float("nan")})
        assert (await client.post("/uploads", content=declared_nan, headers=as_json)).status_code == 400
        assert await gate.parts.records.expired_uploads(now=utcnow() + LATER, limit=99) == []
        assert code_of(await client.post("/uploads/upl_x/complete")) == (404, "upload_not_found")


async def test_cors_preflight_is_answered_for_declaration_and_put(make_gate: MakeGate, photo: bytes) -> None:
    async with client_of(make_gate(worker=False)) as client:
        target = await declared(client, photo)
        for path, method in (("/uploads", "POST"), (f"http://test{target['url']}", "PUT")):
            asks = {"Access-Control-Request-Method": method, "Access-Control-Request-Headers": "content-type"}
            answer = await client.options(path, headers=asks)
            assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (200, ORIGIN)


async def test_direct_upload_answers_503_while_the_gate_closes(make_gate: MakeGate, photo: bytes) -> None:
    gate = make_gate(worker=False)
    async with client_of(gate) as client:
        target = await declared(client, photo)
        gate.begin_closing()
        for answer in (
            await client.post("/uploads", json=declaration(photo)),
            await sent(client, target, photo),
            await completed(client, target),
        ):
            assert code_of(answer) == (503, "shutting_down")


async def test_pre_upload_hook_refusal_removes_the_received_file(make_gate: MakeGate, photo: bytes) -> None:
    async def refuses(upload: Any) -> None:
        raise UploadRefused(f"no {upload.filename} today")

    gate = make_gate(worker=False)
    gate.add_hook("pre_upload", refuses)
    async with client_of(gate) as client:
        target = await declared(client, photo, filename="cat.jpg")
        await sent(client, target, photo)
        answer = await completed(client, target)
        assert code_of(answer) == (403, "upload_refused")
        assert "no cat.jpg today" in answer.json()["detail"]
        assert await staged(gate) == set()


async def test_presigned_url_puts_into_storage_and_cannot_change_a_jobs_file(make_gate: MakeGate, photo: bytes) -> None:
    gate = make_gate(memory=False, worker=False, orphan_grace_s=0)
    gate.decorate(RECORDS, MemoryRecords())
    bucket = Bucket()
    gate.decorate(STORAGE, bucket)
    async with client_of(gate) as client, httpx.AsyncClient(transport=httpx.ASGITransport(bucket.app())) as browser:
        target = await declared(client, photo)
        assert target["url"].startswith(f"{URL}/staging/{target['uploadId']}?")
        assert target["headers"] == {"Content-Type": "image/jpeg", "X-Signed": "yes"}
        for body, headers in ((photo + b"x", target["headers"]), (photo, {"Content-Type": "text/html"})):
            assert (await browser.put(target["url"], content=body, headers=headers)).status_code == 403
        content = f"/uploads/{target['uploadId']}/content?token="
        assert (await client.put(content, content=photo, headers=target["headers"])).status_code == 404
        assert code_of(await completed(client, target)) == (409, "upload_not_received")
        assert (await browser.put(target["url"], content=photo, headers=target["headers"])).status_code == 200
        job_id = (await completed(client, target)).json()["jobId"]
        assert await staged(gate) == {f"staging/{job_id}"}

        other = bytes(len(photo))
        assert (await browser.put(target["url"], content=other, headers=target["headers"])).status_code == 200
        assert (await completed(client, target)).json()["jobId"] == job_id
        assert await gate.parts.storage.get(f"staging/{job_id}") == photo, "a signed URL must not change a job's file"
        await gate.runtime.janitor.sweep_files(dry_run=False, now=utcnow() + timedelta(seconds=1))
        assert await staged(gate) == {f"staging/{job_id}"}, "files left by a signed URL must be removed"


async def test_complete_checks_the_size_of_the_staged_file(make_gate: MakeGate, photo: bytes) -> None:
    gate = make_gate(worker=False)
    async with client_of(gate) as client:
        for body in (photo + b"x", photo[:-1]):
            target = await declared(client, photo)
            await gate.parts.storage.put(f"staging/{target['uploadId']}", body)
            assert code_of(await completed(client, target)) == (422, "upload_mismatch")
            assert await staged(gate) == set()


async def test_create_upload_and_complete_upload_work_from_python(make_gate: MakeGate, photo: bytes) -> None:
    gate = make_gate(public_base_url="https://pictures.example/gate")
    async with gate:
        target = await gate.create_upload(
            source_type="post", source_id="u1", content_type="image/jpeg", size=len(photo), client_reference_id="mine"
        )
        assert target.url.startswith(f"https://pictures.example/gate/uploads/{target.upload_id}/content?token=")
        assert target.url.rpartition("=")[2] not in repr(target)
        with pytest.raises(UploadNotReceived):
            await gate.complete_upload(target.upload_id)
        await gate.parts.storage.put(f"staging/{target.upload_id}", photo)
        status = await gate.complete_upload(target.upload_id)
        assert (status.job.source_type, status.job.client_reference_id) == ("post", "mine")
        assert (await gate.complete_upload(target.upload_id)).job_id == status.job_id
        assert (await gate.wait(status.job_id, timeout_s=60)).status is JobStatus.COMPLETE
        with pytest.raises(UploadNotFound):
            await gate.complete_upload("upl_unknown")
        with pytest.raises(UnknownSource):
            await gate.create_upload(source_type="x", source_id="u1", content_type="image/jpeg", size=1)


async def test_expired_upload_answers_410_until_the_janitor_removes_it(
    make_gate: MakeGate, photo: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = make_gate(worker=False, orphan_grace_s=0)
    async with client_of(gate) as client:
        empty, full = await declared(client, photo), await declared(client, photo)
        await sent(client, full, photo)
        tomorrow = utcnow() + timedelta(minutes=59)
        await gate.runtime.janitor.sweep_files(dry_run=False, now=tomorrow)
        assert (await gate.runtime.janitor.sweep_expired(dry_run=False, now=tomorrow)).expired_uploads == []
        assert await staged(gate) == {f"staging/{full['uploadId']}"}, "it may still be completed"

        async def an_hour_later() -> datetime:
            return utcnow() + timedelta(minutes=61)

        monkeypatch.setattr(gate.parts.records, "now", an_hour_later)
        assert code_of(await sent(client, empty, photo)) == (410, "upload_expired")
        for target in (empty, full):
            assert code_of(await completed(client, target)) == (410, "upload_expired")
        later = utcnow() + timedelta(minutes=61)
        dry = await gate.runtime.janitor.sweep_expired(dry_run=True, now=later)
        assert set(dry.expired_uploads) == {empty["uploadId"], full["uploadId"]}
        assert await staged(gate) == {f"staging/{full['uploadId']}"}
        assert await gate.runtime.janitor.sweep_expired(dry_run=False, now=later) == dry
        assert await staged(gate) == set()
        for target in (empty, full):
            assert code_of(await completed(client, target)) == (404, "upload_not_found")


async def test_completed_upload_is_kept_as_long_as_an_idempotency_key(make_gate: MakeGate, photo: bytes) -> None:
    async with client_of(gate := make_gate(worker=False)) as client:
        target = await declared(client, photo)
        await sent(client, target, photo)
        job_id = (await completed(client, target)).json()["jobId"]
        sweep = gate.runtime.janitor.sweep_expired
        assert (await sweep(dry_run=False, now=utcnow() + timedelta(hours=23))).expired_uploads == []
        assert (await completed(client, target)).json()["jobId"] == job_id
        assert (await sweep(dry_run=False, now=utcnow() + LATER)).expired_uploads == [target["uploadId"]]
        assert await staged(gate) == {f"staging/{job_id}"}
        assert (await gate.get_status(job_id)).status is JobStatus.PENDING


async def test_upload_expired_during_complete_creates_no_job(make_gate: MakeGate, photo: bytes) -> None:
    gate = make_gate(worker=False)

    async def sweeps(upload: Any) -> None:
        await gate.runtime.janitor.sweep_expired(dry_run=False, now=utcnow() + LATER)

    gate.add_hook("pre_upload", sweeps)
    async with client_of(gate) as client:
        target = await declared(client, photo)
        await sent(client, target, photo)
        assert code_of(await completed(client, target)) == (404, "upload_not_found")
        assert await staged(gate) == set()
        assert await gate.parts.records.queue_depth() == 0


async def test_upload_mismatch_names_the_actual_and_the_declared_type(make_gate: MakeGate, photo: bytes) -> None:
    async with make_gate(worker=False) as gate:
        target = await gate.create_upload(
            source_type="avatar", source_id="u1", content_type="image/png", size=len(photo)
        )
        await gate.parts.storage.put(f"staging/{target.upload_id}", photo)
        with pytest.raises(UploadMismatch, match="jpeg but was declared as image/png"):
            await gate.complete_upload(target.upload_id)
