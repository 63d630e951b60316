"""The dialect of ImageHQ: its jobs from the request to every end, batches, owners and hosts."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx
import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.routing import Host, Mount

from mediagate import MODERATOR, JobStatus, MediaGate, Source, Stage
from mediagate.errors import PluginError
from mediagate.records import get_job
from mediagate.values import StageState, new_id
from mediagate_plugins.api_keys import API_KEYS, api_keys
from mediagate_plugins.dialects.imagehq import imagehq, imagehq_app
from mediagate_plugins.pipelines import pipelines
from tests.support.demo_operations import demo_operations
from tests.support.imagehq import ANN, BOB, CHAIN, SAMPLE, asked, ended, faults, imagehq_gate, shape
from tests.support.moderators import REJECTS, Scripted
from tests.support.mounted import client_of
from tests.support.pipeline_site import WORK, pipeline_gate
from tests.support.pipelines import a_png, end_next

pytestmark = pytest.mark.anyio

MakeGate = Callable[..., MediaGate]
CONVERT = {"output_format": "png"}
BY_FAMILY: dict[str, Any] = {
    "transform": {"operations": [{"type": "resize", "width": 40}]},
    "filter": {"filters": [{"type": "noir"}, {"type": "blur", "radius": 2}]},
    "optimize": {"operation": "compress", "quality": 50},
    "convert": {"output_format": "webp"},
    "metadata": {"operation": "read"},
    "enhance": {"operation": "auto_contrast"},
}


async def waiting(client: httpx.AsyncClient, photo: bytes, **fields: Any) -> str:
    """Return the id of an accepted job of a gate without a worker."""
    answer = await asked(client, "transform", {**BY_FAMILY["transform"], **fields}, photo=photo)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


async def read(client: httpx.AsyncClient, job_id: str, **headers: str) -> httpx.Response:
    return await client.get(f"/imagehq/v1/jobs/{job_id}", headers=headers or ANN)


async def test_pipeline_answers_each_field_of_the_sample(make_gate: MakeGate, photo: bytes) -> None:
    gate = imagehq_gate(make_gate)
    request = {"steps": CHAIN, "tool_slug": "png-to-jpg", "client_reference_id": "example-123"}
    async with client_of(gate) as client:
        answer = await asked(client, "pipeline", request, photo=photo)
        queued = answer.json()
        assert shape(queued) == {**shape(SAMPLE["queued"]), "job_id": "str"}
        assert {name: queued[name] for name in ("status", "operation", "tool_slug", "current_stage", "progress")} == {
            name: SAMPLE["queued"][name] for name in ("status", "operation", "tool_slug", "current_stage", "progress")
        }
        assert queued["client_reference_id"] == "example-123"
        assert (queued["job_id"], queued["poll_url"]) == (queued["id"], f"/v1/jobs/{queued['id']}")
        assert answer.headers["Location"] == f"http://test/image-pipeline/imagehq{queued['poll_url']}"
        for name in ("created_at", "expires_at"):
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", queued[name])
        done = await ended(gate, client, answer)
        assert shape(done) == shape(SAMPLE["completed"])
        assert [done[name] for name in ("id", "status", "progress", "warnings")] == [queued["id"], "succeeded", 100, []]
        assert done["inputs"] == [
            {"filename": "input.jpg", "format": "jpg", "mime_type": "image/jpeg", "size_bytes": len(photo)}
        ]
        (output,) = done["outputs"]
        assert (output["id"], output["format"], output["mime_type"]) == ("0", "webp", "image/webp")
        assert done["retention_policy"] == {"clamp": False, "ttl_hours": 24}
        assert done["stages"][:2] == SAMPLE["completed"]["stages"]
        assert [stage["name"] for stage in done["stages"][2:]] == ["judge", "step0", "step1", "step2", "publish"]
        assert {stage["status"] for stage in done["stages"]} == {"succeeded"}
        kept = datetime.fromisoformat(done["expires_at"]) - datetime.now(UTC)
        assert timedelta(hours=23, minutes=58) < kept <= timedelta(hours=24)
        file = await client.get(f"/imagehq{done['download_url']}", headers=ANN)
        assert (file.headers["content-type"], len(file.content)) == ("image/webp", output["size_bytes"])
        with Image.open(io.BytesIO(file.content)) as image:
            assert (image.format, image.width) == ("WEBP", 60)


@pytest.mark.parametrize("family", BY_FAMILY)
async def test_family_endpoint_runs_its_operations(make_gate: MakeGate, photo: bytes, family: str) -> None:
    gate = imagehq_gate(make_gate)
    async with client_of(gate) as client:
        answer = await asked(client, family, {**BY_FAMILY[family], "client_reference_id": "mine"}, photo=photo)
        body = answer.json()
        assert (body["operation"], body["client_reference_id"], body["tool_slug"]) == (family, "mine", None)
        done = await ended(gate, client, answer)
        assert done["status"] == "succeeded"
        if family == "metadata":
            (given,) = done["data"]["read_metadata"]
            assert given["value"]["text"].keys() == {"comment"}
            assert (done["outputs"], done["download_url"]) == ([], None)
            none = await client.get(f"/imagehq{body['poll_url']}/download", headers=ANN)
            assert (none.status_code, none.json()["error"]["code"]) == (409, "job_conflict")
        else:
            made = "webp" if family == "convert" else "jpg"
            assert [output["format"] for output in done["outputs"]] == [made]
            assert "data" not in done


async def test_several_saves_make_several_outputs_in_one_job(make_gate: MakeGate, photo: bytes) -> None:
    gate = imagehq_gate(make_gate)
    steps = [
        {"operation": "metadata", "request": {"operation": "read_metadata"}},
        {"operation": "convert", "request": {"operation": "convert_to_webp", "as": "large"}},
        {"operation": "transform", "request": {"operations": [{"type": "resize", "width": 20, "from": "original"}]}},
        {"operation": "convert", "request": {"operations": [{"type": "convert_to_jpg", "as": "small"}]}},
    ]
    async with client_of(gate) as client:
        done = await ended(gate, client, await asked(client, "pipeline", {"steps": steps}, photo=photo))
        assert [(output["id"], output["format"]) for output in done["outputs"]] == [("0", "webp"), ("1", "jpg")]
        assert done["data"]["read_metadata"][0]["step"] == 0
        file = await client.get(f"/imagehq{done['download_url']}", headers=ANN)
        names = zipfile.ZipFile(io.BytesIO(file.content)).namelist()
        assert names == [output["filename"] for output in done["outputs"]]


@pytest.mark.parametrize("first", ["files", "request"])
async def test_parts_of_a_form_come_in_either_order(make_gate: MakeGate, photo: bytes, first: str) -> None:
    gate = imagehq_gate(make_gate)
    files: list[Any] = [("files[]", (f"{name}.jpg", photo)) for name in "ab"]
    field = ("request", (None, json.dumps(CONVERT)))
    sent = [*files, field] if first == "files" else [field, *files]
    async with client_of(gate) as client:
        done = await ended(gate, client, await client.post("/imagehq/v1/convert", files=sent, headers=ANN))
        assert [one["filename"] for one in done["inputs"]] == ["a.jpg", "b.jpg"]
        assert [one["id"] for one in done["outputs"]] == ["0", "1"]


async def test_live_job_shows_its_stages_and_progress(make_gate: MakeGate, photo: bytes) -> None:
    gate = imagehq_gate(make_gate)
    gate.use(worker=False)
    async with client_of(gate) as client:
        job_id = await waiting(client, photo)
        queued = (await read(client, job_id)).json()
        assert (queued["status"], queued["current_stage"], queued["progress"]) == ("queued", "queued", 0)
        names = ["queued", "processing", "judge", "step0", "step1", "publish"]
        assert queued["stages"] == [{"name": name, "progress": 0, "status": "queued"} for name in names]
        records = gate.parts.records
        now = await records.now()
        until = now + timedelta(hours=1)
        (job,) = await records.claim_oldest(owner="w", now=now, lease_until=until, limit=1)
        stages = (StageState("judge", None, "done", 100), StageState("step0", "resize", "running", 20), *job.plan[2:])
        assert await records.advance(job.id, owner="w", lease_until=until, stage=Stage.MODERATE, stages=stages)
        gate.runtime.watch.forget(job_id)
        body = (await read(client, job_id)).json()
        assert (body["status"], body["current_stage"]) == ("processing", "step0")
        assert 10 < body["progress"] < 70
        assert body["stages"] == [
            {"name": "queued", "progress": 100, "status": "succeeded"},
            {"name": "processing", "progress": 30, "status": "processing"},
            {"name": "judge", "progress": 100, "status": "succeeded"},
            {"name": "step0", "progress": 20, "status": "processing"},
            {"name": "step1", "progress": 0, "status": "queued"},
            {"name": "publish", "progress": 0, "status": "queued"},
        ]
        early = await client.get(f"/imagehq/v1/jobs/{job_id}/download", headers=ANN)
        assert (early.status_code, early.json()["error"]["code"]) == (409, "job_conflict")


async def test_rejected_job_has_failed(make_gate: MakeGate) -> None:
    gate = imagehq_gate(make_gate, settings={"moderation": "on"})
    gate.decorate(MODERATOR, Scripted())
    async with client_of(gate) as client:
        answer = await asked(client, "convert", CONVERT, photo=a_png(REJECTS, 50))
        body = await ended(gate, client, answer)
        assert (await gate.get_status(body["id"])).status is JobStatus.REJECTED
        assert (body["status"], body["current_stage"], body["expires_at"]) == ("failed", "processing", None)
        assert shape(body["error"]) == {"code": "str", "message": "str", "retryable": "bool"}
        assert (body["error"]["code"], body["error"]["retryable"]) == ("moderation_rejected", False)
        assert body["stages"][1]["status"] == "failed"
        assert {name: body[name] for name in ("operation", "poll_url")} == {
            "operation": "convert",
            "poll_url": answer.json()["poll_url"],
        }


async def test_failed_job_names_the_stage_at_fault(make_gate: MakeGate, photo: bytes) -> None:
    gate = imagehq_gate(make_gate)
    gate.register(demo_operations)
    async with client_of(gate) as client:
        request = {"filters": [{"type": "noir"}, {"type": "tint", "fails": True}]}
        body = await ended(gate, client, await asked(client, "filter", request, photo=photo))
        assert (body["status"], body["error"]["code"]) == ("failed", "operation_failed")
        assert "asked to fail" in body["error"]["message"]
        words = {stage["name"]: stage["status"] for stage in body["stages"]}
        assert (words["queued"], words["processing"], words["step1"]) == ("succeeded", "failed", "failed")
        assert body["current_stage"] == "step1"


async def test_error_of_a_failed_job_says_whether_a_repetition_may_help(make_gate: MakeGate, photo: bytes) -> None:
    gate = imagehq_gate(make_gate)
    gate.use(worker=False)
    async with client_of(gate) as client:
        job_id = await waiting(client, photo)
        await end_next(gate, JobStatus.FAILED)
        body = (await read(client, job_id)).json()
        assert body["error"] == {"code": "image_timeout", "message": "no", "retryable": True}


async def test_cancelled_job_is_cancelled(make_gate: MakeGate, photo: bytes) -> None:
    gate = imagehq_gate(make_gate)
    gate.use(worker=False)
    async with client_of(gate) as client:
        job_id = await waiting(client, photo)
        assert (await client.post(f"/jobs/{job_id}/cancel", headers=ANN)).status_code == 200
        answer = await read(client, job_id)
        body = answer.json()
        assert (answer.status_code, body["status"], body["progress"]) == (200, "cancelled", 100)
        assert "error" not in body
        assert {stage["status"] for stage in body["stages"]} == {"skipped"}


async def test_job_whose_retention_has_ended_is_gone(make_gate: MakeGate, photo: bytes) -> None:
    gate = imagehq_gate(make_gate)
    async with client_of(gate) as client:
        request = {**CONVERT, "retention_policy": {"ttl_hours": 0.0005}}
        answer = await asked(client, "convert", request, photo=photo)
        done = await ended(gate, client, answer)
        assert done["retention_policy"]["ttl_hours"] == 0.0005
        gone = await read(client, done["id"])
        while gone.status_code == 200:
            gone = await read(client, done["id"])
        assert (gone.status_code, gone.json()["error"]["code"]) == (410, "media_deleted")


async def test_warnings_are_listed(make_gate: MakeGate) -> None:
    gate = imagehq_gate(make_gate)
    clear = io.BytesIO()
    Image.new("RGBA", (20, 20), (200, 0, 0, 100)).save(clear, "png")
    async with client_of(gate) as client:
        answer = await asked(client, "convert", {"operation": "convert_to_avif"}, photo=clear.getvalue())
        (warning,) = (await ended(gate, client, answer))["warnings"]
        assert (warning["code"], warning["step"]) == ("format_changed", 0)


async def test_preset_runs_under_its_tool_slug(make_gate: MakeGate, photo: bytes) -> None:
    gate = imagehq_gate(make_gate, ad_hoc="none")
    async with client_of(gate) as client:
        for endpoint, operation in (("pipeline", "pipeline"), ("ocr", "ocr")):
            answer = await asked(client, endpoint, {"tool_slug": "two"}, photo=photo)
            body = answer.json()
            assert (body["tool_slug"], body["operation"]) == ("two", operation)
            assert len((await ended(gate, client, answer))["outputs"]) == 2
        refused = await asked(client, "pipeline", {"tool_slug": "mine", "steps": CHAIN}, photo=photo)
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "forbidden")


async def test_idempotent_repetition_gets_the_same_job(make_gate: MakeGate, photo: bytes) -> None:
    gate = imagehq_gate(make_gate)
    key = {"Idempotency-Key": "once"}
    async with client_of(gate) as client:
        first = await asked(client, "convert", CONVERT, photo=photo, **key)
        done = await ended(gate, client, first)
        again = await asked(client, "convert", CONVERT, photo=photo, **key)
        assert (again.status_code, again.json()["id"]) == (202, done["id"])


async def test_retention_is_cut_unless_clamp_forbids_it(make_gate: MakeGate, photo: bytes) -> None:
    gate = imagehq_gate(make_gate)
    async with client_of(gate) as client:
        for policy, told in (
            ({"ttl_hours": 2, "clamp": False}, {"clamp": False, "ttl_hours": 2}),
            ({"ttl_hours": 1.5}, {"clamp": False, "ttl_hours": 1.5}),
            ({"ttl_hours": 100, "clamp": True}, {"clamp": True, "ttl_hours": 24}),
            ({"ttl_hours": 100}, {"clamp": True, "ttl_hours": 24}),
            ({"clamp": False}, {"clamp": False, "ttl_hours": 24}),
        ):
            answer = await asked(client, "convert", {**CONVERT, "retention_policy": policy}, photo=photo)
            assert (await ended(gate, client, answer))["retention_policy"] == told
        refused = {"retention_policy": {"ttl_hours": 25, "clamp": False}}
        answer = await asked(client, "convert", {**CONVERT, **refused}, photo=photo)
        assert faults(answer) == {"/retention_policy/ttl_hours": "out_of_range"}


async def test_upload_can_be_read(make_gate: MakeGate, photo: bytes) -> None:
    gate = imagehq_gate(make_gate)
    async with client_of(gate) as client:
        form = {"sourceType": "avatar", "sourceId": "user-1"}
        sent = await client.post("/upload", data=form, files={"file": ("me.jpg", photo)}, headers=ANN)
        job_id = sent.json()["jobId"]
        await gate.wait(job_id, timeout_s=60)
        done = (await read(client, job_id)).json()
        assert done.keys() == SAMPLE["completed"].keys()
        assert done["inputs"] == [
            {"filename": "me.jpg", "format": "jpg", "mime_type": "image/jpeg", "size_bytes": len(photo)}
        ]
        (output,) = done["outputs"]
        file = await client.get(urljoin(str(client.base_url), done["download_url"]))
        assert (file.headers["content-type"], len(file.content)) == (output["mime_type"], output["size_bytes"])
        assert done["retention_policy"]["ttl_hours"] is None
        own = await client.get(f"/imagehq/v1/jobs/{job_id}/download", headers=ANN)
        assert own.status_code == 409
        await client.delete(f"/media/{(await gate.get_status(job_id)).job.media_id}", headers=ANN)
        gone = await read(client, job_id)
        assert (gone.status_code, gone.json()["error"]["code"]) == (410, "media_deleted")


async def test_native_job_is_a_pipeline_and_a_job_of_the_dialect_is_read_natively(
    make_gate: MakeGate, photo: bytes
) -> None:
    gate = imagehq_gate(make_gate)
    gate.use(worker=False)
    async with client_of(gate) as client:
        native: Any = {"request": (None, '{"preset": "thumb"}'), "file": ("a.jpg", photo)}
        made = await client.post("/pipelines", files=native, headers=ANN)
        assert (await read(client, made.json()["jobId"])).json()["operation"] == "pipeline"
        job = await get_job(gate.parts.records, await waiting(client, photo))
        assert job is not None and job.spec is not None
        assert (job.spec.dialect, job.spec.endpoint) == ("imagehq", "transform")
        status = await client.get(f"/status/{job.id}", headers=ANN)
        assert (status.status_code, status.json()["status"]) == (202, "PENDING")


async def test_job_of_another_owner_is_missing(make_gate: MakeGate, photo: bytes) -> None:
    gate = imagehq_gate(make_gate)
    gate.use(worker=False)
    async with client_of(gate) as client:
        job_id = await waiting(client, photo)
        batch = await asked(client, "batch", {"jobs": [{"files": ["a"], "steps": CHAIN}]}, photo=photo)
        for path in (job_id, f"{job_id}/download", new_id("job"), "x", "bat_x", batch.json()["id"], "job_" + "é" * 300):
            foreign = await read(client, path, **BOB)
            assert foreign.status_code == 404, path
            assert shape(foreign.json()) == {
                "error": {"code": "str", "message": "str", "retryable": "bool", "errors": []}
            }
        assert (await read(client, batch.json()["id"])).status_code == 200


async def test_keys_open_the_api(tmp_path: Path, make_gate: MakeGate, photo: bytes) -> None:
    gate = make_gate(sources={"work": WORK}, memory=False)
    gate.register(api_keys)
    gate.register(pipelines, ad_hoc="all")
    gate.register(imagehq)
    async with client_of(gate) as client:
        key = (await gate[API_KEYS].create(owner="ann")).text
        sent: Any = {"files[]": ("a.jpg", photo), "request": (None, json.dumps(CONVERT))}
        for headers in ({}, {"Authorization": "Bearer nonsense"}, {"X-API-Key": "nonsense"}):
            refused = await client.post("/imagehq/v1/convert", files=sent, headers=headers)
            assert (refused.status_code, refused.json()["error"]["code"]) == (401, "unauthorized")
        for headers in ({"Authorization": f"Bearer {key}"}, {"X-API-Key": key}):
            made = await client.post("/imagehq/v1/convert", files=sent, headers=headers)
            assert made.status_code == 202, made.text
            polled = await client.get(f"/imagehq{made.json()['poll_url']}", headers=headers)
            assert polled.json()["id"] == made.json()["id"]
            assert (await client.get(f"/imagehq{made.json()['poll_url']}")).status_code == 401


async def test_batch_makes_a_job_for_each_of_its_pipelines(make_gate: MakeGate, photo: bytes) -> None:
    gate = imagehq_gate(make_gate)
    files = [(name, (f"{name}.jpg", photo)) for name in ("one", "two")]
    request = {
        "jobs": [
            {"files": ["one"], "steps": CHAIN, "client_reference_id": "first", "retention_policy": {"ttl_hours": 1}},
            {"files": ["one", "two"], "tool_slug": "two"},
        ],
        "client_reference_id": "all",
    }
    async with client_of(gate) as client:
        answer = await asked(client, "batch", request, *files)
        body = answer.json()
        assert answer.status_code == 202, answer.text
        assert (body["id"], body["operation"], body["status"]) == (body["job_id"], "batch", "queued")
        assert (body["client_reference_id"], body["progress"]) == ("all", 0)
        assert answer.headers["Location"] == f"http://test/image-pipeline/imagehq{body['poll_url']}"
        assert [job["client_reference_id"] for job in body["jobs"]] == ["first", None]
        jobs = [await ended(gate, client, httpx.Response(202, json=job)) for job in body["jobs"]]
        assert [len(job["outputs"]) for job in jobs] == [1, 4]
        assert jobs[0]["retention_policy"]["ttl_hours"] == 1
        done = (await client.get(f"/imagehq{body['poll_url']}", headers=ANN)).json()
        assert done.keys() == body.keys()
        assert (done["status"], done["progress"]) == ("succeeded", 100)
        assert {job["status"] for job in done["jobs"]} == {"succeeded"}


async def test_batch_has_failed_only_if_no_job_has_succeeded(make_gate: MakeGate, photo: bytes) -> None:
    gate = imagehq_gate(make_gate)
    gate.use(worker=False)
    job = {"files": ["a"], "steps": CHAIN}
    async with client_of(gate) as client:
        first = (await asked(client, "batch", {"jobs": [job]}, photo=photo)).json()
        queued = (await read(client, first["jobs"][0]["id"])).json()
        assert (queued["operation"], queued["status"]) == ("pipeline", "queued")
        await end_next(gate, JobStatus.FAILED)
        failed = (await read(client, first["id"])).json()
        assert (failed["status"], failed["error"]["code"]) == ("failed", "image_timeout")
        second = (await asked(client, "batch", {"jobs": [job, job]}, photo=photo)).json()
        await end_next(gate, JobStatus.FAILED)
        assert (await read(client, second["id"])).json()["status"] == "processing"
        await end_next(gate)
        done = (await read(client, second["id"])).json()
        assert done["status"] == "succeeded"
        assert sorted(one["status"] for one in done["jobs"]) == ["failed", "succeeded"]


async def test_plugin_serves_several_paths(make_gate: MakeGate, photo: bytes) -> None:
    gate = imagehq_gate(make_gate)
    gate.register(imagehq, path="/other")
    gate.use(worker=False)
    async with client_of(gate) as client:
        job_id = await waiting(client, photo)
        assert (await client.get(f"/other/v1/jobs/{job_id}", headers=ANN)).json()["id"] == job_id


async def test_routes_without_a_query_refuse_one(make_gate: MakeGate, photo: bytes) -> None:
    gate = imagehq_gate(make_gate)
    async with client_of(gate) as client:
        for path in ("convert?dryRun=1", "batch?dryRun=1"):
            refused = await asked(client, path, CONVERT, photo=photo)
            assert (refused.status_code, refused.json()["error"]["code"]) == (400, "invalid_parameter")
        done = await ended(gate, client, await asked(client, "convert", CONVERT, photo=photo))
        refused = await client.get(f"/imagehq{done['download_url']}?output=thumb", headers=ANN)
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "invalid_parameter")


async def test_call_level_errors_have_one_form(make_gate: MakeGate, photo: bytes) -> None:
    gate = imagehq_gate(make_gate)
    async with client_of(gate) as client:
        big = await asked(client, "convert", CONVERT, photo=photo + bytes(2_000_000))
        text = await asked(client, "convert", CONVERT, photo=b"this is no picture at all, but a text")
        none = await asked(client, "convert", CONVERT)
        form = await client.post("/imagehq/v1/convert", data={"request": "{}", "x": "y"}, headers=ANN)
        nobody = await client.post("/imagehq/v1/convert", headers={"Authorization": ""})
        route = await client.get("/imagehq/v1/nothing", headers=ANN)
        method = await client.put("/imagehq/v1/convert", headers=ANN)
        for answer, status in (
            (big, 413),
            (text, 415),
            (none, 400),
            (form, 400),
            (nobody, 401),
            (route, 404),
            (method, 405),
        ):
            assert answer.status_code == status, answer.text
            error = answer.json()["error"]
            assert (answer.headers["content-type"], error["errors"]) == ("application/json", [])
            assert error["code"] and error["message"]


async def test_host_of_its_own_makes_relative_urls_work(make_gate: MakeGate, photo: bytes) -> None:
    gate = pipeline_gate(make_gate, known=True)
    app: Any = Starlette(routes=[Host("api.test", imagehq_app(gate)), Mount("/image-pipeline", gate)])
    transport, base = httpx.ASGITransport(app), "http://api.test"
    async with gate, httpx.AsyncClient(transport=transport, base_url=base, headers=ANN) as client:
        sent: Any = {"files[]": ("a.jpg", photo), "request": (None, json.dumps(CONVERT))}
        made = await client.post("/v1/convert", files=sent)
        assert made.status_code == 202, made.text
        assert made.headers["Location"] == urljoin(base, made.json()["poll_url"])
        await gate.wait(made.json()["id"], timeout_s=60)
        done = (await client.get(urljoin(base, made.json()["poll_url"]))).json()
        file = await client.get(urljoin(base, done["download_url"]))
        assert (file.status_code, file.headers["content-type"]) == (200, "image/png")


async def test_plugin_needs_pipelines(make_gate: MakeGate) -> None:
    gate = make_gate(sources={"avatar": Source()})
    gate.register(imagehq)
    with pytest.raises(PluginError, match="pipelines"):
        await gate.open()
