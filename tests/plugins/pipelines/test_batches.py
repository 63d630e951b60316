"""``POST /batches`` and its jobs as clients see them."""

from __future__ import annotations

import io
import json
import os
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import httpx
import pytest
from PIL import Image

from mediagate import EVENTS, EventType, IncomingBatch, IncomingUpload, JobStatus, MediaGate, Source
from mediagate.errors import ConfigError, Forbidden
from mediagate.intake import batches
from mediagate_plugins.pipelines import Preset
from tests.support.direct import sent
from tests.support.documents import PASSWORD, encrypted, objects_of
from tests.support.mounted import client_of
from tests.support.pipeline_site import PRESETS, faults, pipeline_gate, posted, told
from tests.support.pipelines import end_next

pytestmark = pytest.mark.anyio

MakeGate = Callable[..., MediaGate]
ANN = {"Authorization": "ann"}
BOB = {"Authorization": "bob"}
FLIP = [{"op": "flip"}, {"op": "save", "format": "png"}]


async def sent_batch(
    client: httpx.AsyncClient, request: Any, files: Mapping[str, bytes], *, query: str = "", **headers: str
) -> httpx.Response:
    """Send a batch as a form."""
    parts: list[Any] = [(name, (f"{name}.jpg", data)) for name, data in files.items()]
    return await client.post(
        f"/batches{query}", files=[*parts, ("request", (None, json.dumps(request)))], headers=headers
    )


def thumbs(*files: str, **more: Any) -> dict[str, Any]:
    """Return a batch with one job for each file."""
    return {"jobs": [{"preset": "thumb", "files": [name], "clientReferenceId": f"my {name}"} for name in files], **more}


async def ended(gate: MediaGate, client: httpx.AsyncClient, answer: httpx.Response, **headers: str) -> httpx.Response:
    """Return the answer about an accepted batch when all its jobs have ended."""
    assert answer.status_code == 202, answer.text
    for job in answer.json()["jobs"]:
        await gate.wait(job["jobId"], timeout_s=60)
    return await client.get(f"/batches/{answer.json()['batchId']}", headers=headers)


def solid(colour: tuple[int, int, int]) -> bytes:
    """Return a PNG of one colour."""
    file = io.BytesIO()
    Image.new("RGB", (20, 20), colour).save(file, "PNG")
    return file.getvalue()


async def nothing_is_left(gate: MediaGate) -> None:
    assert await gate.parts.records.queue_depth() == 0
    assert list(gate.runtime.spool_dir.iterdir()) == []
    assert [key async for key in gate.parts.storage.list("staging/")] == []


@pytest.mark.parametrize("memory", [True, False], ids=["memory", "sqlite"])
async def test_batch_runs_each_job_on_its_files(make_gate: MakeGate, photo: bytes, memory: bool) -> None:
    gate = pipeline_gate(make_gate, settings={"memory": memory})
    async with client_of(gate) as client:
        asked = thumbs("a", "b", clientReferenceId="mine")
        asked["jobs"].append({"preset": "two", "files": ["b", "a"]})
        answer = await sent_batch(client, asked, {"a": photo, "b": photo})
        body = answer.json()
        assert (body["status"], body["total"], body["clientReferenceId"]) == ("PENDING", 3, "mine")
        assert answer.headers["Location"] == body["statusUrl"] == f"/image-pipeline/batches/{body['batchId']}"
        assert {"retry-after", "mediagate-job-status"} <= {*answer.headers}
        shown = await ended(gate, client, answer)
        state = shown.json()
        assert (shown.status_code, state["status"], state["progress"]) == (200, "COMPLETE", 100)
        assert state["counts"] == {status: 3 * (status == "COMPLETE") for status in JobStatus}
        assert [job["jobId"] for job in state["jobs"]] == [job["jobId"] for job in body["jobs"]]
        assert [job["clientReferenceId"] for job in state["jobs"]] == ["my a", "my b", None]
        assert state["finishedAt"] == max(job["finishedAt"] for job in state["jobs"])
        last = (await client.get(state["jobs"][2]["statusUrl"].removeprefix("/image-pipeline"))).json()
        assert [one["filename"] for one in last["inputs"]] == ["b.jpg", "a.jpg"]
        assert len(last["outputs"]) == 4
        assert last["batchId"] == body["batchId"]
        assert (last["preset"], last["presetVersion"]) == ("two", PRESETS["two"].version)
        listed = (await client.get("/jobs")).json()["items"]
        assert {(job["batchId"], job["presetVersion"] is None) for job in listed} == {(body["batchId"], False)}


