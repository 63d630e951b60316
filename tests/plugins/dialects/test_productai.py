"""The dialect of ProductAI: its requests, its jobs and their pages, its errors."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Host, Mount

from mediagate import MODERATOR, JobStatus, MediaGate, Source
from mediagate.errors import ConfigError, PluginError
from mediagate.values import new_id
from mediagate_plugins.api_keys import API_KEYS, api_keys
from mediagate_plugins.dialects.productai import productai, productai_app
from mediagate_plugins.pipelines import pipelines
from tests.support.documents import a_document, filled
from tests.support.moderators import REJECTS, Scripted
from tests.support.mounted import MOUNT, client_of
from tests.support.pipeline_site import PRESETS, WORK, pipeline_gate
from tests.support.pipelines import a_png, end_next

pytestmark = pytest.mark.anyio

MakeGate = Callable[..., MediaGate]
JOBS = "/productai/v1/jobs"
ANN = {"Authorization": "ann"}
JSON = {"Content-Type": "application/json"}
RESIZE = [{"op": "resize", "width": 40}]


def site(make_gate: MakeGate, **options: Any) -> MediaGate:
    gate = pipeline_gate(make_gate, **options)
    gate.register(productai)
    return gate


async def generate(
    client: httpx.AsyncClient, request: Any, *photos: bytes, field: str = "files[]", **headers: str
) -> httpx.Response:
    files: list[Any] = [(field, (f"{n}.jpg", photo)) for n, photo in enumerate(photos)]
    text = request if isinstance(request, str) else json.dumps(request)
    return await client.post(
        "/productai/v1/generate", files=[*files, ("request", (None, text))], headers={**ANN, **headers}
    )


async def ended(gate: MediaGate, client: httpx.AsyncClient, answer: httpx.Response) -> Any:
    assert answer.status_code == 202, answer.text
    job_id = answer.json()["job_id"]
    await gate.wait(job_id, timeout_s=60)
    got = await client.get(f"{JOBS}/{job_id}", headers=ANN)
    assert got.status_code == 200
    return got.json()


def faults(answer: httpx.Response) -> dict[str, str]:
    assert answer.status_code == 422, answer.text
    return {fault["pointer"]: fault["code"] for fault in answer.json()["error"]["errors"]}


def refusal(answer: httpx.Response) -> tuple[int, str]:
    (error,) = answer.json().values()
    assert error.keys() <= {"code", "message", "errors"}
    return answer.status_code, error["code"]


async def test_generate_answers_with_the_job_and_its_absolute_url(make_gate: MakeGate, photo: bytes) -> None:
    gate = site(make_gate, known=True, settings={"worker": False})
    async with client_of(gate) as client:
        answer = await generate(client, {"model": "two", "client_reference_id": "mine"}, photo)
        body = answer.json()
        assert (answer.status_code, body["status"], body["progress"]) == (202, "pending", 0)
        assert (body["model"], body["num_images"]) == ("two", 2)
        assert body.keys() == {
            *("job_id", "status", "progress", "created_at", "estimated_time_seconds", "model", "num_images")
        }
        assert answer.headers["Location"] == f"{MOUNT}/productai/v1/jobs/{body['job_id']}"
        assert (await gate.get_status(body["job_id"])).job.client_reference_id == "mine"
        got = await client.get(answer.headers["Location"], headers=ANN)
        assert got.json() == {
            "job_id": body["job_id"],
            "status": "pending",
            "progress": 0,
            "created_at": body["created_at"],
            "model": "two",
            "num_images": 2,
        }


async def test_completed_job_has_all_images_with_absolute_urls(make_gate: MakeGate, photo: bytes) -> None:
    gate = site(make_gate, known=True)
    gate.credits = {"resize": 5}
    async with client_of(gate) as client:
        body = await ended(gate, client, await generate(client, {"model": "two", "num_images": 4}, photo, photo))
        assert body.keys() == {
            *("job_id", "status", "progress", "created_at", "started_at", "completed_at"),
            *("model", "num_images", "images", "tokens_used"),
        }
        assert (body["status"], body["progress"], body["num_images"], body["tokens_used"]) == ("completed", 100, 4, 10)
        assert [(one["width"], one.keys()) for one in body["images"]] == [
            (width, {"url", "width", "height"}) for width in (128, 40, 128, 40)
        ]
        for image in body["images"]:
            file = await client.get(image["url"])
            assert (file.status_code, file.headers["content-type"][:6]) == (200, "image/")
        assert body["created_at"] <= body["started_at"] <= body["completed_at"]


async def test_rejected_and_failed_jobs_are_failed(make_gate: MakeGate, photo: bytes) -> None:
    source = Source(**{**WORK.model_dump(), "reject": {"NUDE": 0.5}})
    gate = site(make_gate, known=True, sources={"work": source}, settings={"moderation": "on"})
    gate.decorate(MODERATOR, Scripted())
    async with client_of(gate) as client:
        rejected = await ended(gate, client, await generate(client, {"model": "two"}, a_png(REJECTS)))
        failed = await ended(gate, client, await generate(client, {"model": "two"}, photo[: len(photo) // 2]))
        for body, code in ((rejected, "moderation_rejected"), (failed, "image_undecodable")):
            assert body.keys() == {"job_id", "status", "created_at", "started_at", "failed_at", "error"}
            assert (body["status"], body["error"]["code"]) == ("failed", code)
            assert body["error"].keys() == {"code", "message"}
            assert isinstance(body["error"]["message"], str)


async def test_cancelled_job_that_never_started_is_failed(make_gate: MakeGate, photo: bytes) -> None:
    gate = site(make_gate, known=True, settings={"worker": False})
    async with client_of(gate) as client:
        answer = await generate(client, {"model": "two"}, photo)
        await gate.cancel(answer.json()["job_id"])
        body = await ended(gate, client, answer)
        assert body.keys() == {"job_id", "status", "created_at", "failed_at", "error"}
        assert body["error"] == {"code": "cancelled", "message": "The job was cancelled."}


async def test_processing_job_shows_its_progress(make_gate: MakeGate, photo: bytes) -> None:
    gate = site(make_gate, known=True, settings={"worker": False})
    async with client_of(gate) as client:
        job_id = (await generate(client, {"model": "two"}, photo)).json()["job_id"]
        records = gate.parts.records
        now = await records.now()
        assert await records.claim(job_id, owner="w", now=now, lease_until=now)
        gate.runtime.watch.forget(job_id)
        body = (await client.get(f"{JOBS}/{job_id}", headers=ANN)).json()
        assert body.keys() == {"job_id", "status", "progress", "created_at", "started_at", "model", "num_images"}
        assert body["status"] == "processing"
        assert type(body["progress"]) is int
        assert 0 <= body["progress"] < 100


async def test_uploads_of_the_native_api_are_shown_too(make_gate: MakeGate, photo: bytes) -> None:
    gate = site(make_gate)
    async with client_of(gate) as client:
        upload = await gate.upload(photo, source_type="avatar", source_id="u1")
        await gate.wait(upload.job_id)
        body = (await client.get(f"{JOBS}/{upload.job_id}")).json()
        assert (body["status"], body["model"], body["num_images"], len(body["images"])) == ("completed", None, 1, 1)


async def test_number_of_images_must_be_what_the_steps_make(make_gate: MakeGate, photo: bytes) -> None:
    gate = site(make_gate, known=True, settings={"worker": False})
    async with client_of(gate) as client:
        for request, pictures, made in (
            ({"model": "two"}, 1, 2),
            ({"model": "two"}, 3, 6),
            ({"model": "thumb"}, 2, 2),
            ({"steps": RESIZE}, 1, 1),
            ({"steps": [{"op": "read_metadata"}]}, 1, 0),
            ({"steps": [*RESIZE, {"op": "save", "format": "pdf", "join": True}]}, 3, 1),
        ):
            right = await generate(client, {**request, "num_images": made}, *[photo] * pictures)
            assert (right.status_code, right.json().get("num_images")) == (202, made), right.text
            for number in (made + 1, -1, 10**30):
                wrong = await generate(client, {**request, "num_images": number}, *[photo] * pictures)
                assert faults(wrong) == {"/num_images": "invalid_value"}
                assert f"the steps make {made} files" in wrong.json()["error"]["message"]
        hostile: list[Any] = ["2", 2.0, True, [2], {}, ""]
        for value in hostile:
            wrong = await generate(client, {"model": "two", "num_images": value}, photo)
            assert faults(wrong) == {"/num_images": "wrong_type"}


async def test_number_of_images_counts_the_chosen_pages_of_documents(make_gate: MakeGate) -> None:
    source = Source(**{**WORK.model_dump(), "formats": ("jpeg", "pdf")})
    gate = site(make_gate, known=True, sources={"work": source})
    pdf = a_document(*[filled(0.2, 0.4, 0.6)] * 4)
    async with client_of(gate) as client:
        for pages, made in (("all", 4), ("2-3", 2), ("last", 1)):
            steps = [{"op": "render", "pages": pages, "dpi": 72}, {"op": "save", "format": "png"}]
            assert faults(await generate(client, {"steps": steps, "num_images": made + 1}, pdf)) == {
                "/num_images": "invalid_value"
            }
            body = await ended(gate, client, await generate(client, {"steps": steps, "num_images": made}, pdf))
            assert (body["num_images"], len(body["images"])) == (made, made)


async def test_generative_fields_are_refused_with_their_places(make_gate: MakeGate, photo: bytes) -> None:
    gate = site(make_gate, known=True)
    async with client_of(gate) as client:
        asked = {"model": "two", "image_url": "https://x.example/a.jpg", "prompt": "on marble", "a/b": None}
        answer = await generate(client, asked, photo)
        assert faults(answer) == {
            "/image_url": "unknown_field",
            "/prompt": "unknown_field",
            "/a~1b": "unknown_field",
        }
        for fault in answer.json()["error"]["errors"]:
            assert fault["detail"].endswith("pictures that you send are processed, none are generated")
        assert not (await gate.list_jobs()).items


async def test_native_faults_point_into_the_request(make_gate: MakeGate, photo: bytes) -> None:
    gate = site(make_gate, known=True)
    async with client_of(gate) as client:
        for request, found in (
            ({"model": "tow"}, {"/model": "unknown_preset"}),
            ({"model": "thumb", "params": {"width": 0}}, {"/params/width": "out_of_range"}),
            ({"steps": [{"op": "resize", "widht": 4}]}, {"/steps/0/widht": "unknown_field"}),
            ({"model": "two", "webhook_url": "ftp://x"}, {"/webhook_url": "invalid_value"}),
            ({"model": "two", "client_reference_id": "a\nb"}, {"/client_reference_id": "invalid_value"}),
            ({"model": "two", "upload_ids": "upl_1"}, {"/upload_ids": "wrong_type"}),
            ({"model": "two", "media_id": 3}, {"/media_id": "wrong_type"}),
            ({}, {"/steps": "missing"}),
        ):
            answer = await generate(client, request, photo)
            assert faults(answer).items() >= found.items()
            assert refusal(answer) == (422, "invalid_pipeline")


HOSTILE: list[Any] = [
    None, True, 0, -1, 1.5, 1e308, 10**400, "", " ", "\x00", "\ud800", "x" * 100_000, [], [[]], [[[]]] * 9, [None], {},
    {"": {}}, {"\udfff": 1}, {"$param": "width"}, {"op": "resize"}, [{"op": None}], [{"op": "flip", "to": "\ud800"}],
]  # fmt: skip


@pytest.mark.parametrize("field", ["model", "steps", "params", "num_images", "webhook_url", "media_id", "upload_ids",
                                   "client_reference_id", "prompt", "\ud800", ""])  # fmt: skip
async def test_hostile_value_is_accepted_or_refused(make_gate: MakeGate, photo: bytes, field: str) -> None:
    gate = site(make_gate, known=True, settings={"worker": False})
    async with client_of(gate) as client:
        for value in HOSTILE:
            request = {"model": "two", field: value}
            for answer in (
                await generate(client, request, photo),
                await client.post("/productai/v1/generate", content=json.dumps(request), headers={**ANN, **JSON}),
            ):
                assert answer.status_code in (202, 400, 404, 413, 422), (value, answer.text)
                if answer.status_code != 202:
                    refusal(answer)


async def test_requests_of_another_form_are_refused(make_gate: MakeGate, photo: bytes) -> None:
    gate = site(make_gate, known=True)
    url, good = "/productai/v1/generate", json.dumps({"model": "two"})
    async with client_of(gate) as client:
        for text in (
            "",
            "[]",
            "null",
            "1",
            "{",
            '{"model": NaN',
            '"two"',
            "[" * 100_000,
            '{"num_images": ' + "9" * 9999 + "}",
        ):
            for answer in (
                await generate(client, text, photo),
                await client.post(url, content=text, headers={**ANN, **JSON}),
            ):
                assert refusal(answer) == (400, "bad_upload")
        assert refusal(await client.post(url, content=b"x", headers=ANN)) == (400, "bad_upload")
        assert refusal(await generate(client, good)) == (400, "bad_upload")
        assert refusal(await generate(client, good, b"not a picture")) == (415, "unsupported_type")
        assert refusal(await generate(client, good, b"\xff\xd8\xff" + b"x" * 2_100_000)) == (413, "upload_too_large")
        many = {f"field{n}": n for n in range(3000)}
        assert faults(await generate(client, many, photo)) == {"": "too_long"}
        extra: list[Any] = [("file", ("a.jpg", photo)), ("request", (None, good)), ("prompt", (None, "x"))]
        assert faults(await client.post(url, files=extra, headers=ANN)) == {"/prompt": "unknown_field"}
        unused: list[Any] = [("file", ("a.jpg", photo)), ("image", ("b.jpg", photo)), ("request", (None, good))]
        assert faults(await client.post(url, files=unused, headers=ANN)) == {"": "unused_picture"}
        answer = await client.post(f"{url}?dryRun=1", json={"model": "two"}, headers=ANN)
        assert refusal(answer) == (400, "invalid_parameter")
        assert not (await gate.list_jobs()).items


async def test_media_and_uploads_of_the_caller_are_inputs(make_gate: MakeGate, photo: bytes) -> None:
    gate = site(make_gate, known=True)
    async with client_of(gate) as client:
        upload = await gate.upload(photo, source_type="avatar", source_id="u1", owner="ann")
        media = (await gate.wait(upload.job_id)).media
        assert media is not None
        url = "/productai/v1/generate"
        asked = {"model": "two", "num_images": 2, "media_id": media.id}
        assert (await ended(gate, client, await client.post(url, json=asked, headers=ANN)))["num_images"] == 2
        other = await client.post(url, json=asked, headers={"Authorization": "bob"})
        assert refusal(other) == (404, "media_not_found")
        answer = await client.post(url, json={"model": "two", "upload_ids": [new_id("upl")]}, headers=ANN)
        assert refusal(answer) == (404, "upload_not_found")


async def test_steps_need_the_right_to_send_them(make_gate: MakeGate, photo: bytes) -> None:
    gate = site(make_gate, known=True, ad_hoc="admin")
    async with client_of(gate) as client:
        asked = {"model": "mine", "steps": RESIZE}
        assert refusal(await generate(client, asked, photo)) == (403, "forbidden")
        answer = await generate(client, asked, photo, Authorization="root")
        assert (answer.status_code, answer.json()["model"]) == (202, "mine")


async def test_webhook_url_that_nothing_calls_is_refused(make_gate: MakeGate, photo: bytes) -> None:
    gate = site(make_gate, known=True)
    async with client_of(gate) as client:
        answer = await generate(client, {"model": "two", "webhook_url": "https://hooks.example.com/x"}, photo)
        assert refusal(answer) == (422, "callbacks_unavailable")
        assert answer.json()["error"]["message"].startswith("webhook_url: this service calls no URLs")


async def test_repeated_request_gets_the_same_job(make_gate: MakeGate, photo: bytes) -> None:
    gate = site(make_gate, known=True)
    async with client_of(gate) as client:
        key = {"Idempotency-Key": "k1"}
        first = await generate(client, {"model": "two"}, photo, **key)
        body = await ended(gate, client, first)
        again = await generate(client, {"model": "two"}, photo, **key)
        assert (again.status_code, again.json()["job_id"]) == (202, body["job_id"])
        other = await generate(client, {"model": "thumb"}, photo, **key)
        assert refusal(other) == (422, "idempotency_key_reused")


async def jobs_in_all_states(gate: MediaGate, client: httpx.AsyncClient, photo: bytes) -> dict[str, list[str]]:
    """Record jobs of ann in each status, and one of bob; return the ids of hers by the dialect's word, newest first."""

    async def new() -> str:
        return str((await generate(client, {"model": "two"}, photo)).json()["job_id"])

    made: dict[str, list[str]] = {"completed": [], "failed": [], "processing": [], "pending": []}
    for status, word in ((JobStatus.COMPLETE, "completed"), (JobStatus.FAILED, "failed")) * 2:
        made[word].append(await new())
        await end_next(gate, status)
    made["failed"].append(await new())
    await gate.cancel(made["failed"][-1])
    made["processing"].append(await new())
    records = gate.parts.records
    now = await records.now()
    await records.claim(made["processing"][0], owner="w", now=now, lease_until=now)
    made["pending"] += [await new(), await new()]
    await generate(client, {"model": "two"}, photo, Authorization="bob")
    return {word: ids[::-1] for word, ids in made.items()}


