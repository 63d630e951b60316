"""The content type of problems, negotiated by ``Accept``."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mediagate import MediaGate
from tests.support.mounted import client_of

pytestmark = pytest.mark.anyio

MakeGate = Callable[..., MediaGate]
PROBLEM, JSON = "application/problem+json", "application/json"


@pytest.mark.parametrize(
    ("accept", "sent"),
    [
        (JSON, JSON),
        ("Application/JSON; charset=utf-8", JSON),
        ("application/json, text/javascript;q=0.9", JSON),
        ("text/html, application/json;q=0.2", JSON),
        ("application/problem+json;q=0, */*", JSON),
        ("application/json, */*;q=0", JSON),
        ("*/*", PROBLEM),
        ("application/*", PROBLEM),
        ("application/json, text/plain, */*", PROBLEM),
        ("application/problem+json, application/json", PROBLEM),
        ("application/json;q=0, text/html", PROBLEM),
        ("text/html", PROBLEM),
        ("", PROBLEM),
        ("application/json;q=x", PROBLEM),
        (";;,,q=", PROBLEM),
    ],
)
async def test_problem_content_type_follows_the_accept_header(make_gate: MakeGate, accept: str, sent: str) -> None:
    async with client_of(make_gate(worker=False)) as client:
        for method, path in (("GET", "/status/job_x"), ("POST", "/upload"), ("POST", "/nothing")):
            answer = await client.request(method, path, headers={"Accept": accept})
            assert answer.headers["Content-Type"] == sent, path
            assert answer.json()["code"] in ("job_not_found", "bad_upload", "not_found")


async def test_file_content_type_ignores_the_accept_header(make_gate: MakeGate, photo: bytes) -> None:
    gate = make_gate()
    async with client_of(gate) as client:
        media = (await gate.wait((await gate.upload(photo, source_type="avatar", source_id="u")).job_id)).media
        assert media is not None
        served = await client.get(media.urls["xs"], headers={"Accept": JSON})
        assert served.headers["Content-Type"] == "image/webp"