async def test_batch_is_refused_whole_with_every_fault_and_its_place(make_gate: MakeGate, photo: bytes) -> None:
    gate = pipeline_gate(make_gate, known=True, settings={"worker": False})
    async with client_of(gate) as client:
        asked = {
            "jobs": [
                {"preset": "thumb", "files": ["a"]},
                {"steps": [{"op": "resize", "width": -1}, {"op": "savv"}], "files": ["a"]},
                {"preset": "thum", "files": ["a"]},
                {"preset": "thumb", "params": {"width": 5000}, "files": ["a", "bb"]},
                {"preset": "thumb"},
                {"preset": "thumb", "files": "a"},
                {"preset": "thumb", "files": ["a"], "callbackUrl": "ftp://x"},
                7,
            ],
            "callbackUrl": "http://insecure.example",
            "clientReferenceID": "mine",
        }
        answer = await sent_batch(client, asked, {"a": photo}, **ANN)
        assert faults(answer) == {
            "/clientReferenceID": "unknown_field",
            "/callbackUrl": "invalid_value",
            "/jobs/1/steps/0/width": "out_of_range",
            "/jobs/1/steps/1/op": "unknown_operation",
            "/jobs/2/preset": "unknown_preset",
            "/jobs/3/params/width": "out_of_range",
            "/jobs/3/files/1": "unknown_file",
            "/jobs/4/files": "missing",
            "/jobs/5/files": "wrong_type",
            "/jobs/6/callbackUrl": "invalid_value",
            "/jobs/7": "wrong_type",
        }
        await nothing_is_left(gate)


async def test_batch_with_one_bad_input_makes_no_job(make_gate: MakeGate, photo: bytes) -> None:
    gate = pipeline_gate(make_gate, settings={"worker": False})
    async with client_of(gate) as client:
        asked = thumbs("a", "cut", "b")
        asked["jobs"] += [
            {"preset": "thumb", "mediaId": "med_unknown"},
            {"preset": "thumb", "uploadIds": ["upl_unknown"]},
        ]
        answer = await sent_batch(client, asked, {"a": photo, "cut": photo[:100], "b": photo})
        assert faults(answer) == {
            "/jobs/1/files/0": "image_undecodable",
            "/jobs/3/mediaId": "media_not_found",
            "/jobs/4/uploadIds/0": "upload_not_found",
        }
        await nothing_is_left(gate)


async def test_file_that_is_no_picture_is_named(make_gate: MakeGate, photo: bytes) -> None:
    gate = pipeline_gate(make_gate, settings={"worker": False})
    async with client_of(gate) as client:
        for wrong, code in ((b"not a picture" * 9, "unsupported_type"), (b"", "bad_upload")):
            answer = await sent_batch(client, thumbs("a", "b"), {"a": photo, "b": wrong})
            assert answer.json()["code"] == code
            assert answer.json()["detail"].startswith("the file 'b': ")
        await nothing_is_left(gate)