@pytest.mark.parametrize("memory", [True, False], ids=["memory", "sqlite"])
async def test_list_filters_by_status_and_counts(make_gate: MakeGate, photo: bytes, memory: bool) -> None:
    gate = site(make_gate, known=True, settings={"worker": False, "memory": memory})
    async with client_of(gate) as client:
        made = await jobs_in_all_states(gate, client, photo)
        everything = [job for word in ("pending", "processing") for job in made[word]]
        listed = (await client.get(JOBS, headers=ANN)).json()
        assert listed.keys() == {"jobs", "total", "limit", "offset", "has_more"}
        assert [row["job_id"] for row in listed["jobs"]][:3] == everything
        assert [listed[name] for name in ("total", "limit", "offset", "has_more")] == [8, 20, 0, False]
        assert (await client.get(f"{JOBS}?status=all", headers=ANN)).json() == listed
        for word, ids in made.items():
            body = (await client.get(f"{JOBS}?status={word}", headers=ANN)).json()
            assert [(row["job_id"], row["status"]) for row in body["jobs"]] == [(job_id, word) for job_id in ids]
            assert (body["total"], body["has_more"]) == (len(ids), False)
            ended_at = {"completed": {"completed_at"}, "failed": {"failed_at"}}.get(word, set())
            for row in body["jobs"]:
                assert row.keys() == {"job_id", "status", "model", "num_images", "created_at"} | ended_at
        seen = []
        for offset in (0, 1, 2, 3):
            body = (await client.get(f"{JOBS}?status=failed&limit=1&offset={offset}", headers=ANN)).json()
            assert [body[name] for name in ("total", "limit", "offset", "has_more")] == [3, 1, offset, offset < 2]
            seen += [row["job_id"] for row in body["jobs"]]
        assert seen == made["failed"]
        assert (await client.get(JOBS, headers={"Authorization": "bob"})).json()["total"] == 1
        assert (await client.get(JOBS, headers={"Authorization": "root"})).json()["total"] == 9


