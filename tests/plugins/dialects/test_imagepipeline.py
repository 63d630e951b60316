"""The dialect of ImagePipeline: its requests, its answers in each state of a job, and its errors."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import httpx
import pytest
from jsonschema import Draft202012Validator
from PIL import Image
from starlette.applications import Starlette
from starlette.routing import Host, Mount

from mediagate import MODERATOR, MediaGate, Source
from mediagate.errors import ConfigError
from mediagate.values import new_id, utcnow
from mediagate_plugins.api_keys import API_KEYS, api_keys
from mediagate_plugins.dialects.imagepipeline import imagepipeline, imagepipeline_app
from mediagate_plugins.pipelines import Int, Preset
from tests.support.direct import sent
from tests.support.moderators import RAISES, REJECTS, Scripted
from tests.support.mounted import MOUNT, client_of
from tests.support.pipeline_site import TWO, file_of, pipeline_gate
from tests.support.pipelines import DAY, SMALL, a_png, end_next

pytestmark = pytest.mark.anyio

MakeGate = Callable[..., MediaGate]
V1 = "/generate/image/v1"
PATH = f"/imagepipeline{V1}"
OUTPUT = Preset(
    steps=[{"op": "resize", "width": {"$param": "width"}}, {"op": "save", "format": "webp"}],
    params={"width": Int(1, 2000, default=50)},
)
PRESETS = {"generate-image-v1": OUTPUT, "two": TWO, "edit-image-v1": OUTPUT}
QUEUED: Mapping[str, type] = {"job_id": str, "status": str, "endpoint": str, "queued_at": str}


def site(make_gate: MakeGate, *, path: str = "/imagepipeline", **options: Any) -> MediaGate:
    """Return a gate with the dialect."""
    gate = pipeline_gate(make_gate, **{"presets": PRESETS, **options})
    gate.register(imagepipeline, path=path)
    return gate


async def asked(
    client: httpx.AsyncClient, path: str, picture: bytes | None, request: Any = None, **headers: str
) -> httpx.Response:
    """Send a picture to an endpoint, or a request alone as JSON."""
    if picture is None:
        return await client.post(path, json=request or {}, headers=headers)
    files: list[Any] = [file_of(picture), ("request", (None, json.dumps(request or {})))]
    return await client.post(path, files=files, headers=headers)


async def shown(client: httpx.AsyncClient, answer: httpx.Response, **headers: str) -> Any:
    """Return the body of the status route that an answer names."""
    assert answer.status_code == 202, answer.text
    read = await client.get(answer.headers["Location"], headers=headers)
    assert read.status_code == 200, read.text
    return read.json()


async def ended(gate: MediaGate, client: httpx.AsyncClient, answer: httpx.Response) -> Any:
    """Return the body of the status route at the end of a job."""
    assert answer.status_code == 202, answer.text
    await gate.wait(answer.json()["job_id"], timeout_s=60)
    return await shown(client, answer)


def refused(answer: httpx.Response) -> Mapping[str, str]:
    """Return the code of each fault of a refused request by its pointer."""
    body = answer.json()
    assert (answer.status_code, body["failure_reason_code"]) == (422, "invalid_pipeline"), answer.text
    assert body["error"]
    assert body["retryable"] is False
    return {fault["pointer"]: fault["code"] for fault in body["errors"]}


def told(answer: httpx.Response) -> tuple[int, str, bool]:
    """Return status, code and ``retryable`` of a refusal, which has the dialect's fields alone."""
    body = answer.json()
    assert body.keys() - {"errors"} == {"error", "failure_reason_code", "retryable"}
    assert answer.headers["content-type"] == "application/json"
    return answer.status_code, body["failure_reason_code"], body["retryable"]


async def test_endpoint_answers_at_once_with_a_queued_job(make_gate: MakeGate, photo: bytes) -> None:
    async with client_of(site(make_gate, settings={"worker": False})) as client:
        answer = await asked(client, PATH, photo)
        body = answer.json()
        assert answer.status_code == 202
        assert {name: type(body[name]) for name in QUEUED} == QUEUED
        assert body.keys() == {*QUEUED, "estimated_time_seconds"}
        assert (body["status"], body["endpoint"], body["estimated_time_seconds"]) == ("queued", V1, None)
        assert body["queued_at"].endswith("Z")
        assert abs(datetime.fromisoformat(body["queued_at"]) - utcnow()) < timedelta(minutes=2)
        assert answer.headers["Location"] == f"{MOUNT}{PATH}/status/{body['job_id']}"
        assert answer.headers["Cache-Control"] == "no-store"