async def test_files_are_shared_by_jobs_and_none_is_left_over(make_gate: MakeGate, photo: bytes) -> None:
    gate = pipeline_gate(make_gate, known=True)
    mark = {"op": "watermark", "picture": "logo", "opacity": 100, "position": "top_left", "margin": 0, "size": 50}
    marked = {"steps": [mark, {"op": "save", "format": "png"}], "files": ["a"]}
    files = {"a": photo, "logo": solid((255, 0, 0))}
    async with client_of(gate) as client:
        asked = {"jobs": [marked, {"preset": "thumb", "files": ["a"]}, marked]}
        state = (await ended(gate, client, await sent_batch(client, asked, files, **ANN), **ANN)).json()
        assert state["counts"]["COMPLETE"] == 3
        for number in (0, 2):
            got = await client.get(f"/jobs/{state['jobs'][number]['jobId']}/download", headers=ANN)
            pixel = Image.open(io.BytesIO(got.content)).convert("RGB").getpixel((5, 5))
            assert isinstance(pixel, tuple) and pixel[0] > 240 and pixel[1] < 15
        unused = await sent_batch(client, thumbs("a"), files, **ANN)
        assert faults(unused) == {"": "unused_picture"}
        both = await sent_batch(client, {"jobs": [{**marked, "files": ["a", "logo"]}]}, files, **ANN)
        assert faults(both) == {"/jobs/0/files": "invalid_value"}


async def test_inputs_of_a_batch_may_be_media_and_direct_uploads(make_gate: MakeGate, photo: bytes) -> None:
    gate = pipeline_gate(make_gate, known=True)
    async with client_of(gate) as client:
        job = await gate.upload(photo, source_type="avatar", source_id="u1", owner="ann")
        media = (await gate.wait(job.job_id, timeout_s=60)).media
        assert media is not None
        declared = {"sourceType": "avatar", "sourceId": "u1", "size": len(photo), "filename": "d.jpg"}
        upload = (await client.post("/uploads", json=declared, headers=ANN)).json()
        assert (await sent(client, upload, photo)).status_code == 204
        asked = {
            "jobs": [
                {"preset": "thumb", "mediaId": media.id},
                {"preset": "two", "mediaId": media.id},
                {"preset": "thumb", "uploadIds": [upload["uploadId"]]},
            ]
        }
        answer = await client.post("/batches", json=asked, headers=ANN)
        assert (await ended(gate, client, answer, **ANN)).json()["counts"]["COMPLETE"] == 3
        foreign = await client.post("/batches", json=asked, headers=BOB)
        assert faults(foreign) == {
            "/jobs/0/mediaId": "media_not_found",
            "/jobs/1/mediaId": "media_not_found",
            "/jobs/2/uploadIds/0": "upload_not_found",
        }


async def test_pictures_that_steps_of_a_batch_name_may_be_media_of_their_owner(
    make_gate: MakeGate, photo: bytes
) -> None:
    gate = pipeline_gate(make_gate, known=True)
    mark = {"op": "watermark", "picture": "logo", "opacity": 100, "position": "top_left", "margin": 0, "size": 50}
    files = {"a": photo}
    async with client_of(gate) as client:
        logo = await gate.upload(solid((255, 0, 0)), source_type="avatar", source_id="u1", owner="ann")
        media = (await gate.wait(logo.job_id, timeout_s=60)).media
        assert media is not None
        marked = {"steps": [mark, {"op": "save", "format": "png"}], "files": ["a"], "pictures": {"logo": media.id}}
        answer = await sent_batch(client, {"jobs": [marked, marked]}, files, **ANN)
        state = (await ended(gate, client, answer, **ANN)).json()
        assert state["counts"]["COMPLETE"] == 2
        for job in state["jobs"]:
            got = await client.get(f"/jobs/{job['jobId']}/download", headers=ANN)
            pixel = Image.open(io.BytesIO(got.content)).convert("RGB").getpixel((5, 5))
            assert isinstance(pixel, tuple) and pixel[0] > 240 and pixel[1] < 15
        foreign = await sent_batch(client, {"jobs": [marked]}, files, **BOB)
        assert faults(foreign) == {"/jobs/0/pictures/logo": "media_not_found"}
        wrong = {"preset": "thumb", "files": ["a"], "pictures": {"logo": media.id}}
        assert faults(await sent_batch(client, {"jobs": [wrong]}, files, **ANN)) == {"/jobs/0": "unused_picture"}
        twice = {**marked, "pictures": {"a": media.id}}
        answer = await sent_batch(client, {"jobs": [twice]}, files, **ANN)
        assert faults(answer)["/jobs/0/pictures/a"] == "invalid_value"


