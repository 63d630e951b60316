"""``POST /pipelines`` and ``GET /pipelines/operations`` as clients see them."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator
from PIL import Image

from mediagate import JobStatus, MediaGate, Source
from mediagate.cli.doctor import examine
from mediagate.errors import ConfigError, RateLimited
from mediagate.images.operations import STANDARD, Extra
from mediagate.intake.multipart import MAX_REQUEST
from mediagate.values import utcnow
from mediagate_plugins.pipelines import Preset, pipelines
from tests.support.direct import sent
from tests.support.hooks import RecordedHooks
from tests.support.mounted import client_of
from tests.support.pipeline_site import PRESETS, TWO, WORK, faults, pipeline_gate, posted, told
from tests.support.pipeline_site import file_of as file

pytestmark = pytest.mark.anyio

MakeGate = Callable[..., MediaGate]
FLIP = {"steps": [{"op": "flip"}, {"op": "save", "format": "png"}]}
THUMB, TWO_ASKED = {"preset": "thumb"}, {"preset": "two"}
THUMB_SAVE = {"op": "save", "as": "thumb", "format": "webp"}


async def finished(gate: MediaGate, answer: httpx.Response) -> Any:
    """Return the status of an accepted pipeline at its end."""
    assert answer.status_code == 202, answer.text
    status = await gate.wait(answer.json()["jobId"], timeout_s=60)
    return status.to_json(poll_after_ms=0)


@pytest.mark.parametrize("memory", [True, False], ids=["memory", "sqlite"])
async def test_preset_runs_on_a_photo(make_gate: MakeGate, photo: bytes, memory: bool) -> None:
    gate = pipeline_gate(make_gate, settings={"memory": memory})
    async with client_of(gate) as client:
        began = utcnow()
        asked = {**THUMB, "params": {"width": 60}, "retention": {"ttlHours": 2}, "clientReferenceId": "mine"}
        answer = await posted(client, asked, file(photo, "my photo.jpg"))
        body = answer.json()
        assert (body["kind"], body["preset"], body["clientReferenceId"]) == ("pipeline", "thumb", "mine")
        assert body["retention"] == {"ttlHours": 2, "clamped": False}
        kept = datetime.fromisoformat(body["expiresAt"]) - began
        assert timedelta(hours=2) <= kept < timedelta(hours=2, minutes=2)
        assert answer.headers["Location"] == body["statusUrl"]
        assert "Retry-After" in answer.headers
        spec = (await gate.get_status(body["jobId"])).job.spec
        assert spec is not None and spec.version == PRESETS["thumb"].version
        status = await finished(gate, answer)
        (output,) = status["outputs"]
        assert (output["name"], output["width"], output["height"], output["format"]) == ("thumb", 60, 50, "webp")
        assert [one["filename"] for one in status["inputs"]] == ["my photo.jpg"]
        shown = await client.get(answer.json()["statusUrl"].removeprefix("/image-pipeline"))
        assert shown.json()["kind"] == "pipeline"


@pytest.mark.parametrize("first", ["file", "request"])
async def test_file_and_request_may_come_in_either_order(make_gate: MakeGate, photo: bytes, first: str) -> None:
    gate = pipeline_gate(make_gate)
    async with client_of(gate) as client:
        parts: list[Any] = [("file", ("a.jpg", photo)), ("request", (None, json.dumps(THUMB)))]
        answer = await client.post("/pipelines", files=parts if first == "file" else parts[::-1])
        assert (await finished(gate, answer))["status"] == "COMPLETE"


async def test_request_may_be_a_file_of_its_own(make_gate: MakeGate, photo: bytes) -> None:
    gate = pipeline_gate(make_gate)
    async with client_of(gate) as client:
        answer = await client.post(
            "/pipelines",
            files=[
                ("request", ("blob", json.dumps(THUMB).encode(), "application/json")),
                ("files[]", ("a.jpg", photo)),
            ],
        )
        assert (await finished(gate, answer))["status"] == "COMPLETE"


async def test_steps_run_on_each_of_several_files(make_gate: MakeGate, photo: bytes) -> None:
    gate = pipeline_gate(make_gate)
    async with client_of(gate) as client:
        answer = await posted(client, THUMB, *[file(photo, f"{n}.jpg", "files[]") for n in range(3)])
        status = await finished(gate, answer)
        assert [one["filename"] for one in status["inputs"]] == ["0.jpg", "1.jpg", "2.jpg"]
        assert len(status["outputs"]) == 3
        assert len({output["filename"] for output in status["outputs"]}) == 3


async def test_more_than_ten_files_are_refused_and_leave_nothing(make_gate: MakeGate, photo: bytes) -> None:
    gate = pipeline_gate(make_gate, settings={"worker": False})
    async with client_of(gate) as client:
        answer = await posted(client, THUMB, *[file(photo, f"{n}.jpg", "files[]") for n in range(11)])
        assert told(answer) == (400, "bad_upload")
        assert "more than 10 files" in answer.json()["detail"]
        assert await gate.parts.records.queue_depth() == 0
        assert list(gate.runtime.spool_dir.iterdir()) == []
        assert [key async for key in gate.parts.storage.list("staging/")] == []


@pytest.mark.parametrize(("name", "others"), [("logo", "input0"), ("input0", "input1")])
async def test_further_picture_is_an_input_that_a_step_names(
    make_gate: MakeGate, photo: bytes, name: str, others: str
) -> None:
    gate = pipeline_gate(make_gate, known=True)
    logo = io.BytesIO()
    Image.new("RGB", (20, 20), (255, 0, 0)).save(logo, "PNG")
    mark = {"op": "watermark", "picture": name, "opacity": 100, "position": "top_left", "margin": 0, "size": 50}
    async with client_of(gate) as client:
        asked = {"steps": [mark, {"op": "save", "format": "png"}]}
        answer = await posted(client, asked, file(photo), file(logo.getvalue(), "l.png", name), Authorization="ann")
        status = await finished(gate, answer)
        assert [one["name"] for one in status["inputs"]] == [others, name]
        assert len(status["outputs"]) == 1
        got = await client.get(f"/jobs/{status['jobId']}/download", headers={"Authorization": "ann"})
        pixel = Image.open(io.BytesIO(got.content)).convert("RGB").getpixel((5, 5))
        assert isinstance(pixel, tuple) and pixel[0] > 240 and pixel[1] < 15
        unused = await posted(client, FLIP, file(photo), file(photo, "l.png", "logo"), Authorization="ann")
        assert faults(unused) == {"": "unused_picture"}


async def test_all_faults_are_told_at_once_with_their_places(make_gate: MakeGate, photo: bytes) -> None:
    gate = pipeline_gate(make_gate, known=True, settings={"worker": False})
    async with client_of(gate) as client:
        asked = {
            "steps": [{"op": "look", "name": "noir", "intensity": 172}, {"op": "savv"}],
            "callbackUrl": "ftp://x",
            "retention": {"ttlHours": -1},
        }
        answer = await posted(client, asked, file(photo), Authorization="ann")
        assert faults(answer) == {
            "/steps/0/intensity": "out_of_range",
            "/steps/1/op": "unknown_operation",
            "/callbackUrl": "invalid_value",
            "/retention/ttlHours": "out_of_range",
        }
        assert answer.headers["Content-Type"] == "application/problem+json"
        body = answer.json()
        assert body["type"] == "urn:mediagate:problem:invalid_pipeline"
        assert body["retryable"] is False
        assert body["errors"][0]["got"] == 172
        assert "did you mean 'save'?" in body["errors"][1]["detail"]
        assert list(gate.runtime.spool_dir.iterdir()) == []


@pytest.mark.parametrize(
    "request_",
    ["", "{", "[]", "5", "null", "[" * 100_000, '{"steps": [' + '{"op":"flip"},' * 21 + "{}]}", '{"a":' * 50_000],
    ids=["empty", "cut", "list", "number", "null", "deep", "long", "deeper"],
)
async def test_wrong_json_is_refused(make_gate: MakeGate, photo: bytes, request_: str) -> None:
    gate = pipeline_gate(make_gate, known=True, settings={"worker": False})
    async with client_of(gate) as client:
        answer = await posted(client, request_, file(photo), Authorization="ann")
        assert told(answer) in ((400, "bad_upload"), (422, "invalid_pipeline"))
        as_json = await client.post(
            "/pipelines", content=request_, headers={"Content-Type": "application/json", "Authorization": "ann"}
        )
        assert told(as_json) == told(answer)


@pytest.mark.parametrize(
    "step",
    [
        {"op": "resize", "width": 10**30},
        {"op": "resize", "width": -1},
        {"op": "resize", "percent": 1e308},
        {"op": "crop", "x": float("nan"), "y": 0, "width": 1, "height": 1},
        {"op": "rotate", "degrees": float("inf")},
        {"op": "lut", "cube": "LUT_3D_SIZE 100000\n0 0 0"},
        {"op": "lut", "cube": "LUT_3D_SIZE 2\n" + "nan nan nan\n" * 8},
        {"op": "lut", "cube": "x" * 2_000_001},
        {"op": "save", "as": "../../etc/passwd"},
        {"op": "save", "as": "a" * 65},
        {"op": "save", "as": "CON\u202e"},
        {"op": "watermark", "text": "\x00"},
        {"op": "flip", "__class__": {}},
        {"op": ["flip"]},
        {"op": "flip", "from": {"$param": "width"}},
    ],
    ids=lambda step: str(step)[:40],
)
async def test_hostile_step_is_a_fault_with_its_place(make_gate: MakeGate, photo: bytes, step: Any) -> None:
    gate = pipeline_gate(make_gate, known=True, settings={"worker": False})
    async with client_of(gate) as client:
        answer = await posted(client, {"steps": [step]}, file(photo), Authorization="ann")
        assert told(answer)[0] == 422, answer.text
        assert all(pointer.startswith("/steps/0") for pointer in faults(answer))
        assert len(answer.content) < 5000


async def test_request_of_more_than_its_limit_is_refused(make_gate: MakeGate, photo: bytes) -> None:
    gate = pipeline_gate(make_gate, settings={"worker": False})
    async with client_of(gate) as client:
        answer = await posted(client, " " * (MAX_REQUEST + 1), file(photo))
        assert told(answer) == (400, "bad_upload")


async def test_ad_hoc_steps_are_a_right_of_their_own(make_gate: MakeGate, photo: bytes) -> None:
    for ad_hoc, allowed in (("none", ()), ("admin", ("root",)), ("all", ("root", "ann"))):
        gate = pipeline_gate(make_gate, known=True, ad_hoc=ad_hoc, settings={"worker": False})
        async with client_of(gate) as client:
            for caller in ("root", "ann"):
                answer = await posted(client, FLIP, file(photo), Authorization=caller)
                assert told(answer) == ((202, "") if caller in allowed else (403, "forbidden")), (ad_hoc, caller)
                listed = await client.get("/pipelines/operations", headers={"Authorization": caller})
                assert listed.json()["adHoc"] is (caller in allowed)
            assert (await posted(client, THUMB, file(photo), Authorization="ann")).status_code == 202
            assert told(await posted(client, THUMB, file(photo))) == (401, "unauthorized")


@pytest.mark.parametrize(
    ("server", "client", "allowed"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("[::1]", "::1", True),
        ("127.0.0.1", "203.0.113.7", False),  # behind a proxy on the same machine
        ("192.168.1.5", "192.168.1.7", False),
        ("gate.example", "127.0.0.1", False),
        ("127.0.0.1", None, False),
    ],
)
async def test_local_steps_are_for_callers_on_the_same_machine(
    make_gate: MakeGate, photo: bytes, server: str, client: str | None, allowed: bool
) -> None:
    gate = pipeline_gate(make_gate, ad_hoc="local", settings={"worker": False})
    end: Any = (client, 50_000) if client else None
    transport = httpx.ASGITransport(gate, client=end)
    async with gate, httpx.AsyncClient(transport=transport, base_url=f"http://{server}:8000") as caller:
        assert (await caller.get("/pipelines/operations")).json()["adHoc"] is allowed
        assert told(await posted(caller, FLIP, file(photo))) == ((202, "") if allowed else (403, "forbidden"))
        assert (await posted(caller, THUMB, file(photo))).status_code == 202


@pytest.mark.parametrize("header", ["Forwarded", "X-Forwarded-For", "X-Real-IP"])
async def test_local_steps_are_not_for_callers_behind_a_proxy(make_gate: MakeGate, photo: bytes, header: str) -> None:
    gate = pipeline_gate(make_gate, ad_hoc="local", settings={"worker": False})
    async with gate, httpx.AsyncClient(transport=httpx.ASGITransport(gate), base_url="http://127.0.0.1:8000") as caller:
        answer = await caller.get("/pipelines/operations", headers={header: "203.0.113.7"})
        assert answer.json()["adHoc"] is False


async def test_gate_with_local_steps_refuses_foreign_names_of_this_machine(make_gate: MakeGate) -> None:
    gate = pipeline_gate(make_gate, ad_hoc="local", settings={"worker": False})
    transport = httpx.ASGITransport(gate)
    async with gate, httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as caller:
        answer = await caller.get("/pipelines/operations", headers={"Host": "evil.example"})
        assert told(answer) == (403, "host_not_allowed")


async def test_steps_are_refused_unless_a_gate_says_who_may_send_them(make_gate: MakeGate, photo: bytes) -> None:
    gate = make_gate(sources={"work": WORK}, worker=False)
    gate.register(pipelines)
    transport = httpx.ASGITransport(gate)
    async with gate, httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as caller:
        assert told(await posted(caller, FLIP, file(photo))) == (403, "forbidden")
        assert (await caller.get("/pipelines/operations")).json()["adHoc"] is False


async def test_preset_cannot_be_tampered_with(make_gate: MakeGate, photo: bytes) -> None:
    gate = pipeline_gate(make_gate, known=True, ad_hoc="none", settings={"worker": False})
    async with client_of(gate) as client:
        same = {**THUMB, "steps": [{"op": "resize", "width": 50, "height": 50, "fit": "cover"}, THUMB_SAVE]}
        assert (await posted(client, same, file(photo), Authorization="ann")).status_code == 202
        for steps in ([], [{"op": "flip"}], [*same["steps"], {"op": "read_metadata"}]):
            answer = await posted(client, {**THUMB, "steps": steps}, file(photo), Authorization="ann")
            assert told(answer) == (403, "forbidden")
        wide = {**THUMB, "params": {"width": 2001}}
        assert faults(await posted(client, wide, file(photo), Authorization="ann")) == {"/params/width": "out_of_range"}


@pytest.mark.parametrize("ad_hoc", ["admin", "all"])
async def test_gate_without_access_control_lets_nobody_send_steps(make_gate: MakeGate, ad_hoc: str) -> None:
    with pytest.raises(ConfigError, match="needs access control"):
        await pipeline_gate(make_gate, ad_hoc=ad_hoc, settings={"worker": False}).open()


@pytest.mark.parametrize(
    ("sources", "options", "words"),
    [
        ({"avatar": Source()}, {}, "there is no source whose files are private"),
        ({"avatar": Source(), "work": WORK}, {"source": "avatar"}, "'avatar' is not a source whose files are private"),
        ({"a": WORK, "b": WORK}, {}, "name the source whose limits apply"),
        ({"work": WORK}, {"ad_hoc": "everybody"}, "ad_hoc is 'everybody'"),
    ],
)
async def test_gate_does_not_open_with_wrong_options(
    make_gate: MakeGate, sources: dict[str, Source], options: dict[str, Any], words: str
) -> None:
    gate = make_gate(sources=sources, worker=False)
    gate.register(pipelines, **options)
    with pytest.raises(ConfigError, match=words):
        await gate.open()


async def test_dry_run_tells_steps_and_cost_and_makes_no_job(make_gate: MakeGate, photo: bytes) -> None:
    gate = pipeline_gate(make_gate, known=True, settings={"worker": False})
    async with client_of(gate) as client:
        answer = await posted(client, THUMB, file(photo), query="?dryRun=1", Authorization="ann")
        assert answer.status_code == 200
        body = answer.json()
        assert (body["valid"], body["preset"], body["outputs"]) == (True, "thumb", ["thumb"])
        assert body["presetVersion"] == PRESETS["thumb"].version
        assert body["steps"][0] == {"op": "resize", "width": 50, "height": 50, "fit": "cover"}
        (cost,) = body["costs"]
        assert (cost["width"], cost["height"]) == Image.open(io.BytesIO(photo)).size
        assert cost["cpuMs"] == pytest.approx(sum(step["cpuMs"] for step in cost["steps"]), abs=0.1)
        assert await gate.parts.records.queue_depth() == 0
        wrong = await posted(client, {"steps": [{"op": "x"}]}, query="?dryRun=1", Authorization="ann")
        assert faults(wrong) == {"/steps/0/op": "unknown_operation"}
        without = await client.post("/pipelines?dryRun=1", json=THUMB, headers={"Authorization": "ann"})
        assert (without.json()["costs"][0]["width"], without.json()["costs"][0]["height"]) == (1000, 1000)
        unclear = await client.post("/pipelines?dryRun=yes", json=THUMB, headers={"Authorization": "ann"})
        assert told(unclear) == (400, "invalid_parameter")


async def test_dry_run_without_a_picture_accepts_steps_for_larger_ones_than_a_megapixel(make_gate: MakeGate) -> None:
    gate = pipeline_gate(make_gate, known=True, settings={"worker": False})
    async with client_of(gate) as client:
        crop = {"steps": [{"op": "crop", "x": 1200, "y": 0, "width": 99, "height": 99}]}
        answer = await client.post("/pipelines?dryRun=1", json=crop, headers={"Authorization": "ann"})
        assert (answer.json()["valid"], answer.json()["costs"]) == (True, [])


@pytest.mark.parametrize("hours", [49, 1e300])
async def test_longer_retention_is_cut_and_the_answers_say_so(make_gate: MakeGate, photo: bytes, hours: float) -> None:
    gate = pipeline_gate(make_gate, settings={"worker": False})
    async with client_of(gate) as client:
        asked, cut = {**THUMB, "retention": {"ttlHours": hours}}, {"ttlHours": 48, "clamped": True}
        assert (await posted(client, asked, file(photo), query="?dryRun=1")).json()["retention"] == cut
        answer = await posted(client, asked, file(photo))
        assert answer.json()["retention"] == cut
        assert (await client.get(f"/status/{answer.json()['jobId']}")).json()["retention"] == cut


async def test_dry_run_uses_no_idempotency_key(make_gate: MakeGate, photo: bytes) -> None:
    gate = pipeline_gate(make_gate, settings={"worker": False})
    async with client_of(gate) as client:
        key = {"Idempotency-Key": "k1"}
        assert (await posted(client, THUMB, file(photo), query="?dryRun=1", **key)).status_code == 200
        assert (await posted(client, TWO_ASKED, file(photo), **key)).status_code == 202


async def test_steps_that_cost_too_much_are_refused_before_the_work(make_gate: MakeGate, photo: bytes) -> None:
    gate = pipeline_gate(make_gate, known=True, settings={"worker": False, "image_timeout_s": 1.0})
    enlarge = {"op": "resize", "width": 6000, "height": 6000, "fit": "fill", "enlarge": True}
    async with client_of(gate) as client:
        asked = {"steps": [enlarge, *[{"op": "rotate", "degrees": 10, "expand": False}] * 10, {"op": "save"}]}
        answer = await posted(client, asked, file(photo), Authorization="ann")
        assert faults(answer) == {"/steps": "too_expensive"}


async def test_same_idempotency_key_returns_the_same_job(make_gate: MakeGate, photo: bytes) -> None:
    gate = pipeline_gate(make_gate, settings={"worker": False})
    async with client_of(gate) as client:
        key = {"Idempotency-Key": "k1"}
        first, again = [await posted(client, THUMB, file(photo), **key) for _ in range(2)]
        assert first.json()["jobId"] == again.json()["jobId"]
        other = await posted(client, TWO_ASKED, file(photo), **key)
        assert told(other) == (422, "idempotency_key_reused")
        assert await gate.parts.records.queue_depth() == 1


async def test_media_is_an_input_of_its_owner_only(make_gate: MakeGate, photo: bytes) -> None:
    gate = pipeline_gate(make_gate, known=True)
    async with client_of(gate) as client:
        job = await gate.upload(photo, source_type="avatar", source_id="u1", owner="ann")
        media = (await gate.wait(job.job_id, timeout_s=60)).media
        assert media is not None
        asked = {**THUMB, "mediaId": media.id}
        mine = await client.post("/pipelines", json=asked, headers={"Authorization": "ann"})
        status = await finished(gate, mine)
        assert (status["status"], len(status["outputs"])) == ("COMPLETE", 1)
        other = await client.post("/pipelines", json=asked, headers={"Authorization": "bob"})
        assert told(other) == (404, "media_not_found")
        unknown = await client.post("/pipelines", json={**THUMB, "mediaId": "med_x"}, headers={"Authorization": "ann"})
        assert told(unknown) == (404, "media_not_found")


async def test_picture_that_a_step_names_may_be_a_media_of_its_owner(make_gate: MakeGate, photo: bytes) -> None:
    gate = pipeline_gate(make_gate, known=True)
    red = io.BytesIO()
    Image.new("RGB", (20, 20), (255, 0, 0)).save(red, "PNG")
    mark = {"op": "watermark", "picture": "logo", "opacity": 100, "position": "top_left", "margin": 0, "size": 50}
    async with client_of(gate) as client:
        logo = await gate.upload(red.getvalue(), source_type="avatar", source_id="u1", owner="ann")
        media = (await gate.wait(logo.job_id, timeout_s=60)).media
        assert media is not None
        asked = {"steps": [mark, {"op": "save", "format": "png"}], "pictures": {"logo": media.id}}
        other = await posted(client, asked, file(photo), Authorization="bob")
        assert told(other) == (404, "media_not_found")
        status = await finished(gate, await posted(client, asked, file(photo), Authorization="ann"))
        assert [one["name"] for one in status["inputs"]] == ["input0", "logo"]
        got = await client.get(f"/jobs/{status['jobId']}/download", headers={"Authorization": "ann"})
        pixel = Image.open(io.BytesIO(got.content)).convert("RGB").getpixel((5, 5))
        assert isinstance(pixel, tuple) and pixel[0] > 240 and pixel[1] < 15


async def test_direct_uploads_are_inputs_of_their_owner_only(make_gate: MakeGate, photo: bytes) -> None:
    gate = pipeline_gate(make_gate, known=True)
    ann = {"Authorization": "ann"}
    async with client_of(gate) as client:
        declared = {"sourceType": "avatar", "sourceId": "u1", "size": len(photo), "filename": "d.jpg"}
        target = (await client.post("/uploads", json=declared, headers=ann)).json()
        asked = {**THUMB, "uploadIds": [target["uploadId"]]}
        early = await client.post("/pipelines", json=asked, headers=ann)
        assert told(early) == (409, "upload_not_received")
        assert (await sent(client, target, photo)).status_code == 204
        status = await finished(gate, await client.post("/pipelines", json=asked, headers=ann))
        assert (status["status"], status["inputs"][0]["filename"]) == ("COMPLETE", "d.jpg")
        assert told(await client.post("/pipelines", json=asked, headers={"Authorization": "bob"}))[0] == 404


async def test_request_without_a_picture_is_refused(make_gate: MakeGate) -> None:
    gate = pipeline_gate(make_gate, settings={"worker": False})
    async with client_of(gate) as client:
        assert told(await client.post("/pipelines", json=THUMB)) == (400, "bad_upload")
        assert told(await posted(client, THUMB)) == (400, "bad_upload")
        assert told(await client.post("/pipelines", content=b"x")) == (400, "bad_upload")


@pytest.mark.parametrize(
    ("field", "name", "content", "refusal"),
    [
        ("file", "a.jpg", b"", (400, "bad_upload")),
        ("file", "a.jpg", b"not a picture" * 20, (415, "unsupported_type")),
        ("../logo", "a.jpg", b"\xff\xd8\xff" * 50, (400, "bad_upload")),
        ("Logo Ä", "a.jpg", b"\xff\xd8\xff" * 50, (400, "bad_upload")),
    ],
)
async def test_file_that_is_no_input_is_refused(
    make_gate: MakeGate, field: str, name: str, content: bytes, refusal: tuple[int, str]
) -> None:
    gate = pipeline_gate(make_gate, settings={"worker": False})
    async with client_of(gate) as client:
        assert told(await posted(client, THUMB, (field, (name, content)))) == refusal
        assert list(gate.runtime.spool_dir.iterdir()) == []


async def test_file_beyond_the_limit_of_its_source_is_refused(make_gate: MakeGate, photo: bytes) -> None:
    gate = pipeline_gate(make_gate, settings={"worker": False})
    async with client_of(gate) as client:
        answer = await posted(client, THUMB, file(photo), file(photo + bytes(WORK.max_bytes), "b.jpg", "files[]"))
        assert told(answer) == (413, "upload_too_large")


async def test_pipelines_are_admitted_like_uploads(make_gate: MakeGate, photo: bytes) -> None:
    gate = pipeline_gate(make_gate, settings={"worker": False, "max_queue": 1})
    hooks = RecordedHooks(gate)
    async with client_of(gate) as client:
        first = await posted(client, THUMB, file(photo))
        assert first.headers["X-Left"] == "7"
        assert hooks.names == ["pre_receive", "pre_file", "on_received"]
        assert hooks.calls[-1][-1] == first.json()["jobId"]
        assert told(await posted(client, THUMB, file(photo))) == (503, "queue_full")
    refused = pipeline_gate(make_gate, settings={"worker": False})
    hooks = RecordedHooks(refused)
    async with client_of(refused) as client:
        with hooks.refusing("pre_file", RateLimited("not now", retry_after_s=5)):
            answer = await posted(client, THUMB, file(photo))
        assert (told(answer), answer.headers["Retry-After"]) == ((429, "rate_limited"), "5")


async def test_unknown_fields_are_listed_or_refused(make_gate: MakeGate, photo: bytes) -> None:
    gate = pipeline_gate(make_gate, settings={"worker": False})
    async with client_of(gate) as client:
        answer = await posted(client, {**THUMB, "zzz": 1}, file(photo), ("xyz", (None, b"1")))
        assert answer.json()["ignored"] == ["xyz", "zzz"]
    strict = pipeline_gate(make_gate, settings={"worker": False, "strict": True})
    async with client_of(strict) as client:
        assert faults(await posted(client, {**THUMB, "zzz": 1}, file(photo))) == {"/zzz": "unknown_field"}


async def test_cancelled_pipeline_has_no_outputs(make_gate: MakeGate, photo: bytes) -> None:
    gate = pipeline_gate(make_gate, settings={"worker": False})
    async with client_of(gate) as client:
        job_id = (await posted(client, THUMB, file(photo))).json()["jobId"]
        cancelled = await client.post(f"/jobs/{job_id}/cancel")
        assert (cancelled.status_code, cancelled.json()["status"]) == (200, "CANCELLED")
        assert told(await client.get(f"/jobs/{job_id}/download")) == (409, "job_conflict")


async def test_operations_are_listed_with_schemas_limits_and_presets(make_gate: MakeGate) -> None:
    gate = pipeline_gate(make_gate, settings={"worker": False})
    async with client_of(gate) as client:
        answer = await client.get("/pipelines/operations")
        assert answer.status_code == 200
        body = answer.json()
        by_name = {operation["op"]: operation for operation in body["operations"]}
        for operation in by_name.values():
            Draft202012Validator.check_schema(operation["schema"])
        assert by_name["resize"]["costPerMegapixel"]["cpuMs"] > 0
        assert by_name["deskew"]["needs"]["install"] == 'pip install "mediagate[pipelines]"'
        assert body["limits"]["files"] == 10
        assert body["limits"]["ttlHours"] == 48
        assert [preset["name"] for preset in body["presets"]] == ["thumb", "two"]
        assert body["presets"][0]["params"]["properties"]["width"]["maximum"] == 2000
        assert body["adHoc"] is False


async def test_concurrent_requests_do_not_mix(make_gate: MakeGate, photo: bytes) -> None:
    gate = pipeline_gate(make_gate)
    async with client_of(gate) as client:
        answers = await asyncio.gather(
            *(posted(client, {**THUMB, "params": {"width": 20 + n}}, file(photo, f"{n}.jpg")) for n in range(4))
        )
        for number, answer in enumerate(answers):
            status = await finished(gate, answer)
            assert status["status"] == JobStatus.COMPLETE
            assert status["outputs"][0]["width"] == 20 + number


async def test_preset_is_checked_again_when_operations_change(make_gate: MakeGate) -> None:
    gate = make_gate(sources={"work": WORK}, worker=False)
    gate.register(pipelines, presets={"two": TWO, "gone": Preset(steps=[{"op": "unplugged"}])})
    with pytest.raises(ConfigError, match="there is no operation 'unplugged'"):
        await gate.open()


async def test_doctor_names_the_extras_of_operations(make_gate: MakeGate, monkeypatch: pytest.MonkeyPatch) -> None:
    async def line() -> str:
        (found,) = [each.text async for each in examine(pipeline_gate(make_gate)) if each.part == "operations"]
        return found

    everything = await line()
    assert everything.startswith(f"{len(STANDARD)}; extras: ") and "enhance" in everything
    assert everything.endswith("; not installed: none")
    monkeypatch.setattr(Extra, "available", property(lambda extra: extra.name == "pipelines"))
    lacking = await line()
    assert "; extras: pipelines; " in lacking and 'pip install "mediagate[enhance]"' in lacking