async def test_estimate_is_a_number_once_a_job_of_the_endpoint_was_completed(make_gate: MakeGate, photo: bytes) -> None:
    gate = site(make_gate)
    async with client_of(gate) as client:
        native = await client.post(
            "/pipelines", files=[file_of(photo), ("request", (None, '{"preset": "edit-image-v1"}'))]
        )
        await gate.wait(native.json()["jobId"], timeout_s=60)
        body = (await asked(client, PATH, photo)).json()
        assert type(body["estimated_time_seconds"]) is int
        assert body["estimated_time_seconds"] >= 1


async def test_status_tells_each_state_of_a_live_job(make_gate: MakeGate, photo: bytes) -> None:
    gate = site(make_gate, settings={"worker": False})
    async with client_of(gate) as client:
        answer = await asked(client, PATH, photo)
        job_id, records = answer.json()["job_id"], gate.parts.records
        live: dict[str, Any] = {"result_url": None, "result_mime_type": None, "inference_time_seconds": None}
        live |= {"total_elapsed_seconds": None, "credits_charged": False, "credits_amount": 0, "job_id": job_id}
        expected = {**live, "status": "queued", "progress": 0, "queue_wait_seconds": None}
        assert await shown(client, answer) == expected
        now = utcnow()
        assert await records.claim(job_id, owner="w", now=now, lease_until=now + DAY)
        working = await shown(client, answer)
        assert (working["status"], working["progress"]) == ("processing", 10)
        assert working["queue_wait_seconds"] >= 0
        assert await records.release(job_id, owner="w", available_at=now + DAY, error="later")
        assert await shown(client, answer) == {**working, "status": "pending", "progress": 0}


async def test_completed_job_has_its_result_timings_and_credits(make_gate: MakeGate, photo: bytes) -> None:
    gate = site(make_gate)
    async with client_of(gate) as client:
        body = await ended(gate, client, await asked(client, PATH, photo, {"params": {"width": 30}}))
        assert (body["status"], body["progress"], body["result_mime_type"]) == ("completed", 100, "image/webp")
        parts = body["queue_wait_seconds"] + body["inference_time_seconds"]
        assert body["total_elapsed_seconds"] == pytest.approx(parts, abs=0.002)
        assert body["inference_time_seconds"] > 0
        assert (body["credits_charged"], body["credits_amount"]) == (True, 0)
        file = await client.get(body["result_url"])
        assert (file.status_code, file.headers["content-type"]) == (200, "image/webp")
        assert Image.open(io.BytesIO(file.content)).width == 30
        assert not {"results", "error"} & body.keys()


async def test_first_of_several_outputs_is_the_result_and_all_are_listed(make_gate: MakeGate, photo: bytes) -> None:
    gate = site(make_gate)
    async with client_of(gate) as client:
        body = await ended(gate, client, await asked(client, "/imagepipeline/two", photo))
        large, small = body["results"]
        assert (large["name"], small["name"]) == ("large", "small")
        assert (large["result_url"], large["result_mime_type"]) == (body["result_url"], "image/jpeg")
        file = await client.get(small["result_url"])
        assert (file.headers["content-type"], len(file.content)) == (
            small["result_mime_type"],
            small["result_size_bytes"],
        )


@pytest.mark.parametrize(
    ("width", "code", "words"),
    [(REJECTS, "moderation_rejected", "moderation"), (RAISES, "moderation_failed", "moderat")],
)
async def test_rejected_and_failed_jobs_have_failed(make_gate: MakeGate, width: int, code: str, words: str) -> None:
    work = Source(visibility="private", ttl=DAY, reject={"NUDE": 0.5})
    gate = site(make_gate, sources={"work": work}, settings={"moderation": None, "max_attempts": 1})
    gate.decorate(MODERATOR, Scripted())
    async with client_of(gate) as client:
        answer = await asked(client, PATH, a_png(width=width))
        body = await ended(gate, client, answer)
        assert (body["status"], body["failure_reason_code"]) == ("failed", code)
        assert words in body["error"]
        status = await gate.get_status(body["job_id"])
        assert body["retryable"] is status.job.retryable
        assert (body["result_url"], body["credits_charged"], body["progress"]) == (None, False, 100)