async def test_limits_of_batches_hold_and_are_listed(make_gate: MakeGate, photo: bytes) -> None:
    size = len(photo)
    gate = pipeline_gate(make_gate, batch_jobs=3, batch_max_bytes=3 * size, settings={"worker": False})
    async with client_of(gate) as client:
        limits = (await client.get("/pipelines/operations")).json()["limits"]
        assert (limits["jobsPerBatch"], limits["filesPerBatch"], limits["bytesPerBatch"]) == (3, 13, 3 * size)
        assert (await sent_batch(client, thumbs("a", "a", "a"), {"a": photo})).status_code == 202
        many = await sent_batch(client, thumbs("a", "a", "a", "a"), {"a": photo})
        assert faults(many) == {"/jobs": "too_long"}
        twice = thumbs("a", "b")
        twice["jobs"].append({"preset": "thumb", "files": ["a", "b"]})
        assert told(await sent_batch(client, twice, {"a": photo, "b": photo})) == (413, "upload_too_large")
        four = dict.fromkeys("abcd", photo)
        assert told(await sent_batch(client, thumbs(*four), four)) == (413, "upload_too_large")
        fourteen = {f"f{number}": photo[:200] for number in range(14)}
        assert told(await sent_batch(client, thumbs("f0"), fourteen)) == (400, "bad_upload")
        assert await gate.parts.records.queue_depth() == 3


@pytest.mark.parametrize("options", [{"batch_jobs": 0}, {"batch_jobs": 1001}, {"batch_max_bytes": 0}])
async def test_gate_does_not_open_with_wrong_limits_of_batches(make_gate: MakeGate, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="batch_jobs is from 1 to 1,000"):
        await pipeline_gate(make_gate, settings={"worker": False}, **options).open()


async def test_batch_must_fit_into_the_queue(make_gate: MakeGate, photo: bytes) -> None:
    gate = pipeline_gate(make_gate, settings={"worker": False, "max_queue": 3})
    async with client_of(gate) as client:
        assert told(await sent_batch(client, thumbs(*"aaaa"), {"a": photo})) == (400, "invalid_parameter")
        assert (await sent_batch(client, thumbs(*"aa"), {"a": photo})).status_code == 202
        full = await sent_batch(client, thumbs(*"aa"), {"a": photo})
        assert told(full) == (503, "queue_full")
        assert await gate.parts.records.queue_depth() == 2


async def test_same_idempotency_key_returns_the_same_batch(make_gate: MakeGate, photo: bytes) -> None:
    gate = pipeline_gate(make_gate, settings={"worker": False})
    async with client_of(gate) as client:
        key = {"Idempotency-Key": "k1"}
        dry = await sent_batch(client, thumbs("a"), {"a": photo}, query="?dryRun=1", **key)
        assert dry.status_code == 200
        first, again = [await sent_batch(client, thumbs("a", "b"), {"a": photo, "b": photo}, **key) for _ in range(2)]
        assert first.json() == again.json()
        assert await gate.parts.records.queue_depth() == 2
        for other in (thumbs("b", "a"), thumbs("a", "b", clientReferenceId="other")):
            answer = await sent_batch(client, other, {"a": photo, "b": photo}, **key)
            assert told(answer) == (422, "idempotency_key_reused")
        alone = await posted(client, {"preset": "thumb"}, ("file", ("a.jpg", photo)), **key)
        assert told(alone) == (422, "idempotency_key_reused")


