"""The dialect of Pictory: its bodies, its ids and its key."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Host, Mount

from mediagate import AUTHORIZE, MODERATOR, RECORDS, Action, JobStatus, MediaGate, Principal, Source
from mediagate.errors import ConfigError, RecordsUnavailable
from mediagate.records import MemoryRecords
from mediagate.values import new_id
from mediagate_plugins.api_keys import API_KEYS, api_keys
from mediagate_plugins.dialects.pictory import job_id_of, pictory, pictory_app, uuid_of
from tests.support.moderators import REJECTS, Scripted
from tests.support.mounted import client_of
from tests.support.pipeline_site import WORK, pipeline_gate
from tests.support.pipelines import BRANCHES, SMALL, a_png, end_next

pytestmark = pytest.mark.anyio

MakeGate = Callable[..., MediaGate]
JOBS = "/pictory/pictoryapis/v1/jobs"
UNKNOWN = uuid_of(new_id("job"))


def site(make_gate: MakeGate, **options: Any) -> MediaGate:
    gate = pipeline_gate(make_gate, **options)
    gate.register(pictory)
    return gate


def url_of(job_id: str) -> str:
    return f"{JOBS}/{uuid_of(job_id)}"


def refusal(answer: httpx.Response) -> tuple[int, str]:
    body = answer.json()
    assert body.keys() == {"success", "data"}
    assert body["success"] is False
    assert body["data"].keys() == {"error_code", "error_message"}
    assert isinstance(body["data"]["error_message"], str)
    return answer.status_code, body["data"]["error_code"]


async def test_job_in_progress_says_only_so(make_gate: MakeGate, photo: bytes) -> None:
    gate = site(make_gate, settings={"worker": False})
    async with client_of(gate) as client:
        job_id = (await gate.pipeline(photo, steps=SMALL, source="work")).job_id
        wanted = {"job_id": uuid_of(job_id), "success": True, "data": {"status": "in-progress"}}
        answer = await client.get(url_of(job_id))
        assert (answer.status_code, answer.json(), answer.headers["cache-control"]) == (200, wanted, "no-store")
        records = gate.parts.records
        now = await records.now()
        assert await records.claim(job_id, owner="w", now=now, lease_until=now)
        gate.runtime.watch.forget(job_id)
        assert (await gate.get_status(job_id)).status is JobStatus.PROCESSING
        assert (await client.get(url_of(job_id))).json() == wanted


async def test_completed_job_has_its_first_file(make_gate: MakeGate, photo: bytes) -> None:
    gate = site(make_gate)
    gate.credits = {"resize": 3}
    async with client_of(gate) as client:
        for steps, width, kind, price in ((SMALL, 40, "image/jpeg", 3), (BRANCHES, 64, "image/webp", 6)):
            job = await gate.pipeline(photo, steps=steps, source="work")
            await gate.wait(job.job_id, timeout_s=60)
            answer = await client.get(url_of(job.job_id))
            body = answer.json()
            assert (answer.status_code, body["success"], body["job_id"]) == (200, True, uuid_of(job.job_id))
            assert body["data"].keys() == {"status", "url", "width", "height", "aiCreditsUsed"}
            assert (body["data"]["status"], body["data"]["width"]) == ("completed", width)
            assert (type(body["data"]["height"]), body["data"]["aiCreditsUsed"]) == (int, price)
            file = await client.get(body["data"]["url"])
            assert (file.status_code, file.headers["content-type"]) == (200, kind)


async def test_completed_job_without_files_has_null_for_them(make_gate: MakeGate, photo: bytes) -> None:
    gate = site(make_gate)
    async with client_of(gate) as client:
        job = await gate.pipeline(photo, steps=[{"op": "read_metadata"}], source="work")
        await gate.wait(job.job_id, timeout_s=60)
        data = (await client.get(url_of(job.job_id))).json()["data"]
        assert data == {"status": "completed", "url": None, "width": None, "height": None, "aiCreditsUsed": 0}


async def test_uploads_are_shown_with_their_largest_variant(make_gate: MakeGate, photo: bytes) -> None:
    gate = site(make_gate)
    async with client_of(gate) as client:
        upload = await gate.upload(photo, source_type="avatar", source_id="u1")
        media = (await gate.wait(upload.job_id)).media
        assert media is not None
        assert media.largest is not None
        data = (await client.get(url_of(upload.job_id))).json()["data"]
        assert (data["width"], data["url"].endswith(media.largest.url)) == (media.largest.width, True)


async def test_rejected_failed_and_cancelled_jobs_are_failed_with_200(make_gate: MakeGate, photo: bytes) -> None:
    source = Source(**{**WORK.model_dump(), "reject": {"NUDE": 0.5}})
    gate = site(make_gate, sources={"work": source}, settings={"moderation": "on"})
    gate.decorate(MODERATOR, Scripted())
    async with client_of(gate) as client:
        crop = [{"op": "crop", "x": 500, "y": 0, "width": 30, "height": 20}]
        for picture, steps, code in (
            (a_png(REJECTS), SMALL, "moderation_rejected"),
            (photo, crop, "operation_failed"),
        ):
            job = await gate.pipeline(picture, steps=steps, source="work")
            await gate.wait(job.job_id, timeout_s=60)
            answer = await client.get(url_of(job.job_id))
            body = answer.json()
            assert (answer.status_code, body.keys()) == (200, {"job_id", "success", "data"})
            assert body["success"] is False
            assert body["data"].keys() == {"status", "error_code", "error_message"}
            assert (body["data"]["status"], body["data"]["error_code"]) == ("failed", code)


async def test_cancelled_job_is_failed_with_200(make_gate: MakeGate, photo: bytes) -> None:
    gate = site(make_gate, settings={"worker": False})
    async with client_of(gate) as client:
        job = await gate.pipeline(photo, steps=SMALL, source="work")
        await gate.cancel(job.job_id)
        told = {"status": "failed", "error_code": "cancelled", "error_message": "The job was cancelled."}
        answer = await client.get(url_of(job.job_id))
        assert (answer.status_code, answer.json()["success"], answer.json()["data"]) == (200, False, told)
        failed = await gate.pipeline(photo, steps=SMALL, source="work")
        await end_next(gate, JobStatus.FAILED)
        body = (await client.get(url_of(failed.job_id))).json()
        assert (body["success"], body["data"]["error_code"], body["data"]["error_message"]) == (
            *(False, "image_timeout", "no"),
        )


async def test_unknown_ids_and_what_is_no_uuid_are_not_found(make_gate: MakeGate, photo: bytes) -> None:
    gate = site(make_gate, settings={"worker": False})
    async with client_of(gate) as client:
        job = await gate.pipeline(photo, steps=SMALL, source="work")
        right = uuid_of(job.job_id)
        assert (await client.get(f"{JOBS}/{right.upper()}")).json()["job_id"] == right
        for bad in (
            *(
                UNKNOWN,
                job.job_id,
                right.replace("-", ""),
                f"{{{right}}}",
                f"urn:uuid:{right}",
                right[:-1],
                f"{right}0",
            ),
            *("x", "%00", "%F0%9F%98%80", "-", "0" * 5000, "%ED%A0%80", "%EF%BC%90" * 8 + right[8:]),
        ):
            assert refusal(await client.get(f"{JOBS}/{bad}")) == (404, "job_not_found"), bad
        assert refusal(await client.get(f"/pictory/pictoryapis/v1/jobs/{right}?wait=9")) == (400, "invalid_parameter")
        assert refusal(await client.get("/pictory/pictoryapis/v1/videos")) == (404, "file_not_found")
        assert refusal(await client.post(f"{JOBS}/{right}")) == (405, "method_not_allowed")


async def test_deleted_outputs_are_not_found(make_gate: MakeGate, photo: bytes) -> None:
    gate = site(make_gate)
    async with client_of(gate) as client:
        job = await gate.pipeline(photo, steps=SMALL, source="work")
        await gate.wait(job.job_id, timeout_s=60)
        await gate.delete_job(job.job_id)
        assert refusal(await client.get(url_of(job.job_id))) == (404, "media_deleted")


class DownRecords(MemoryRecords):
    """Records whose database does not answer once ``down`` is set."""

    down = False

    async def changed(self, known: Any) -> Any:
        if self.down:
            raise RecordsUnavailable("the database at 10.0.0.7 does not answer")
        return await super().changed(known)


async def test_unavailability_is_500_with_the_delay(make_gate: MakeGate, photo: bytes) -> None:
    gate, records = make_gate(sources={"work": WORK}, memory=False, worker=False), DownRecords()
    gate.decorate(RECORDS, records)
    gate.register(pictory)
    async with client_of(gate) as client:
        records.down = True
        answer = await client.get(f"{JOBS}/{UNKNOWN}")
        assert refusal(answer) == (500, "records_unavailable")
        assert int(answer.headers["Retry-After"]) > 0
        assert "10.0.0.7" not in answer.text


async def test_raw_keys_of_the_plugin_api_keys_open_it(make_gate: MakeGate, photo: bytes) -> None:
    gate = make_gate(sources={"avatar": Source()}, memory=False, migrate=True, worker=False)
    gate.register(api_keys)
    gate.register(pictory)
    async with client_of(gate) as client:
        ann, bob = [(await gate[API_KEYS].create(owner=owner)).text for owner in ("ann", "bob")]
        blind = (await gate[API_KEYS].create(owner="ann", scopes=[Action.UPLOAD])).text
        url = url_of((await gate.upload(photo, source_type="avatar", source_id="u1", owner="ann")).job_id)
        for headers in (
            *({"Authorization": ann}, {"Authorization": f"Bearer {ann}"}, {"Authorization": f"bearer  {ann}"}),
            *({"X-API-Key": ann}, {"Authorization": ann, "X-API-Key": ann}),
        ):
            assert (await client.get(url, headers=headers)).status_code == 200, headers
        assert refusal(await client.get(url, headers={"Authorization": bob})) == (404, "job_not_found")
        assert refusal(await client.get(url, headers={"Authorization": blind})) == (403, "forbidden")
        wrong: list[Any] = ["", "x", f"{ann}x", f"Basic {ann}", b"\xff\xfe", "Bearer", "Bearer "]
        for headers in ({}, *({"Authorization": one} for one in wrong)):
            assert refusal(await client.get(url, headers=headers)) == (401, "unauthorized"), headers
            assert refusal(await client.get(f"{JOBS}/x", headers=headers)) == (401, "unauthorized"), headers


async def test_keys_of_the_host_reach_its_own_authorize(make_gate: MakeGate, photo: bytes) -> None:
    keys = {"pictai_4f1c9a": "ann", "pictai_77aa01": "bob"}

    async def by_key(request: Request, action: Action) -> Principal | None:
        owner = keys.get(request.headers.get("Authorization", "").removeprefix("Bearer "))
        return Principal(owner) if owner else None

    gate = make_gate(sources={"avatar": Source()}, worker=False)
    gate.decorate(AUTHORIZE, by_key)
    gate.register(pictory)
    async with client_of(gate) as client:
        url = url_of((await gate.upload(photo, source_type="avatar", source_id="u1", owner="ann")).job_id)
        assert (await client.get(url, headers={"Authorization": "pictai_4f1c9a"})).status_code == 200
        assert refusal(await client.get(url, headers={"Authorization": "pictai_77aa01"})) == (404, "job_not_found")
        assert refusal(await client.get(url, headers={"Authorization": "pictai_"})) == (401, "unauthorized")


async def test_host_of_its_own_serves_the_files_too(make_gate: MakeGate, photo: bytes) -> None:
    gate = pipeline_gate(make_gate)
    app: Any = Starlette(routes=[Host("api.test", pictory_app(gate)), Mount("/image-pipeline", gate)])
    async with gate, httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api.test") as client:
        job = await gate.pipeline(photo, steps=SMALL, source="work")
        await gate.wait(job.job_id, timeout_s=60)
        body = (await client.get(f"/pictoryapis/v1/jobs/{uuid_of(job.job_id)}")).json()
        file = await client.get(body["data"]["url"])
        assert (file.status_code, file.headers["content-type"]) == (200, "image/jpeg")
        assert refusal(await client.get(f"/pictoryapis/v1/jobs/{UNKNOWN}")) == (404, "job_not_found")


async def test_path_is_checked(make_gate: MakeGate) -> None:
    gate = make_gate()
    gate.register(pictory, path="/")
    with pytest.raises(ConfigError, match="pictory: path is '/'"):
        async with gate:
            pass


def test_ids_are_exact_both_ways() -> None:
    for job_id in (new_id("job") for _ in range(100)):
        assert job_id_of(uuid_of(job_id)) == job_id
    assert uuid_of("job_jwbnaqcdsrbxdbt5okxb3vrlnu") == "4d82d040-4394-4371-867d-72ae1dd62b6d"
    for value in (uuid.UUID(int=0), uuid.UUID(int=2**128 - 1), uuid.uuid4()):
        assert uuid_of(job_id_of(str(value))) == str(value)


async def test_other_keys_of_a_request_are_seen_as_well(make_gate: MakeGate, photo: bytes) -> None:
    gate = make_gate(sources={"avatar": Source()}, memory=False, migrate=True)
    gate.register(api_keys)
    gate.register(pictory)
    async with client_of(gate) as client:
        ann, bob = [(await gate[API_KEYS].create(owner=owner)).text for owner in ("ann", "bob")]
        url = url_of((await gate.upload(photo, source_type="avatar", source_id="u1", owner="ann")).job_id)
        for several in ("X-API-Key", "Authorization"):
            answer = await client.get(url, headers=[("Authorization", ann), (several, bob)])
            assert refusal(answer) == (401, "unauthorized"), several
        for none in ("", " "):
            answer = await client.get(url, headers=[("Authorization", none), ("X-API-Key", ann)])
            assert answer.status_code == 200, answer.text
