"""Credits: each job has a price, and the complete ones are charged."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from starlette.requests import Request

from mediagate import AUTHORIZE, Action, JobStatus, MediaGate, Principal, Settings, Source, Status
from mediagate.errors import ConfigError, ProcessingRefused
from mediagate.values import utcnow
from tests.support.mounted import client_of
from tests.support.pipeline_site import file_of, pipeline_gate, posted
from tests.support.pipelines import BRANCHES, SMALL, WORK, runs_pipelines

pytestmark = pytest.mark.anyio

MakeGate = Callable[..., MediaGate]
SOURCES = {"avatar": Source(), "work": WORK}
ONE = {"upload": 2}
PRICES = {"upload": 2, "resize": 5, "save": 1}


def priced(gate: MediaGate, prices: dict[str, int] = PRICES) -> MediaGate:
    gate.credits = prices
    return gate


async def used(gate: MediaGate, **options: Any) -> int:
    today = utcnow().date()
    return (await gate.usage(first=today, last=today, **options)).total.credits


def credits_of(status: Status) -> Any:
    return status.to_json(poll_after_ms=0)["credits"]


@pytest.mark.parametrize("memory", [True, False], ids=["memory", "sqlite"])
async def test_complete_job_is_charged_and_the_sum_is_in_usage(make_gate: MakeGate, photo: bytes, memory: bool) -> None:
    gate = priced(runs_pipelines(make_gate(sources=SOURCES, memory=memory)))
    async with gate:
        upload = await gate.upload(photo, source_type="avatar", source_id="u", owner="ann")
        assert credits_of(upload) == {"amount": 2, "charged": False}
        assert credits_of(await gate.wait(upload.job_id)) == {"amount": 2, "charged": True}
        steps = await gate.pipeline(photo, steps=BRANCHES, source="work", owner="bob")
        assert credits_of(await gate.wait(steps.job_id)) == {"amount": 12, "charged": True}
        assert [await used(gate), await used(gate, owner="ann"), await used(gate, owner="bob")] == [14, 2, 12]


async def test_pipeline_costs_its_steps_for_each_picture_on_which_they_run(make_gate: MakeGate, photo: bytes) -> None:
    gate = priced(runs_pipelines(make_gate(sources=SOURCES, worker=False)), {"resize": 5, "watermark": 7})
    mark = [*SMALL, {"op": "watermark", "picture": "logo"}]
    async with gate:
        one = await gate.pipeline(photo, steps=SMALL, source="work")
        three = await gate.pipeline([photo] * 3, steps=SMALL, source="work")
        marked = await gate.pipeline({"a": photo, "b": photo, "logo": photo}, steps=mark, source="work")
        assert [status.job.credits for status in (one, three, marked)] == [5, 15, 24]


async def test_job_of_a_batch_costs_what_it_costs_alone(make_gate: MakeGate, photo: bytes) -> None:
    gate = priced(pipeline_gate(make_gate))
    jobs = [{"preset": "thumb", "files": ["a"]}, {"preset": "thumb", "files": ["a", "b"]}]
    parts: list[Any] = [file_of(photo, field="a"), file_of(photo, field="b")]
    sent = [*parts, ("request", (None, json.dumps({"jobs": jobs})))]
    async with client_of(gate) as client:
        tried = await client.post("/batches?dryRun=1", files=sent)
        assert [job["credits"] for job in tried.json()["jobs"]] == [6, 12]
        accepted = await client.post("/batches", files=sent)
        ended = [await gate.wait(job["jobId"], timeout_s=60) for job in accepted.json()["jobs"]]
        assert [credits_of(status) for status in ended] == [{"amount": n, "charged": True} for n in (6, 12)]
        assert await used(gate) == 18


async def test_rejected_failed_and_cancelled_jobs_cost_nothing(make_gate: MakeGate, photo: bytes) -> None:
    gate = priced(make_gate(max_attempts=1), ONE)

    async def judge(job: Any, verdict: object) -> None:
        if job.source_id == "rejected":
            raise ProcessingRefused("no")
        if job.source_id == "failed":
            raise RuntimeError("broken")

    gate.add_hook("pre_verdict", judge)
    async with gate:
        for end in ("rejected", "failed"):
            job = await gate.upload(photo, source_type="avatar", source_id=end)
            status = await gate.wait(job.job_id, timeout_s=60)
            assert status.status is JobStatus[end.upper()]
            assert credits_of(status) == {"amount": 2, "charged": False}
        assert await used(gate) == 0
    idle = priced(make_gate(worker=False), ONE)
    async with idle:
        job = await idle.upload(photo, source_type="avatar", source_id="cancelled")
        assert credits_of(await idle.cancel(job.job_id)) == {"amount": 2, "charged": False}
        assert await used(idle) == 0


async def test_price_is_that_of_the_time_of_the_upload(make_gate: MakeGate, photo: bytes) -> None:
    gate = priced(make_gate(memory=False), ONE)
    async with gate:
        job = await gate.upload(photo, source_type="avatar", source_id="u")
        await gate.wait(job.job_id, timeout_s=60)
    priced(gate, {"upload": 9})
    async with gate:
        again = await gate.upload(photo, source_type="avatar", source_id="u")
        await gate.wait(again.job_id, timeout_s=60)
        assert [(await gate.get_status(one.job_id)).job.credits for one in (job, again)] == [2, 9]
        assert await used(gate) == 11


async def test_dry_run_says_the_price_and_operations_list_theirs(make_gate: MakeGate, photo: bytes) -> None:
    gate = priced(pipeline_gate(make_gate, settings={"worker": False}))
    async with client_of(gate) as client:
        tried = [
            await posted(client, {"preset": "thumb"}, *[file_of(photo)] * number, query="?dryRun=1")
            for number in (0, 1, 3)
        ]
        assert [answer.json()["credits"] for answer in tried] == [6, 6, 18]
        listed = (await client.get("/pipelines/operations")).json()["operations"]
        assert {op["op"]: op["credits"] for op in listed if op["credits"]} == {"resize": 5, "save": 1}
        assert await gate.parts.records.queue_depth() == 0
        assert await used(gate) == 0


async def test_usage_route_sums_the_credits_of_days_and_keys(make_gate: MakeGate, photo: bytes) -> None:
    async def authorize(request: Request, action: Action) -> Principal:
        return Principal("ann", key="key-1")

    gate = priced(make_gate(), ONE)
    gate.decorate(AUTHORIZE, authorize)
    async with client_of(gate) as client:
        form = {"sourceType": "avatar", "sourceId": "u"}
        sent = await client.post("/upload", data=form, files={"file": ("a.jpg", photo)})
        status = (await client.get(f"/status/{sent.json()['jobId']}?wait=60")).json()
        assert status["credits"] == {"amount": 2, "charged": True}
        usage = (await client.get("/usage")).json()
    assert [usage["total"]["credits"], usage["days"][0]["credits"], usage["keys"][0]["credits"]] == [2, 2, 2]


@pytest.mark.parametrize(
    ("prices", "problem"),
    [
        ({"uploads": 1}, "credits: 'uploads' has no price; use upload, "),
        ({"ocr2": 1}, "credits: 'ocr2' has no price; use upload, "),
        ({"upload": -1}, "credits: the price of 'upload' is -1; use an integer from 0 to 1,000,000"),
        ({"upload": 1_000_001}, "credits: the price of 'upload' is 1000001"),
        ({"upload": 0.5}, "credits: the price of 'upload' is 0.5"),
        ({"upload": True}, "credits: the price of 'upload' is True"),
    ],
)
async def test_wrong_prices_are_refused_at_boot(make_gate: MakeGate, prices: Any, problem: str) -> None:
    gate = priced(runs_pipelines(make_gate(sources=SOURCES)), prices)
    with pytest.raises(ConfigError) as refused:
        await gate.open()
    assert refused.value.detail.startswith(problem)


async def test_prices_of_operations_need_the_plugin(tmp_path: Any) -> None:
    gate = MediaGate(sources=SOURCES, settings=Settings(data_dir=tmp_path), moderation="off", credits={"resize": 1})
    with pytest.raises(ConfigError, match="use upload; operations need the plugin pipelines"):
        await gate.open()