async def test_dry_run_of_a_batch_tells_steps_and_costs_and_makes_no_job(make_gate: MakeGate, photo: bytes) -> None:
    gate = pipeline_gate(make_gate, settings={"worker": False})
    async with client_of(gate) as client:
        asked = thumbs("a", "b", colour="red")
        answer = await sent_batch(client, asked, {"a": photo, "b": photo}, query="?dryRun=1")
        body = answer.json()
        assert (answer.status_code, body["valid"], len(body["jobs"])) == (200, True, 2)
        assert body["ignored"] == ["colour"]
        assert body["jobs"][1]["presetVersion"] == PRESETS["thumb"].version
        assert body["jobs"][1]["costs"][0]["cpuMs"] > 0
        await nothing_is_left(gate)


async def test_status_code_of_a_batch_follows_its_state(make_gate: MakeGate, photo: bytes) -> None:
    gate = pipeline_gate(make_gate, settings={"worker": False})
    async with client_of(gate) as client:
        batch = (await sent_batch(client, thumbs("a", "a"), {"a": photo})).json()
        place = f"/batches/{batch['batchId']}"
        waiting = await client.get(place)
        assert (waiting.status_code, waiting.json()["status"]) == (202, "PENDING")
        assert waiting.json()["pollAfterMs"] > 0
        assert {"retry-after", "etag", "mediagate-job-status"} <= {*waiting.headers}
        same = await client.get(place, headers={"If-None-Match": waiting.headers["ETag"]})
        assert (same.status_code, same.content) == (304, b"")
        await client.post(f"/jobs/{batch['jobs'][0]['jobId']}/cancel")
        half = await client.get(place)
        assert (half.status_code, half.json()["status"], half.json()["progress"]) == (202, "PROCESSING", 50)
        await client.post(f"/jobs/{batch['jobs'][1]['jobId']}/cancel")
        over = await client.get(place)
        assert (over.status_code, over.json()["status"]) == (410, "CANCELLED")
        assert "Retry-After" not in over.headers
        assert (await client.get(f"{place}?http=200")).status_code == 200
        assert told(await client.get(f"{place}?http=201")) == (400, "invalid_parameter")
        assert told(await client.get("/batches/bat_unknown")) == (404, "batch_not_found")


async def test_batch_answers_200_by_default_if_the_setting_says_so(make_gate: MakeGate, photo: bytes) -> None:
    gate = pipeline_gate(make_gate, settings={"worker": False, "status_http": "200"})
    async with client_of(gate) as client:
        place = f"/batches/{(await sent_batch(client, thumbs('a'), {'a': photo})).json()['batchId']}"
        assert (await client.get(place)).status_code == 200
        assert (await client.get(f"{place}?http=status")).status_code == 202


@pytest.mark.parametrize("query", ["", "?dryRun=1"])
async def test_callback_of_a_batch_that_nothing_would_call_is_refused(
    make_gate: MakeGate, photo: bytes, query: str
) -> None:
    gate, url = pipeline_gate(make_gate, settings={"worker": False}), "https://hooks.example/ended"
    async with client_of(gate) as client:
        whole = await sent_batch(client, thumbs("a", callbackUrl=url), {"a": photo}, query=query)
        assert told(whole) == (422, "callbacks_unavailable")
        asked = {"jobs": [{"preset": "thumb", "files": ["a"]}, {"preset": "thumb", "files": ["a"], "callbackUrl": url}]}
        one = await sent_batch(client, asked, {"a": photo}, query=query)
        assert told(one) == (422, "invalid_pipeline")
        errors = [(error["pointer"], error["code"]) for error in one.json()["errors"]]
        assert errors == [("/jobs/1", "callbacks_unavailable")]
        await nothing_is_left(gate)