async def test_list_refuses_other_parameters(make_gate: MakeGate) -> None:
    gate = site(make_gate, known=True)
    async with client_of(gate) as client:
        for query in (
            *(
                "limit=0",
                "limit=101",
                "limit=x",
                "limit=",
                "limit=-1",
                "limit=1.5",
                "limit=%EF%BC%91",
                f"limit={10**50}",
            ),
            *("offset=-1", "offset=x", "offset=10001", f"offset={10**9}", "offset=%00"),
            *("status=", "status=COMPLETE", "status=done", "status=cancelled", "page=2", "cursor=x", "statuss=all"),
        ):
            assert refusal(await client.get(f"{JOBS}?{query}", headers=ANN)) == (400, "invalid_parameter"), query
        for query in ("limit=1", "limit=100", "offset=10000", "status=all", "limit=007"):
            assert (await client.get(f"{JOBS}?{query}", headers=ANN)).status_code == 200, query


async def test_jobs_of_others_are_not_found(make_gate: MakeGate, photo: bytes) -> None:
    gate = site(make_gate, known=True, settings={"worker": False})
    async with client_of(gate) as client:
        job_id = (await generate(client, {"model": "two"}, photo)).json()["job_id"]
        bob = {"Authorization": "bob"}
        for url, headers in ((f"{JOBS}/{job_id}", bob), (f"{JOBS}/{new_id('job')}", ANN), (f"{JOBS}/%00", ANN)):
            assert refusal(await client.get(url, headers=headers)) == (404, "job_not_found")
        assert refusal(await client.get(f"{JOBS}/{job_id}")) == (401, "unauthorized")
        assert refusal(await client.get(JOBS)) == (401, "unauthorized")
        assert refusal(await client.post("/productai/v1/generate", json={"model": "two"})) == (401, "unauthorized")
        assert refusal(await client.get(f"{JOBS}/{job_id}?wait=5", headers=ANN)) == (400, "invalid_parameter")
        assert refusal(await client.delete(f"{JOBS}/{job_id}", headers=ANN)) == (405, "method_not_allowed")


