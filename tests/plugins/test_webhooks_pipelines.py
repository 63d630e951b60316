"""Webhooks about pipelines: their outputs."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import jsonschema
import pytest

from mediagate import STORAGE, MediaGate, Settings
from mediagate.storage import MemoryStorage
from mediagate_plugins.webhooks import Endpoint, webhooks
from mediagate_plugins.webhooks.schema import event_schema
from tests.support.pipelines import BRANCHES, WORK, runs_pipelines
from tests.support.receiver import receiving

pytestmark = pytest.mark.anyio

BASE = "https://app.example.com/image-pipeline"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


async def test_completed_pipeline_tells_its_outputs(tmp_path: Path, photo: bytes) -> None:
    gate = MediaGate(
        sources={"work": WORK},
        settings=Settings(data_dir=tmp_path, public_base_url=BASE, image_processes=1),
        moderation="off",
    )
    gate.decorate(STORAGE, MemoryStorage())
    runs_pipelines(gate)
    with receiving() as receiver:
        endpoint = Endpoint(receiver.url, [SECRET], insecure_http=True, private_networks=["127.0.0.0/8"])
        gate.register(webhooks, endpoints={"app": endpoint})
        async with gate:
            job = await gate.pipeline(photo, steps=BRANCHES, source="work", client_reference_id="mine")
            await gate.wait(job.job_id, timeout_s=60)
            (received,) = await asyncio.to_thread(receiver.wait_for, 1)
    event = json.loads(received.body)
    jsonschema.Draft202012Validator(event_schema()).validate(event)
    told = event["data"]
    assert (event["type"], told["jobId"], told["kind"]) == ("job.completed", job.job_id, "pipeline")
    assert told["clientReferenceId"] == "mine"
    assert [output["url"].startswith(f"{BASE}/outputs/work/pipeline/") for output in told["outputs"]] == [True, True]
    assert all(output["bytes"] > 0 and output["mimeType"].startswith("image/") for output in told["outputs"])
