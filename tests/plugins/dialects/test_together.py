"""Several dialects and the native API over one gate: each caller sees its own jobs in each of them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Host, Mount

from mediagate import MediaGate
from mediagate_plugins.api_keys import API_KEYS, api_keys
from mediagate_plugins.dialects.pictory import pictory, pictory_app, uuid_of
from mediagate_plugins.dialects.productai import productai, productai_app
from mediagate_plugins.pipelines import pipelines
from tests.support.pipeline_site import PRESETS, WORK

MakeGate = Callable[..., MediaGate]
MOUNT, HOST = "http://app.test/image-pipeline", "http://api.test"
PICTORY, PRODUCTAI = "pictoryapis/v1/jobs", "v1/jobs"


@asynccontextmanager
async def served(gate: MediaGate, *hosts: Host) -> AsyncIterator[httpx.AsyncClient]:
    app = Starlette(routes=[*hosts, Mount("/image-pipeline", gate)], lifespan=gate.lifespan)
    transport = httpx.ASGITransport(app)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, timeout=60) as client:
        yield client


@pytest.mark.anyio
@pytest.mark.parametrize("hosted", ["pictory", "productai"])
async def test_callers_see_their_own_jobs_in_every_dialect(make_gate: MakeGate, photo: bytes, hosted: str) -> None:
    gate = make_gate(sources={"work": WORK}, memory=False, migrate=True)
    gate.register(api_keys)
    gate.register(pipelines, presets=PRESETS)
    if hosted == "pictory":
        gate.register(productai)
        host, of_pictory, of_productai = Host("api.test", pictory_app(gate)), HOST, f"{MOUNT}/productai"
    else:
        gate.register(pictory)
        host, of_pictory, of_productai = Host("api.test", productai_app(gate)), f"{MOUNT}/pictory", HOST
    async with served(gate, host) as client:
        keys = {owner: (await gate[API_KEYS].create(owner=owner)).text for owner in ("ann", "bob", "eve")}
        bearer = {owner: {"Authorization": f"Bearer {key}"} for owner, key in keys.items()}
        form: Any = [("file", ("a.jpg", photo)), ("request", (None, json.dumps({"model": "two"})))]
        made = await client.post(f"{of_productai}/v1/generate", files=form, headers=bearer["ann"])
        assert made.headers["Location"].startswith(f"{of_productai}/v1/jobs/")
        form[1] = ("request", (None, json.dumps({"preset": "thumb"})))
        native = await client.post(f"{MOUNT}/pipelines", files=form, headers=bearer["bob"])
        jobs = {"ann": made.json()["job_id"], "bob": native.json()["jobId"]}
        for job_id in jobs.values():
            await gate.wait(job_id, timeout_s=60)
        for caller, key in keys.items():
            listed = (await client.get(f"{of_productai}/{PRODUCTAI}", headers=bearer[caller])).json()
            assert [row["job_id"] for row in listed["jobs"]] == [id for owner, id in jobs.items() if owner == caller]
            for owner, job_id in jobs.items():
                answers = [
                    await client.get(f"{MOUNT}/status/{job_id}", headers=bearer[caller]),
                    await client.get(f"{of_productai}/{PRODUCTAI}/{job_id}", headers=bearer[caller]),
                    await client.get(f"{of_pictory}/{PICTORY}/{uuid_of(job_id)}", headers={"Authorization": key}),
                ]
                codes = {answer.status_code for answer in answers}
                assert codes == {200 if owner == caller else 404}, (caller, owner)
                bodies = [answer.json() for answer in answers]
                if owner == caller:
                    words = bodies[0]["status"], bodies[1]["status"], bodies[2]["data"]["status"]
                    assert words == ("COMPLETE", "completed", "completed")
                    urls = [bodies[1]["images"][0]["url"], bodies[2]["data"]["url"]]
                    for url in urls:
                        assert (await client.get(url)).status_code == 200, url
                else:
                    codes_of = bodies[0]["code"], bodies[1]["error"]["code"], bodies[2]["data"]["error_code"]
                    assert codes_of == ("job_not_found",) * 3
        for url, member in (
            (f"{MOUNT}/status/x", "code"), (f"{of_productai}/v1/x", "error"), (f"{of_pictory}/pictoryapis/x", "data"),
        ):  # fmt: skip
            answer = await client.get(url)
            assert answer.status_code in (401, 404)
            assert member in answer.json()


PROGRAM = """
import asyncio, sys
from datetime import timedelta
from mediagate import MediaGate, Settings, Source
from mediagate_plugins.pipelines import pipelines

async def main():
    settings = Settings(data_dir=sys.argv[1], image_processes=1)
    source = Source(visibility="private", ttl=timedelta(hours=1))
    gate = MediaGate(sources={"work": source}, settings=settings, moderation="off")
    gate.register(pipelines)
    async with gate:
        pass

asyncio.run(main())
print(*sorted(name for name in sys.modules if name.startswith("mediagate_plugins.")))
"""


def test_gates_without_dialects_load_none(tmp_path: Any) -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM, tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    loaded = done.stdout.split()
    assert "mediagate_plugins.pipelines.acceptance" in loaded
    assert not [name for name in loaded if name.startswith("mediagate_plugins.dialects")]