async def test_cancelled_job_is_cancelled(make_gate: MakeGate, photo: bytes) -> None:
    gate = site(make_gate, settings={"worker": False})
    async with client_of(gate) as client:
        answer = await asked(client, PATH, photo)
        await gate.cancel(answer.json()["job_id"])
        body = await shown(client, answer)
        assert (body["status"], body["failure_reason_code"], body["retryable"]) == ("cancelled", "cancelled", False)
        assert (body["inference_time_seconds"], body["queue_wait_seconds"]) == (None, None)
        assert body["total_elapsed_seconds"] >= 0


async def test_job_is_shown_at_its_own_endpoint_alone(make_gate: MakeGate, photo: bytes) -> None:
    gate = site(make_gate, settings={"worker": False})
    async with client_of(gate) as client:
        job_id = (await asked(client, PATH, photo)).json()["job_id"]
        for path in ("/edit/image/v1", "/generate/image", "/generate/image/v1/", f"{V1}/status/{job_id}", "/x"):
            other = await client.get(f"/imagepipeline{path}/status/{job_id}")
            assert told(other) == (404, "job_not_found", False), path
        assert told(await client.get(f"{PATH}/status/{new_id('job')}")) == (404, "job_not_found", False)
        assert told(await client.get(f"{PATH}/status/job_%00")) == (404, "job_not_found", False)
        assert (await client.get(f"{PATH}/status/{job_id}/")).json()["status"] == "queued"


async def test_native_jobs_are_shown_at_every_endpoint(make_gate: MakeGate, photo: bytes) -> None:
    gate = site(make_gate)
    async with client_of(gate) as client:
        piped = await gate.pipeline(photo, steps=SMALL, source="work")
        uploaded = await gate.upload(photo, source_type="avatar", source_id="u1")
        for job_id, mime_type in ((piped.job_id, "image/jpeg"), (uploaded.job_id, "image/webp")):
            await gate.wait(job_id, timeout_s=60)
            body = (await client.get(f"{PATH}/status/{job_id}")).json()
            assert (body["status"], body["result_mime_type"]) == ("completed", mime_type)
            assert (await client.get(body["result_url"])).headers["content-type"] == mime_type


async def test_jobs_made_in_the_dialect_are_read_natively(make_gate: MakeGate, photo: bytes) -> None:
    gate = site(make_gate, settings={"worker": False})
    async with client_of(gate) as client:
        asked_for = {"client_reference_id": "mine", "retention": {"ttl_hours": 3}}
        job_id = (await asked(client, PATH, photo, asked_for)).json()["job_id"]
        native = (await client.get(f"/status/{job_id}")).json()
        assert (native["preset"], native["clientReferenceId"]) == ("generate-image-v1", "mine")
        assert native["retention"] == {"ttlHours": 3, "clamped": False}


async def test_jobs_of_other_owners_are_missing(make_gate: MakeGate, photo: bytes) -> None:
    gate = site(make_gate, known=True, settings={"worker": False})
    async with client_of(gate) as client:
        answer = await asked(client, PATH, photo, Authorization="ann")
        assert (await shown(client, answer, Authorization="ann"))["status"] == "queued"
        other = await client.get(answer.headers["Location"], headers={"Authorization": "bob"})
        assert told(other) == (404, "job_not_found", False)


@pytest.mark.parametrize(
    "field", ["prompt", "model", "negative_prompt", "mediaId", "preset", "pictures", "callbackUrl"]
)
async def test_field_that_the_dialect_lacks_is_refused(make_gate: MakeGate, photo: bytes, field: str) -> None:
    async with client_of(site(make_gate, settings={"worker": False})) as client:
        answer = await asked(client, PATH, photo, {field: "a cat", "params": {"width": 30}})
        assert refused(answer) == {f"/{field}": "unknown_field"}
        assert "processed here, not generated" in answer.json()["error"]