async def test_cancellation_ends_the_jobs_that_have_not_ended(make_gate: MakeGate, photo: bytes) -> None:
    gate = pipeline_gate(make_gate, settings={"worker": False})
    gate.decorate(EVENTS, tuple(EventType))
    async with client_of(gate) as client:
        batch = (await sent_batch(client, thumbs("a", "a", "a"), {"a": photo})).json()
        await end_next(gate)
        place = f"/batches/{batch['batchId']}/cancel"
        answer = await client.post(place)
        counts = answer.json()["counts"]
        assert (answer.status_code, counts["COMPLETE"], counts["CANCELLED"]) == (200, 1, 2)
        assert (await client.get(f"/batches/{batch['batchId']}")).status_code == 200, "one of its jobs is COMPLETE"
        again = await client.post(place)
        assert (again.status_code, again.json()) == (200, answer.json())
        assert [key async for key in gate.parts.storage.list("staging/")] == []
        ends = [event for event in await gate.parts.records.outbox(limit=99) if event.job_id == batch["batchId"]]
        assert [event.type for event in ends] == [EventType.BATCH_COMPLETED]
        assert json.loads(ends[0].data)["counts"] == counts


async def test_foreign_batch_does_not_exist(make_gate: MakeGate, photo: bytes) -> None:
    gate = pipeline_gate(make_gate, known=True, settings={"worker": False})
    async with client_of(gate) as client:
        batch = (await sent_batch(client, thumbs("a"), {"a": photo}, **ANN)).json()
        place = f"/batches/{batch['batchId']}"
        for answer in (await client.get(place, headers=BOB), await client.post(f"{place}/cancel", headers=BOB)):
            assert told(answer) == (404, "batch_not_found")
        assert (await client.get(place, headers=ANN)).json()["status"] == "PENDING"
        assert (await client.get(place, headers={"Authorization": "root"})).status_code == 202
        assert told(await client.get(place)) == (401, "unauthorized")
        assert told(await sent_batch(client, thumbs("a"), {"a": photo})) == (401, "unauthorized")


async def test_steps_in_a_batch_are_a_right_of_their_own(make_gate: MakeGate, photo: bytes) -> None:
    gate = pipeline_gate(make_gate, known=True, ad_hoc="admin", settings={"worker": False})
    async with client_of(gate) as client:
        asked = thumbs("a")
        asked["jobs"].append({"steps": FLIP, "files": ["a"]})
        assert told(await sent_batch(client, asked, {"a": photo}, **ANN)) == (403, "forbidden")
        assert (await sent_batch(client, asked, {"a": photo}, Authorization="root")).status_code == 202


async def test_batch_of_100_does_not_delay_the_upload_of_another(make_gate: MakeGate, photo: bytes) -> None:
    gate = pipeline_gate(make_gate, known=True, settings={"worker": False, "memory": False})
    async with client_of(gate) as client:
        batch = (await sent_batch(client, thumbs(*["a"] * 100), {"a": photo}, **ANN)).json()
        single = await gate.upload(photo, source_type="avatar", source_id="u1", owner="bob")
        records = gate.parts.records
        now = await records.now()
        claimed = await records.claim_oldest(owner="w", now=now, lease_until=now, limit=2)
        assert {job.id for job in claimed} == {single.job_id, batch["jobs"][0]["jobId"]}


async def test_hook_may_refuse_a_batch(make_gate: MakeGate, photo: bytes) -> None:
    seen: list[IncomingBatch] = []

    async def at_most_two(batch: IncomingBatch) -> None:
        seen.append(batch)
        if batch.jobs > 2:
            raise Forbidden("at most two jobs")

    gate = pipeline_gate(make_gate, known=True, settings={"worker": False})
    gate.add_hook("pre_batch", at_most_two)
    async with client_of(gate) as client:
        assert (await sent_batch(client, thumbs("a", "a"), {"a": photo}, **ANN)).status_code == 202
        assert told(await sent_batch(client, thumbs(*"aaa"), {"a": photo}, **ANN)) == (403, "forbidden")
        assert seen[0] == IncomingBatch("work", 2, 2 * len(photo), owner_id="ann")
        assert await gate.parts.records.queue_depth() == 2


