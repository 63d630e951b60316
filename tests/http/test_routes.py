"""The HTTP contract: status codes, headers and bodies of the routes."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import anyio
import httpx
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import Mount

from mediagate import Job, MediaGate, Settings, Source
from mediagate.errors import UploadRefused
from mediagate.records import Settlement
from mediagate.values import JobStatus, Media, Verdict, utcnow
from tests.support.mounted import client_of

pytestmark = pytest.mark.anyio

MakeGate = Callable[..., MediaGate]
FORM = {"sourceType": "avatar", "sourceId": "user-abc123"}


async def put_job(gate: MediaGate, photo: bytes, **changes: object) -> Job:
    """Upload to a gate without a worker, so that the test can settle the job."""
    return (await gate.upload(photo, source_type="avatar", source_id="u1")).job


async def settle(gate: MediaGate, job: Job, settlement: Settlement) -> None:
    records, now = gate.parts.records, utcnow()
    assert await records.claim(job.id, owner="test", now=now, lease_until=now + timedelta(seconds=9))
    assert await records.settle(job, owner="test", now=now, settlement=settlement)


async def test_upload_leads_to_complete_status_and_served_media(make_gate: MakeGate, data: Path) -> None:
    photo = (data / "photos" / "photo_2725x2225.jpg").read_bytes()
    async with client_of(make_gate()) as client:
        sent = await client.post(
            "/upload", data=FORM | {"clientReferenceId": "mine-1"}, files={"file": ("a.jpg", photo)}
        )
        assert sent.status_code == 202
        body = sent.json()
        assert body["status"] == "PENDING"
        assert body["statusUrl"] == sent.headers["Location"] == f"/image-pipeline/status/{body['jobId']}"
        assert body["pollAfterMs"] >= 100
        assert int(sent.headers["Retry-After"]) >= 1
        assert sent.headers["Access-Control-Allow-Origin"] == "https://app.example"

        done = await client.get(f"http://test{body['statusUrl']}?wait=30")
        assert done.status_code == 200
        assert done.headers["Mediagate-Job-Status"] == "COMPLETE"
        assert done.headers["Cache-Control"] == "no-store"
        media = done.json()["media"]
        assert done.json()["jobId"] == body["jobId"]
        assert re.fullmatch(r"med_[a-z2-7]{26}", media["id"])
        assert (media["sourceType"], media["sourceId"]) == ("avatar", "user-abc123")
        place = f"avatar/user-abc123/{media['id']}"
        assert media["urls"] == {
            name: f"/image-pipeline/media/{place}/{name}.webp" for name in ("xs", "sm", "md", "lg", "xl")
        }
        assert media["originalUrl"] == f"/image-pipeline/originals/{place}/original.jpg"
        assert (media["width"], media["height"]) == (2725, 2225)
        assert re.fullmatch(r"\d+:\d+", media["aspectRatio"])
        assert len(media["blurhash"]) >= 6
        assert media["clientReferenceId"] == "mine-1"
        for variant in media["variants"]:
            served = await client.get(f"http://test{variant['url']}")
            assert served.headers["Content-Type"] == "image/webp"
            assert served.headers["Cache-Control"] == "public, max-age=31536000, immutable"
            assert served.headers["X-Content-Type-Options"] == "nosniff"
            assert len(served.content) == variant["bytes"]
        part = await client.get(f"http://test{media['urls']['md']}", headers={"Range": "bytes=0-9"})
        assert (part.status_code, len(part.content)) == (206, 10)

        again = await client.get(f"/status/{body['jobId']}", headers={"If-None-Match": done.headers["ETag"]})
        assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    ("settlement", "code", "wanted"),
    [
        (
            Settlement(
                JobStatus.REJECTED,
                reason="Content moderation failed",
                verdict=Verdict("reject", ("explicit",), {"NUDE": 0.97}, 0.97),
            ),
            400,
            {
                "reason": "Content moderation failed",
                "moderationDetails": {"flags": ["explicit"], "confidence": 0.97},
            },
        ),
        (
            Settlement(JobStatus.REJECTED, verdict=Verdict("reject", ("explicit",), {}, 0.6, complete=False)),
            400,
            {"moderationDetails": {"flags": ["explicit"], "confidence": 0.6, "complete": False}},
        ),
        (
            Settlement(JobStatus.FAILED, error="Image timed out", code="image_timeout", retryable=True),
            500,
            {"error": "Image timed out", "attempts": 1, "code": "image_timeout", "retryable": True},
        ),
    ],
    ids=["rejected", "rejected early", "failed"],
)
async def test_status_of_rejected_or_failed_job_has_its_http_code_and_details(
    make_gate: MakeGate, photo: bytes, settlement: Settlement, code: int, wanted: dict[str, object]
) -> None:
    gate = make_gate(worker=False)
    async with client_of(gate) as client:
        job = await put_job(gate, photo)
        await settle(gate, job, settlement)
        answer = await client.get(f"/status/{job.id}")
        assert answer.status_code == code
        assert answer.headers["Access-Control-Allow-Origin"] == "https://app.example"
        assert answer.headers["Mediagate-Job-Status"] == settlement.status
        body = answer.json()
        assert body["jobId"] == job.id
        assert body["status"] == settlement.status
        assert wanted.items() <= body.items()
        as_200 = await client.get(f"/status/{job.id}?http=200")
        assert as_200.status_code == 200
        assert as_200.json() == body


async def test_status_answers_200_by_default_if_the_setting_says_so(make_gate: MakeGate, photo: bytes) -> None:
    gate = make_gate(worker=False, status_http="200")
    async with client_of(gate) as client:
        job = await put_job(gate, photo)
        for contract in (202, 500):
            if contract == 500:
                await settle(gate, job, Settlement(JobStatus.FAILED, error="x", code="image_timeout"))
            codes = {
                query: (await client.get(f"/status/{job.id}{query}")).status_code
                for query in ("", "?http=200", "?http=status")
            }
            assert codes == {"": 200, "?http=200": 200, "?http=status": contract}
        assert (await client.get("/status/job_none")).status_code == 404, "a call that fails is still told as one"


async def test_status_answers_202_running_410_cancelled_and_404_unknown(make_gate: MakeGate, photo: bytes) -> None:
    gate = make_gate(worker=False)
    async with client_of(gate) as client:
        job = await put_job(gate, photo)
        pending = await client.get(f"/status/{job.id}")
        assert pending.status_code == 202
        assert {
            "jobId": job.id,
            "status": "PENDING",
            "stage": "queued",
            "progress": 0,
        }.items() <= pending.json().items()
        assert "Retry-After" in pending.headers

        now = utcnow()
        await gate.parts.records.claim(job.id, owner="w", now=now, lease_until=now + timedelta(seconds=9))
        processing = await client.get(f"/status/{job.id}")
        assert processing.status_code == 202
        assert processing.json()["status"] == "PROCESSING"
        assert processing.headers["ETag"] != pending.headers["ETag"]

        await gate.cancel(job.id)
        cancelled = await client.get(f"/status/{job.id}")
        assert cancelled.status_code == 410
        assert cancelled.json()["status"] == "CANCELLED"

        unknown = await client.get("/status/job_nothing")
        assert unknown.status_code == 404
        assert unknown.headers["Content-Type"] == "application/problem+json"
        assert unknown.json()["code"] == "job_not_found"


async def test_event_stream_ends_with_the_final_status(make_gate: MakeGate, photo: bytes) -> None:
    gate = make_gate()
    async with client_of(gate) as client:
        sent = await client.post("/upload", data=FORM, files={"file": ("a.jpg", photo)})
        answer = await client.get(f"/status/{sent.json()['jobId']}", headers={"Accept": "text/event-stream"})
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        events = re.findall(r'^data: \{"jobId":"[^"]+","status":"(\w+)"', answer.text, re.M)
        assert events[-1] == "COMPLETE"


async def test_long_poll_answers_202_on_timeout_and_400_on_bad_parameters(make_gate: MakeGate, photo: bytes) -> None:
    gate = make_gate(worker=False)
    async with client_of(gate) as client:
        job = await put_job(gate, photo)
        with anyio.fail_after(5):
            answer = await client.get(f"/status/{job.id}?wait=0.3")
        assert answer.status_code == 202
        for wrong in ("?wait=soon", "?wait=-1", "?wait=9999", "?http=teapot"):
            assert (await client.get(f"/status/{job.id}{wrong}")).json()["code"] == "invalid_parameter"


async def test_media_list_is_newest_first_and_paged(make_gate: MakeGate, photo: bytes) -> None:
    gate = make_gate()
    async with client_of(gate) as client:
        ids: list[str] = []
        for _ in range(3):
            status = await gate.upload(photo, source_type="avatar", source_id="u1")
            done = await gate.wait(status.job_id)
            assert done.media is not None
            ids.insert(0, done.media.id)
            await anyio.sleep(0.01)
        first = (await client.get("/media?sourceType=avatar&sourceId=u1&limit=2")).json()
        assert [m["id"] for m in first["items"]] == ids[:2]
        rest = (await client.get(f"/media?sourceType=avatar&sourceId=u1&limit=2&cursor={first['nextCursor']}")).json()
        assert [m["id"] for m in rest["items"]] == ids[2:]
        assert rest["nextCursor"] is None
        assert (await client.get("/media?sourceType=avatar&sourceId=nobody")).json() == {
            "items": [],
            "nextCursor": None,
        }
        assert (await client.get("/media")).json()["code"] == "invalid_parameter"
        assert (await client.get("/media?sourceType=avatar&limit=0")).status_code == 400
        one = (await client.get(f"/media/{ids[0]}")).json()
        assert one == first["items"][0]


async def test_delete_of_media_removes_record_and_files_and_is_idempotent(make_gate: MakeGate, photo: bytes) -> None:
    gate = make_gate()
    deleted: list[str] = []

    async def on_deleted(media: Media) -> None:
        deleted.append(media.id)

    gate.add_hook("on_deleted", on_deleted)
    async with client_of(gate) as client:
        status = await gate.upload(photo, source_type="avatar", source_id="u1")
        media = (await gate.wait(status.job_id)).media
        assert media is not None
        for _ in range(2):
            assert (await client.delete(f"/media/{media.id}")).status_code == 204
        assert deleted == [media.id]
        assert (await client.get(f"/media/{media.id}")).status_code == 404
        for root in ("media/", "originals/", "staging/"):
            assert [o async for o in gate.parts.storage.list(root)] == []
        gone = await client.get(f"/status/{status.job_id}")
        assert (gone.status_code, gone.json()["code"]) == (410, "media_deleted")
        assert (await client.delete("/media/med_unknown")).status_code == 404


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"sourceType": "avatar"}, "bad_upload"),
        ({"sourceId": "u1"}, "bad_upload"),
        ({"sourceType": "nope", "sourceId": "u1"}, "unknown_source"),
        ({"sourceType": "../avatar", "sourceId": "u1"}, "unknown_source"),
        ({"sourceType": "avatar", "sourceId": ""}, "invalid_source_id"),
        ({"sourceType": "avatar", "sourceId": "a\x00b"}, "invalid_source_id"),
        ({"sourceType": "avatar", "sourceId": "a\r\nb"}, "invalid_source_id"),
        ({"sourceType": "avatar", "sourceId": "x" * 256}, "invalid_source_id"),
        ({**FORM, "focalX": "1.5"}, "invalid_parameter"),
        ({**FORM, "focalY": "nan"}, "invalid_parameter"),
        ({**FORM, "callbackUrl": "http://example.com"}, "invalid_parameter"),
        ({**FORM, "clientReferenceId": "a\nb"}, "invalid_parameter"),
    ],
    ids=[
        "no sourceId",
        "no sourceType",
        "unknown sourceType",
        "sourceType with path",
        "empty sourceId",
        "sourceId with NUL",
        "sourceId with line break",
        "long sourceId",
        "focalX above 1",
        "focalY nan",
        "insecure callbackUrl",
        "line break in clientReferenceId",
    ],
)
async def test_upload_with_invalid_field_is_refused_and_stores_nothing(
    make_gate: MakeGate, photo: bytes, form: dict[str, str], code: str
) -> None:
    gate = make_gate()
    async with client_of(gate) as client:
        answer = await client.post("/upload", data=form, files={"file": ("a.jpg", photo)})
        assert answer.status_code == 400
        problem = answer.json()
        assert problem["code"] == code
        assert problem["detail"] == problem["error"] == problem["reason"]
        assert problem["title"] and problem["status"] == 400 and problem["type"].endswith(code)
        assert [o async for o in gate.parts.storage.list("staging/")] == []
        assert list(gate.runtime.spool_dir.iterdir()) == []


async def test_upload_of_unsupported_undecodable_or_large_file_is_refused(
    make_gate: MakeGate, data: Path, photo: bytes
) -> None:
    gate = make_gate(sources={"avatar": Source(max_bytes=100_000, max_pixels=1_000_000)})
    big = (data / "photos" / "photo_2725x2225.jpg").read_bytes()
    cases = [
        (b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>", 415, "unsupported_type"),
        (b"plain text, called a.jpg", 415, "unsupported_type"),
        (b"\xff\xd8\xff" + b"\0" * 99, 422, "image_undecodable"),
        (big, 413, "upload_too_large"),
    ]
    async with client_of(gate) as client:
        for body, status, code in cases:
            answer = await client.post("/upload", data=FORM, files={"file": ("a.jpg", body)})
            assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
            assert answer.headers["Access-Control-Allow-Origin"] == "https://app.example"


async def test_idempotency_key_replays_the_answer_and_rejects_another_upload(make_gate: MakeGate, photo: bytes) -> None:
    gate = make_gate()
    headers = {"Idempotency-Key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}
    async with client_of(gate) as client:

        async def send(form: dict[str, str], body: bytes) -> httpx.Response:
            return await client.post("/upload", data=form, files={"file": ("a.jpg", body)}, headers=headers)

        bad = await send(FORM, b"no picture")
        assert bad.status_code == 415
        first = await send(FORM, photo)
        again = await send(FORM, photo)
        assert (first.status_code, again.status_code) == (202, 202), "a refused upload does not consume the key"
        assert first.json() == again.json()
        for other in (await send(FORM, photo + b"\0"), await send(FORM | {"sourceId": "other"}, photo)):
            assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
        wrong = await client.post(
            "/upload", data=FORM, files={"file": ("a", photo)}, headers={"Idempotency-Key": "x" * 256}
        )
        assert wrong.status_code == 400


async def test_idempotency_key_in_flight_answers_409(make_gate: MakeGate, photo: bytes) -> None:
    gate = make_gate()
    entered, go = anyio.Event(), anyio.Event()

    async def slow(_: object) -> None:
        entered.set()
        await go.wait()

    gate.add_hook("pre_upload", slow)
    async with client_of(gate) as client:
        headers = {"Idempotency-Key": "k1"}
        answers: list[httpx.Response] = []

        async def send() -> None:
            answers.append(await client.post("/upload", data=FORM, files={"file": ("a", photo)}, headers=headers))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(send)
            await entered.wait()
            second = await client.post("/upload", data=FORM, files={"file": ("a", photo)}, headers=headers)
            assert (second.status_code, second.json()["code"]) == (409, "upload_in_flight")
            assert second.json()["retryable"] is True
            go.set()
        assert answers[0].status_code == 202


async def test_pre_upload_hook_refusal_answers_403(make_gate: MakeGate, photo: bytes) -> None:
    async def no(upload: object) -> None:
        raise UploadRefused("your account may not upload")

    gate = make_gate()
    gate.add_hook("pre_upload", no)
    async with client_of(gate) as client:
        answer = await client.post("/upload", data=FORM, files={"file": ("a.jpg", photo)})
        assert (answer.status_code, answer.json()["code"]) == (403, "upload_refused")
        assert answer.json()["detail"] == "your account may not upload"


async def test_unexpected_error_answers_500_with_cors_and_without_details(
    make_gate: MakeGate, photo: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async def breaks(upload: object) -> None:
        raise ZeroDivisionError("secret words")

    gate = make_gate()
    gate.add_hook("pre_upload", breaks)
    async with client_of(gate) as client:
        answer = await client.post("/upload", data=FORM, files={"file": ("a.jpg", photo)})
        assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
        assert answer.headers["Access-Control-Allow-Origin"] == "https://app.example"
        assert "secret" not in answer.text
        assert "secret words" in caplog.text


async def test_unknown_path_answers_404_and_wrong_method_405(make_gate: MakeGate) -> None:
    async with client_of(make_gate()) as client:
        for path in (
            "/nothing",
            "/staging/job_1",
            "/media/%2e%2e/staging/job_1",
            "/media/../staging/x",
            "/mediagate.db",
        ):
            answer = await client.get(path)
            assert (answer.status_code, answer.headers["Content-Type"]) == (
                404,
                "application/problem+json",
            ), path
        assert (await client.put("/upload")).status_code == 405
        assert (await client.get("/upload")).status_code in (404, 405)


async def test_readyz_and_upload_answer_503_while_the_gate_closes(make_gate: MakeGate) -> None:
    gate = make_gate()
    async with client_of(gate) as client:
        assert (await client.get("/healthz")).json() == {"status": "ok"}
        assert (await client.get("/readyz")).status_code == 200
        gate.begin_closing()
        assert (await client.get("/readyz")).status_code == 503
        refused = await client.post("/upload", data=FORM, files={"file": ("a.jpg", b"x")})
        assert (refused.status_code, refused.json()["code"]) == (503, "shutting_down")
        assert "Retry-After" in refused.headers


async def test_gate_without_lifespan_opens_on_first_request_and_warns_once(
    make_gate: MakeGate, caplog: pytest.LogCaptureFixture
) -> None:
    gate = make_gate()
    app = Starlette(routes=[Mount("/m", gate)])
    try:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://test/m") as client:
            async with anyio.create_task_group() as tasks:
                for _ in range(5):
                    tasks.start_soon(client.get, "/healthz")
            assert (await client.get("/healthz")).status_code == 200
        lines = [r for r in caplog.records if "did not run the gate's lifespan" in r.message]
        assert len(lines) == 1
    finally:
        await gate.close()


async def test_gate_lifespan_runs_within_the_lifespan_of_fastapi(make_gate: MakeGate, photo: bytes) -> None:
    gate = make_gate()
    events: list[str] = []

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        events.append("host up")
        async with gate.lifespan(app):
            yield
        events.append("host down")

    app = FastAPI(lifespan=lifespan)
    app.mount("/pictures", gate)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            sent = await client.post("/pictures/upload", data=FORM, files={"file": ("a.jpg", photo)})
            assert sent.json()["statusUrl"].startswith("/pictures/status/job_")
            done = await client.get(sent.json()["statusUrl"] + "?wait=30")
            assert done.json()["media"]["urls"]["xs"].startswith("/pictures/media/avatar/")
            assert (await client.get(done.json()["media"]["urls"]["xs"])).status_code == 200
    assert events == ["host up", "host down"]


async def test_public_base_url_makes_links_absolute(make_gate: MakeGate, photo: bytes) -> None:
    gate = make_gate(public_base_url="https://example.com/pics/")
    async with client_of(gate) as client:
        sent = await client.post("/upload", data=FORM, files={"file": ("a.jpg", photo)})
        assert sent.headers["Location"].startswith("https://example.com/pics/status/job_")
        media = (await gate.wait(sent.json()["jobId"])).media
        assert media is not None
        assert media.urls["xs"].startswith("https://example.com/pics/media/avatar/")


def test_records_url_defaults_to_a_file_in_data_dir(tmp_path: Path) -> None:
    assert Settings(data_dir=tmp_path).records_url == f"file:{tmp_path / 'mediagate.db'}"