@pytest.mark.parametrize(
    ("request_", "faults"),
    [
        ({"params": {"width": 0}}, {"/params/width": "out_of_range"}),
        ({"params": {"height": 3}}, {"/params/height": "unknown_field"}),
        ({"params": []}, {"/params": "wrong_type"}),
        ({"steps": {}}, {"/steps": "wrong_type"}),
        ({"steps": [[[]]]}, {"/steps/0": "wrong_type"}),
        ({"steps": []}, {"/steps": "missing"}),
        ({"steps": [{"op": "resize", "width": "wide"}]}, {"/steps/0/width": "wrong_type"}),
        ({"steps": [{"op": "\ud800"}]}, {"/steps/0/op": "unknown_operation"}),
        ({"retention": 5}, {"/retention": "wrong_type"}),
        ({"retention": [[]]}, {"/retention": "wrong_type"}),
        ({"retention": {"ttl_hours": "1"}}, {"/retention/ttl_hours": "wrong_type"}),
        ({"retention": {"ttl_hours": -(10**400)}}, {"/retention/ttl_hours": "out_of_range"}),
        (
            {"retention": {"ttlHours": 1, "ttl": 2}},
            {"/retention/ttlHours": "unknown_field", "/retention/ttl": "unknown_field"},
        ),
        ({"callback_url": 1}, {"/callback_url": "wrong_type"}),
        ({"callback_url": "http://x"}, {"/callback_url": "invalid_value"}),
        ({"callback_url": "\ud800"}, {"/callback_url": "wrong_type"}),
        ({"client_reference_id": {"a": 1}}, {"/client_reference_id": "wrong_type"}),
        ({"client_reference_id": "x" * 1000}, {"/client_reference_id": "invalid_value"}),
        ({"media_id": 10**400}, {"/media_id": "wrong_type"}),
        ({"upload_ids": "upl_x"}, {"/upload_ids": "wrong_type"}),
        ({"upload_ids": [None]}, {"/upload_ids": "wrong_type"}),
        ({"upload_ids": ["a"] * 2}, {"/upload_ids": "invalid_value"}),
        ({"media_id": "med_x", "upload_ids": ["upl_x"]}, {"/upload_ids": "invalid_value"}),
        ({"\ud800": 1, "a/b~c": 2}, {"/?": "unknown_field", "/a~1b~0c": "unknown_field"}),
        ({"": None}, {"/": "unknown_field"}),
    ],
)
async def test_hostile_request_is_refused_with_the_place_of_each_fault(
    make_gate: MakeGate, photo: bytes, request_: Any, faults: Mapping[str, str]
) -> None:
    gate = site(make_gate, known=True, settings={"worker": False})
    async with client_of(gate) as client:
        path = "/imagepipeline/my/own" if "steps" in request_ else PATH
        assert refused(await asked(client, path, photo, request_, Authorization="ann")) == faults


async def test_fields_that_are_null_or_empty_are_missing(make_gate: MakeGate, photo: bytes) -> None:
    async with client_of(site(make_gate, settings={"worker": False})) as client:
        names = ("steps", "params", "callback_url", "client_reference_id", "retention", "media_id", "upload_ids")
        for request in (dict.fromkeys(names), {"callback_url": "", "client_reference_id": "", "upload_ids": []}):
            assert (await asked(client, PATH, photo, request)).status_code == 202


@pytest.mark.parametrize(
    "text",
    ["{", "[]", '"x"', "null", "1", "NaN", "", "[" * 100_000, '{"params": ' * 10_000],
)
async def test_request_that_is_not_an_object_is_refused(make_gate: MakeGate, photo: bytes, text: str) -> None:
    async with client_of(site(make_gate, settings={"worker": False})) as client:
        files: list[Any] = [file_of(photo), ("request", (None, text))]
        for answer in (
            await client.post(PATH, files=files),
            await client.post(PATH, content=text, headers={"content-type": "application/json"}),
        ):
            assert told(answer) == (400, "bad_upload", False)


