"""Webhooks about pipelines: their outputs, and the file that stands for the result."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from mediagate import STORAGE, MediaGate, Settings
from mediagate.storage import MemoryStorage
from mediagate_plugins.webhooks import Endpoint, webhooks
from mediagate_plugins.webhooks.schema import event_schema
from tests.support.forked import SHARED
from tests.support.pipelines import BRANCHES, SMALL, WORK, runs_pipelines
from tests.support.receiver import receiving

pytestmark = pytest.mark.anyio

BASE = "https://app.example.com/image-pipeline"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


async def test_completed_pipeline_tells_the_file_of_its_only_output(tmp_path: Path, photo: bytes) -> None:
    gate = MediaGate(
        sources={"work": WORK},
        settings=Settings(data_dir=tmp_path, public_base_url=BASE, image_processes=1),
        moderation="off",
        credits={"resize": 3},
    )
    gate.fork_server = SHARED
    gate.decorate(STORAGE, MemoryStorage())
    runs_pipelines(gate)
    with receiving() as receiver:
        endpoint = Endpoint(receiver.url, [SECRET], insecure_http=True, private_networks=["127.0.0.0/8"])
        gate.register(webhooks, endpoints={"app": endpoint})
        told: list[Any] = []
        async with gate:
            for steps, owner in ((SMALL, "ann"), (BRANCHES, None)):
                job = await gate.pipeline(photo, steps=steps, source="work", owner=owner)
                await gate.wait(job.job_id, timeout_s=60)
                received = await asyncio.to_thread(receiver.wait_for, len(told) + 1)
                body = json.loads(received[-1].body)
                jsonschema.Draft202012Validator(event_schema()).validate(body)
                told.append(body["data"])
    one, two = told
    (output,) = one["outputs"]
    assert one["result"] == {name: output[name] for name in ("name", "url", "mimeType", "bytes", "width", "height")}
    assert one["result"]["url"].startswith(f"{BASE}/outputs/work/pipeline/")
    assert (one["owner"], one["credits"]) == ("ann", {"amount": 3, "charged": True})
    assert (two["owner"], two["result"], len(two["outputs"])) == (None, None, 2)