async def test_deleted_outputs_are_gone(make_gate: MakeGate, photo: bytes) -> None:
    gate = site(make_gate, known=True)
    async with client_of(gate) as client:
        body = await ended(gate, client, await generate(client, {"model": "two"}, photo))
        await gate.delete_job(body["job_id"])
        assert refusal(await client.get(f"{JOBS}/{body['job_id']}", headers=ANN)) == (410, "media_deleted")
        (row,) = (await client.get(JOBS, headers=ANN)).json()["jobs"]
        assert (row["status"], row["num_images"]) == ("completed", 2)


async def test_unavailable_database_is_told_in_the_words_of_the_dialect(
    make_gate: MakeGate, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = site(make_gate)
    async with client_of(gate) as client:
        gate.begin_closing()
        answer = await client.post("/productai/v1/generate", json={"model": "two"})
        assert refusal(answer) == (503, "shutting_down")
        assert "Retry-After" in answer.headers


async def test_keys_of_the_plugin_api_keys_open_it(make_gate: MakeGate, photo: bytes) -> None:
    gate = make_gate(sources={"work": WORK}, memory=False, migrate=True, worker=False)
    gate.register(api_keys)
    gate.register(pipelines, presets=PRESETS)
    gate.register(productai)
    async with client_of(gate) as client:
        keys = [await gate[API_KEYS].create(owner=owner) for owner in ("ann", "bob")]
        ann, bob = ({"Authorization": f"Bearer {key.text}"} for key in keys)
        answer = await generate(client, {"model": "two"}, photo, **ann)
        url = answer.headers["Location"]
        assert (await client.get(url, headers=ann)).status_code == 200
        assert refusal(await client.get(url, headers=bob)) == (404, "job_not_found")
        assert [(await client.get(JOBS, headers=one)).json()["total"] for one in (ann, bob)] == [1, 0]
        for headers in ({}, {"Authorization": "Bearer x"}, {"Authorization": keys[0].text}):
            assert refusal(await client.get(url, headers=headers)) == (401, "unauthorized")


async def test_host_of_its_own_has_the_paths_of_the_service(make_gate: MakeGate, photo: bytes) -> None:
    gate = pipeline_gate(make_gate)
    app: Any = Starlette(routes=[Host("api.test", productai_app(gate)), Mount("/image-pipeline", gate)])
    async with gate, httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api.test") as client:
        files: list[Any] = [("file", ("a.jpg", photo)), ("request", (None, '{"model": "two"}'))]
        answer = await client.post("/v1/generate", files=files)
        job_id = answer.json()["job_id"]
        assert answer.headers["Location"] == f"http://api.test/v1/jobs/{job_id}"
        await gate.wait(job_id, timeout_s=60)
        body = (await client.get(answer.headers["Location"])).json()
        assert body["images"][0]["url"].startswith("http://api.test/")
        assert (await client.get(body["images"][0]["url"])).status_code == 200
        assert refusal(await client.get("/v1/jobs/x")) == (404, "job_not_found")
        assert (await client.get("/v1/jobs")).json()["total"] == 1


async def test_it_needs_pipelines_and_a_path(make_gate: MakeGate) -> None:
    for path in ("productai", "/productai/", ""):
        gate = pipeline_gate(make_gate)
        gate.register(productai, path=path)
        with pytest.raises(ConfigError, match="productai: path is"):
            async with gate:
                pass
    gate = make_gate()
    gate.register(productai)
    with pytest.raises(PluginError, match="pipelines"):
        async with gate:
            pass


async def test_it_can_be_registered_below_several_paths(make_gate: MakeGate) -> None:
    gate = site(make_gate)
    gate.register(productai, path="/other/place")
    async with client_of(gate) as client:
        for path in ("/productai", "/other/place"):
            assert (await client.get(f"{path}/v1/jobs")).json()["total"] == 0