async def test_very_many_unknown_fields_are_refused_at_once(make_gate: MakeGate, photo: bytes) -> None:
    async with client_of(site(make_gate, settings={"worker": False})) as client:
        many = {f"unknown_parameter_{number}": 1 for number in range(100_000)}
        for request in (many, {"retention": many}):
            async with asyncio.timeout(20):
                answer = await asked(client, PATH, photo, request)
            assert set(refused(answer).values()) == {"too_long"}


async def test_unknown_endpoint_is_refused_with_a_suggestion(make_gate: MakeGate, photo: bytes) -> None:
    async with client_of(site(make_gate, settings={"worker": False})) as client:
        answer = await asked(client, "/imagepipeline/generate/image/v2", photo)
        assert refused(answer) == {"": "unknown_preset"}
        assert "did you mean 'generate-image-v1'?" in answer.json()["error"]
        long = await asked(client, f"/imagepipeline/{'a' * 65}", photo)
        assert refused(long) == {"": "too_long"}
        for path in ("", "a%2F..%2Fb", "%2E/b"):
            missing = await asked(client, f"/imagepipeline/{path}", photo)
            assert missing.status_code == 404, path
            assert told(missing)[2] is False


async def test_steps_of_a_caller_need_the_right(make_gate: MakeGate, photo: bytes) -> None:
    steps = {"steps": [{"op": "resize", "width": 20}, {"op": "save", "format": "png"}]}
    async with client_of(site(make_gate, settings={"worker": False})) as client:
        assert told(await asked(client, "/imagepipeline/my/own", photo, steps)) == (403, "forbidden", False)
    gate = site(make_gate, known=True)
    async with client_of(gate) as client:
        answer = await asked(client, "/imagepipeline/my/own%20x", photo, steps, Authorization="ann")
        assert answer.json()["endpoint"] == "/my/own x"
        assert answer.headers["Location"].startswith(f"{MOUNT}/imagepipeline/my/own%20x/status/job_")
        await gate.wait(answer.json()["job_id"], timeout_s=60)
        assert (await shown(client, answer, Authorization="ann"))["result_mime_type"] == "image/png"


@pytest.mark.parametrize("odd", ["a%00b", "%F0%9F%90%88", "a//b", "%3Fx=1", "%22%3E", "status/job_x", "status"])
async def test_odd_endpoint_is_echoed_and_has_a_status_route(make_gate: MakeGate, photo: bytes, odd: str) -> None:
    gate = site(make_gate, known=True, settings={"worker": False, "memory": False})
    steps = {"steps": [{"op": "flip"}]}
    async with client_of(gate) as client:
        answer = await asked(client, f"/imagepipeline/{odd}", photo, steps, Authorization="ann")
        assert answer.json()["endpoint"] == f"/{unquote(odd)}"
        assert (await shown(client, answer, Authorization="ann"))["status"] == "queued"


@pytest.mark.parametrize("database", ["memory", "sqlite", "postgresql"])
async def test_media_and_uploads_are_inputs_without_a_file(
    make_gate: MakeGate, photo: bytes, database: str, request: pytest.FixtureRequest
) -> None:
    url = str(request.getfixturevalue("own_postgres_url")) if database == "postgresql" else None
    gate = site(make_gate, settings={"memory": database == "memory", "database_url": url, "migrate": True})
    async with client_of(gate) as client:
        media = (await gate.wait((await gate.upload(photo, source_type="avatar", source_id="u1")).job_id)).media
        assert media is not None
        declared = {"sourceType": "avatar", "sourceId": "u1", "size": len(photo), "filename": "d.jpg"}
        target = (await client.post("/uploads", json=declared)).json()
        assert (await sent(client, target, photo)).status_code == 204
        for wanted in ({"media_id": media.id}, {"upload_ids": [target["uploadId"]]}):
            body = await ended(gate, client, await asked(client, PATH, None, wanted))
            assert (body["status"], body["result_mime_type"]) == ("completed", "image/webp")
        assert told(await asked(client, PATH, None, {"media_id": "med_x"})) == (404, "media_not_found", False)


async def test_several_files_of_either_field_are_inputs(make_gate: MakeGate, photo: bytes) -> None:
    gate = site(make_gate)
    async with client_of(gate) as client:
        files: list[Any] = [file_of(photo), file_of(a_png(), "b.png", "files[]"), ("request", (None, "{}"))]
        body = await ended(gate, client, await client.post(PATH, files=files))
        assert len(body["results"]) == 2


