"""The dialect of Pictory: its bodies, its ids and its key."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Host, Mount

from mediagate import MediaGate
from mediagate.values import new_id
from mediagate_plugins.dialects.pictory import job_id_of, pictory, pictory_app, uuid_of
from tests.support.mounted import client_of
from tests.support.pipeline_site import pipeline_gate
from tests.support.pipelines import SMALL

pytestmark = pytest.mark.anyio

MakeGate = Callable[..., MediaGate]


async def test_job_is_shown_under_a_uuid(make_gate: MakeGate, photo: bytes) -> None:
    gate = pipeline_gate(make_gate)
    gate.register(pictory)
    async with client_of(gate) as client:
        job = await gate.pipeline(photo, steps=SMALL, source="work")
        await gate.wait(job.job_id, timeout_s=60)
        answer = await client.get(f"/pictory/pictoryapis/v1/jobs/{uuid_of(job.job_id)}")
        body = answer.json()
        assert (answer.status_code, body["success"], body["data"]["status"]) == (200, True, "completed")
        assert (body["data"]["width"], body["data"]["url"][:4]) == (40, "http")
        missing = await client.get(f"/pictory/pictoryapis/v1/jobs/{uuid_of(new_id('job'))}")
        assert (missing.status_code, missing.json()["data"]["error_code"]) == (404, "job_not_found")
        other = await client.get("/pictory/pictoryapis/v1/videos")
        assert (other.status_code, other.json()["data"]["error_code"]) == (404, "file_not_found")


async def test_host_of_its_own_serves_the_files_too(make_gate: MakeGate, photo: bytes) -> None:
    gate = pipeline_gate(make_gate)
    app: Any = Starlette(routes=[Host("api.test", pictory_app(gate)), Mount("/image-pipeline", gate)])
    async with gate, httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api.test") as client:
        job = await gate.pipeline(photo, steps=SMALL, source="work")
        await gate.wait(job.job_id, timeout_s=60)
        body = (await client.get(f"/pictoryapis/v1/jobs/{uuid_of(job.job_id)}")).json()
        file = await client.get(body["data"]["url"])
        assert (file.status_code, file.headers["content-type"]) == (200, "image/jpeg")


def test_ids_are_exact_both_ways() -> None:
    for job_id in (new_id("job") for _ in range(100)):
        assert job_id_of(uuid_of(job_id)) == job_id