async def test_jobs_of_a_batch_share_the_copy_of_an_encrypted_document(make_gate: MakeGate) -> None:
    copies = list[int]()
    source = Source(formats=("pdf",), visibility="private", ttl=timedelta(hours=1))
    gate = pipeline_gate(make_gate, known=True, sources={"work": source}, settings={"worker": False})

    async def count(_: IncomingBatch) -> None:
        copies.append(len(list(gate.runtime.spool_dir.iterdir())))

    gate.add_hook("pre_batch", count)
    job = {"steps": [{"op": "render", "password": PASSWORD}, {"op": "read_text"}], "files": ["a"]}
    async with client_of(gate) as client:
        for jobs in (1, 9):
            answer = await sent_batch(client, {"jobs": [job] * jobs}, {"a": encrypted(objects_of(b""))}, **ANN)
            assert answer.status_code == 202, answer.text
    assert copies[0] == copies[1]


async def test_file_of_many_jobs_is_decoded_once(make_gate: MakeGate, photo: bytes) -> None:
    gate = pipeline_gate(make_gate, settings={"worker": False, "decode_before_202": True})
    hashes = list[str]()

    async def cut_file_of_second_job(upload: IncomingUpload) -> None:
        hashes.append(upload.sha256)
        if len(hashes) == 2:
            for path in gate.runtime.spool_dir.iterdir():
                os.truncate(path, len(photo) // 2)

    gate.add_hook("pre_upload", cut_file_of_second_job)
    async with client_of(gate) as client:
        answer = await sent_batch(client, thumbs("a", "a", "a"), {"a": photo})
        assert (answer.status_code, len(hashes)) == (202, 3), answer.text
        damaged = await sent_batch(client, thumbs("a", "a", "a"), {"a": photo[: len(photo) // 2]})
        assert faults(damaged) == dict.fromkeys(("/jobs/0", "/jobs/1", "/jobs/2"), "image_undecodable")


async def test_steps_of_a_batch_have_a_limit_together(
    make_gate: MakeGate, photo: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert batches.MOST_STEPS_BYTES == 33_554_432
    # Checking the table of one job takes 50 ms.
    monkeypatch.setattr(batches, "MOST_STEPS_BYTES", 4_194_304)
    table = "LUT_3D_SIZE 33\n" + "0.123456 0.234567 0.345678\n" * 33**3
    look = Preset([{"op": "lut", "cube": table}, {"op": "save", "format": "webp"}])
    gate = pipeline_gate(make_gate, presets={"look": look}, batch_jobs=1000, settings={"worker": False})
    async with client_of(gate) as client:
        few = await sent_batch(client, {"jobs": [{"preset": "look", "files": ["a"]}] * 3}, {"a": photo})
        assert few.status_code == 202, few.text
        for query in ("", "?dryRun=1"):
            asked = {"jobs": [{"preset": "look", "files": ["a"]}] * 6}
            many = await sent_batch(client, asked, {"a": photo}, query=query)
            assert told(many) == (400, "invalid_parameter")
            assert "4,194,304 bytes" in many.json()["detail"]
        assert await gate.parts.records.queue_depth() == 3


async def test_faults_beyond_the_first_hundred_are_not_looked_for(make_gate: MakeGate, photo: bytes) -> None:
    files = {f"picture-of-the-series-{number}": photo[:9] for number in range(200)}
    strange = [f"picture-of-an-unknown-series-{number}" for number in range(10)]
    gate = pipeline_gate(make_gate, settings={"worker": False}, batch_jobs=1000)
    async with client_of(gate) as client:
        began = time.process_time()
        answer = await sent_batch(client, {"jobs": [{"preset": "thumb", "files": strange}] * 1000}, files)
        assert list(faults(answer))[-1] == "/jobs/9/files/9"
        assert time.process_time() - began < 5