async def test_call_level_errors_are_in_the_words_of_the_dialect(make_gate: MakeGate, photo: bytes) -> None:
    gate = site(make_gate, known=True, settings={"worker": False})
    async with client_of(gate) as client:
        as_ann = {"Authorization": "ann"}
        assert told(await asked(client, PATH, photo)) == (401, "unauthorized", False)
        assert told(await client.get(f"{PATH}/status/{new_id('job')}")) == (401, "unauthorized", False)
        assert told(await client.get(PATH, headers=as_ann)) == (405, "method_not_allowed", False)
        assert told(await client.post(PATH, content=b"x", headers=as_ann)) == (400, "bad_upload", False)
        assert told(await asked(client, PATH, None, {}, **as_ann)) == (400, "bad_upload", False)
        assert told(await asked(client, PATH, b"no picture", {}, **as_ann))[0] == 415
        assert told(await asked(client, PATH, photo + b"x" * 2_000_001, {}, **as_ann)) == (
            413,
            "upload_too_large",
            False,
        )
        form = ("request", (None, "{}"))
        dry = await client.post(f"{PATH}?dryRun=1", files=[file_of(photo), form], headers=as_ann)
        assert told(dry) == (400, "invalid_parameter", False)
        for path in (f"{PATH}?dryRun=1", "/imagepipeline/"):
            unknown_caller = await asked(client, path, photo)
            assert told(unknown_caller) == (401, "unauthorized", False)
            assert unknown_caller.headers["Connection"] == "close"
        stray: list[Any] = [file_of(photo), ("prompt", (None, "a cat")), form]
        assert refused(await client.post(PATH, files=stray, headers=as_ann)) == {"/prompt": "unknown_field"}
        unused: list[Any] = [file_of(photo), file_of(photo, "b.jpg", "logo"), form]
        assert refused(await client.post(PATH, files=unused, headers=as_ann)) == {"": "unused_picture"}
        callback = await asked(client, PATH, photo, {"callback_url": "https://hooks.example/x"}, **as_ann)
        assert told(callback) == (422, "callbacks_unavailable", False)
        assert await gate.parts.records.queue_depth() == 0


async def test_closing_gate_answers_503(make_gate: MakeGate, photo: bytes) -> None:
    gate = site(make_gate, settings={"worker": False})
    async with client_of(gate) as client:
        gate.begin_closing()
        assert told(await asked(client, PATH, photo)) == (503, "shutting_down", True)


async def test_expired_result_is_410(make_gate: MakeGate, photo: bytes) -> None:
    gate = site(make_gate)
    async with client_of(gate) as client:
        request = {"retention": {"ttl_hours": 2 / 3600}}
        answer = await asked(client, PATH, photo, request)
        await gate.wait(answer.json()["job_id"], timeout_s=60)
        await asyncio.sleep(2.2)
        assert told(await client.get(answer.headers["Location"])) == (410, "media_deleted", False)


async def test_keys_are_those_of_api_keys(make_gate: MakeGate, photo: bytes) -> None:
    gate = site(make_gate, settings={"worker": False, "memory": False})
    gate.register(api_keys)
    async with client_of(gate) as client:
        ann, bob = [(await gate[API_KEYS].create(owner=name)).text for name in ("ann", "bob")]
        answer = await asked(client, PATH, photo, **{"X-API-Key": ann})
        assert (await shown(client, answer, **{"X-API-Key": ann}))["status"] == "queued"
        other = await client.get(answer.headers["Location"], headers={"X-API-Key": bob})
        assert told(other) == (404, "job_not_found", False)
        for key in ({}, {"X-API-Key": "mgk_wrong"}):
            assert told(await asked(client, PATH, photo, **key))[0] == 401


