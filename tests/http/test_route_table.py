"""The route table: unknown paths, wrong methods, trailing slashes and the job status header."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from mediagate import MediaGate
from tests.support.direct import completed, declared, sent
from tests.support.mounted import client_of

pytestmark = pytest.mark.anyio

MakeGate = Callable[..., MediaGate]
FORM = {"sourceType": "avatar", "sourceId": "u1"}
UNKNOWN = ["/uplaod", "/v1/x", "/", "/status", "/uploads/upl_1/other", "/jobs/x/y/z", "/staging/job_1", "/mediagate.db"]
OTHERS = [
    ("GET", "/upload", "POST"),
    ("PUT", "/upload/", "POST"),
    ("DELETE", "/status/job_x", "GET, HEAD"),
    ("POST", "/media/med_x", "DELETE, GET, HEAD"),
    ("GET", "/uploads/upl_x/complete", "POST"),
    ("POST", "/healthz", "GET, HEAD"),
    ("DELETE", "/media/avatar/u1/med_x/xs.webp", "GET, HEAD"),
    ("PUT", "/originals/avatar/u1/med_x/original.jpg", "GET, HEAD"),
    ("DELETE", "/mine", "PATCH"),
]


def told(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


@pytest.fixture
def gate(make_gate: MakeGate) -> MediaGate:
    async def mine(request: Request) -> Response:
        return PlainTextResponse("mine")

    gate = make_gate(worker=False)
    gate.add_route("/mine", mine, methods=["PATCH"])
    gate.add_route("/with-slash/", mine, methods=["GET"])
    return gate


async def test_unknown_path_answers_404_to_every_method(gate: MediaGate) -> None:
    async with client_of(gate) as client:
        for path in UNKNOWN:
            for method in ("POST", "PUT", "PATCH", "DELETE"):
                answer = await client.request(method, path)
                assert told(answer) == (404, "not_found"), (method, path)
                assert "Allow" not in answer.headers
            assert (await client.get(path)).status_code == 404


async def test_unsupported_method_answers_405_with_allow_header(gate: MediaGate) -> None:
    async with client_of(gate) as client:
        for method, path, allowed in OTHERS:
            answer = await client.request(method, path)
            assert told(answer) == (405, "method_not_allowed"), (method, path)
            assert answer.headers["Allow"] == allowed, (method, path)


async def test_routes_ignore_one_trailing_slash(gate: MediaGate, photo: bytes) -> None:
    async with client_of(gate) as client:
        answer = await client.post("/upload/", data=FORM, files={"file": ("a.jpg", photo)})
        assert answer.status_code == 202
        job = answer.json()["jobId"]
        assert (await client.get(f"/status/{job}/")).json()["jobId"] == job
        assert (await client.get("/media/?sourceType=avatar")).json()["items"] == []
        assert (await client.get("/healthz/")).status_code == 200
        assert (await client.patch("/mine/")).text == "mine"
        assert (await client.get("/with-slash/")).text == "mine"
        assert told(await client.get("/status/job_x/")) == (404, "job_not_found")
        assert (await client.get("/healthz//")).status_code == 404


async def test_job_status_header_is_on_every_answer_about_a_job(make_gate: MakeGate, photo: bytes) -> None:
    async with client_of(make_gate()) as client:
        upload = await client.post("/upload", data=FORM, files={"file": ("a.jpg", photo)})
        assert upload.headers["Mediagate-Job-Status"] == "PENDING"
        target = (await declared(client, photo)).json()
        await sent(client, target, photo)
        assert (await completed(client, target)).headers["Mediagate-Job-Status"] == "PENDING"

        job = upload.json()["jobId"]
        done = await client.get(f"/status/{job}?wait=30")
        assert done.headers["Mediagate-Job-Status"] == "COMPLETE"
        stream = await client.get(f"/status/{job}", headers={"Accept": "text/event-stream"})
        assert stream.headers["Mediagate-Job-Status"] == "COMPLETE"
        await client.delete(f"/media/{done.json()['media']['id']}")
        gone = await client.get(f"/status/{job}")
        assert told(gone) == (410, "media_deleted")
        assert gone.headers["Mediagate-Job-Status"] == "COMPLETE"
        assert "Mediagate-Job-Status" not in (await client.get("/status/job_x")).headers
