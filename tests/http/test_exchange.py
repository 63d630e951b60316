"""Headers of every response of a gate."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from mediagate import MediaGate

pytestmark = pytest.mark.anyio


class WithoutHeaders(Response):
    """A response start without ``headers``, which ASGI allows."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 204})
        await send({"type": "http.response.body"})


async def test_responses_of_all_routes_carry_nosniff(make_gate: Callable[..., MediaGate], photo: bytes) -> None:
    async def of_a_plugin(request: Request) -> Response:
        return JSONResponse({"html": "<script>"})

    async def bare(request: Request) -> Response:
        return WithoutHeaders()

    gate = make_gate()
    gate.add_route("/of-a-plugin", of_a_plugin, methods=["GET"])
    gate.add_route("/bare", bare, methods=["GET"])
    form = {"sourceType": "avatar", "sourceId": "u1"}
    transport = httpx.ASGITransport(gate, raise_app_exceptions=False)
    async with gate, httpx.AsyncClient(transport=transport, base_url="http://gate") as client:
        sent = await client.post("/upload", data=form, files={"file": ("a.jpg", photo)})
        job = sent.json()["jobId"]
        done = await client.get(f"/status/{job}?wait=60")
        assert done.json()["status"] == "COMPLETE"
        media = done.json()["media"]
        answers = [
            sent,
            done,
            await client.get(f"/media/{media['id']}"),
            await client.get("/media?sourceType=avatar"),
            await client.get("/jobs"),
            await client.get("/usage"),
            await client.post("/uploads", json={**form, "contentType": "image/jpeg", "size": 9}),
            await client.get("/healthz"),
            await client.get("/readyz"),
            await client.get("/of-a-plugin"),
            await client.get("/bare"),
            await client.get("/no-such-route"),
            await client.get("/status/job_x"),
            await client.put("/upload"),
            await client.post("/upload", content=b"<script>", headers={"Content-Type": "text/html"}),
            await client.get(f"/status/{job}", headers={"Accept": "text/event-stream"}),
            await client.get(media["urls"]["xs"]),
        ]
        for answer in answers:
            assert answer.headers.get_list("X-Content-Type-Options") == ["nosniff"], answer.request.url
        gate.begin_closing()
        assert (await client.get("/readyz")).headers["X-Content-Type-Options"] == "nosniff"