async def test_same_idempotency_key_returns_the_same_job_and_is_refused_natively(
    make_gate: MakeGate, photo: bytes
) -> None:
    gate = site(make_gate, settings={"worker": False})
    async with client_of(gate) as client:
        key = {"Idempotency-Key": "k1"}
        first, again = [await asked(client, PATH, photo, **key) for _ in range(2)]
        assert first.json() == again.json()
        assert told(await asked(client, "/imagepipeline/edit/image/v1", photo, **key))[1] == "idempotency_key_reused"
        request: list[Any] = [file_of(photo), ("request", (None, '{"preset": "generate-image-v1"}'))]
        native = await client.post("/pipelines", files=request, headers=key)
        assert (native.status_code, native.json()["code"]) == (422, "idempotency_key_reused")
        await end_next(gate)
        late = (await asked(client, PATH, photo, **key)).json()
        assert (late["status"], late["estimated_time_seconds"]) == ("completed", 0)


async def test_result_url_is_valid_for_a_day_at_most(make_gate: MakeGate, photo: bytes) -> None:
    gate = site(make_gate, settings={"url_ttl_s": 86400})
    async with client_of(gate) as client:
        body = await ended(gate, client, await asked(client, PATH, photo))
        (expires,) = parse_qs(urlsplit(body["result_url"]).query)["expires"]
        left = int(expires) - utcnow().timestamp()
        assert 12 * 3600 - 60 < left <= 24 * 3600


async def test_result_url_stops_working_and_a_new_one_is_given(make_gate: MakeGate, photo: bytes) -> None:
    gate = site(make_gate, settings={"url_ttl_s": 2})
    async with client_of(gate) as client:
        answer = await asked(client, PATH, photo)
        old = (await ended(gate, client, answer))["result_url"]
        await asyncio.sleep(2.2)
        late = await client.get(old)
        assert (late.status_code, late.json()["code"]) == (403, "url_expired")
        assert (await client.get((await shown(client, answer))["result_url"])).status_code == 200


async def test_host_of_its_own_serves_the_paths_of_the_original(make_gate: MakeGate, photo: bytes) -> None:
    gate = pipeline_gate(make_gate, presets=PRESETS)
    app: Any = Starlette(routes=[Host("api.test", imagepipeline_app(gate)), Mount("/image-pipeline", gate)])
    async with gate, httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api.test") as client:
        answer = await asked(client, V1, photo)
        assert answer.headers["Location"] == f"http://api.test{V1}/status/{answer.json()['job_id']}"
        body = await ended(gate, client, answer)
        assert (await client.get(body["result_url"])).headers["content-type"] == "image/webp"
        assert (await client.get("/webhooks/event-schema")).json()["title"] == "WebhookEvent"
        assert told(await client.get("/nothing"))[:2] == (405, "method_not_allowed")


async def test_dialect_below_two_paths_reads_the_same_jobs(make_gate: MakeGate, photo: bytes) -> None:
    gate = site(make_gate, settings={"worker": False})
    gate.register(imagepipeline, path="/v2")
    async with client_of(gate) as client:
        answer = await asked(client, f"/v2{V1}", photo)
        assert answer.headers["Location"].startswith(f"{MOUNT}/v2{V1}/status/")
        assert (await client.get(f"{PATH}/status/{answer.json()['job_id']}")).json()["status"] == "queued"


async def test_routes_of_the_gate_stay_as_they_are(make_gate: MakeGate, photo: bytes) -> None:
    async with client_of(site(make_gate, settings={"worker": False})) as client:
        request: list[Any] = [file_of(photo), ("request", (None, '{"preset": "two"}'))]
        assert "jobId" in (await client.post("/pipelines", files=request)).json()
        assert (await client.post("/other/endpoint", files=request)).json()["code"] == "not_found"


async def test_event_schema_is_a_json_schema(make_gate: MakeGate) -> None:
    async with client_of(site(make_gate, settings={"worker": False})) as client:
        answer = await client.get("/imagepipeline/webhooks/event-schema")
        assert answer.headers["content-type"] == "application/json"
        Draft202012Validator.check_schema(answer.json())
        assert set(answer.json()["properties"]["status"]["enum"]) == {"completed", "failed"}


@pytest.mark.parametrize("path", ["imagepipeline", "/imagepipeline/", "/", "", "/a?b", "/a//b", "/../a", "/a/{b}"])
async def test_wrong_path_stops_the_boot(make_gate: MakeGate, path: str) -> None:
    gate = site(make_gate, path=path, settings={"worker": False})
    with pytest.raises(ConfigError, match="imagepipeline: path is"):
        await gate.open()
