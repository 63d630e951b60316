"""Unknown fields and parameters: listed as ignored, refused as misspellings, or all refused by a strict gate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from mediagate import MediaGate
from tests.support.mounted import client_of

pytestmark = pytest.mark.anyio

MakeGate = Callable[..., MediaGate]
FORM = {"sourceType": "avatar", "sourceId": "u1"}
LISTS = ["/media?sourceType=avatar", "/jobs?", "/usage?"]
SLIPS = {
    "/media?source_type=avatar": "sourceType",
    "/media?sourceType=avatar&ofset=20": "offset",
    "/media?sourceType=avatar&page=2": "cursor",
    "/jobs?limt=5": "limit",
    "/jobs?perPage=5": "limit",
    "/jobs?Status=FAILED": "status",
    "/usage?form=2026-01-01": "from",
    "/status/{job}?wiat=5": "wait",
    "/status/{job}?HTTP=200": "http",
}


def refused(answer: httpx.Response, meant: str) -> bool:
    body = answer.json()
    return (answer.status_code, body["code"]) == (400, "invalid_parameter") and body["detail"].endswith(
        f"did you mean {meant}?"
    )


async def test_unknown_names_are_listed_as_ignored_in_the_answer(make_gate: MakeGate, photo: bytes) -> None:
    async with client_of(make_gate(worker=False)) as client:
        more = {"colour": "red", "_method": "put", "naïve": "1"}
        sent = await client.post("/upload", data=FORM | more, files={"file": ("a", photo), "thumb": ("b", b"x")})
        assert sent.status_code == 202
        assert sent.json()["ignored"] == ["colour", "_method", "naïve", "thumb"]
        declared = await client.post("/uploads", json=FORM | {"size": 9, "colour": 1, "x" * 500: 2})
        assert (declared.status_code, declared.json()["ignored"]) == (201, ["colour", "x" * 80])
        odd = await client.post("/uploads", content=b'{"sourceType":"avatar","sourceId":"u","size":9,"\\ud800":1}',
                                headers={"Content-Type": "application/json"})  # fmt: skip
        assert (odd.status_code, odd.json()["ignored"]) == (201, ["?"])
        for path in (*LISTS, f"/status/{sent.json()['jobId']}?"):
            assert (await client.get(f"{path}&_=17&t=1&_=18")).json()["ignored"] == ["_", "t"]


async def test_answer_without_unknown_names_lists_none_as_ignored(make_gate: MakeGate, photo: bytes) -> None:
    async with client_of(make_gate(worker=False)) as client:
        sent = await client.post("/upload", data=FORM | {"focalX": "0.1"}, files={"file": ("a", photo)})
        answers: list[Any] = [sent.json(), (await client.post("/uploads", json=FORM | {"size": 9})).json()]
        answers += [(await client.get(path)).json() for path in LISTS]
        assert all("ignored" not in answer for answer in answers)


async def test_misspelled_name_is_refused_with_the_right_one(make_gate: MakeGate, photo: bytes) -> None:
    gate = make_gate(worker=False)
    async with client_of(gate) as client:
        job = (await gate.upload(photo, source_type="avatar", source_id="u1")).job_id
        for path, meant in SLIPS.items():
            assert refused(await client.get(path.format(job=job)), meant), path
        for name, meant in (
            ("callback_url", "callbackUrl"),
            ("FocalX", "focalX"),
            ("client-reference-id", "clientReferenceId"),
        ):
            sent = await client.post("/upload", data=FORM | {name: "x"}, files={"file": ("a", photo)})
            assert refused(sent, meant), name
            assert refused(await client.post("/uploads", json=FORM | {"size": 9, name: "x"}), meant), name
        short = await client.post(
            "/upload", data={"source_type": "avatar", "sourceId": "u"}, files={"file": ("a", photo)}
        )
        assert refused(short, "sourceType")
        assert (await gate.list_jobs()).items[1:] == ()


async def test_misspelled_name_beside_the_right_one_is_ignored(make_gate: MakeGate, photo: bytes) -> None:
    async with client_of(make_gate(worker=False)) as client:
        both = FORM | {"source_id": "u1"}
        sent = await client.post("/upload", data=both, files={"file": ("a", photo)})
        assert (sent.status_code, sent.json()["ignored"]) == (202, ["source_id"])


async def test_strict_gate_refuses_every_unknown_name(make_gate: MakeGate, photo: bytes) -> None:
    async with client_of(make_gate(worker=False, strict=True)) as client:
        sent = await client.post("/upload", data=FORM | {"colour": "red"}, files={"file": ("a", photo)})
        declared = await client.post("/uploads", json=FORM | {"size": 9, "colour": "red"})
        asked = [await client.get(f"{path}&colour=red") for path in (*LISTS, "/status/job_x?", "/media/med_x?")]
        for answer in (sent, declared, *asked):
            assert (answer.status_code, answer.json()["code"]) == (400, "invalid_parameter")
            assert answer.json()["detail"].startswith("colour: ")
        assert (await client.post("/upload", data=FORM, files={"file": ("a", photo)})).status_code == 202


async def test_ignored_list_ends_after_64_names(make_gate: MakeGate) -> None:
    async with client_of(make_gate(worker=False)) as client:
        query = "&".join(f"n{number}" for number in range(10_000))
        named = (await client.get(f"/jobs?{query}")).json()["ignored"]
        assert named == [f"n{number}" for number in range(64)]
