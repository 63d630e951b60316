"""Limits on direct uploads: hooks, upload places of the process, and the length of the queue."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest
from starlette.requests import Request

from mediagate import RECORDS, STORAGE, Job, MediaGate
from mediagate.errors import QueueFull, UploadRefused
from mediagate.records import MemoryRecords
from tests.support.bucket import Bucket
from tests.support.direct import completed, declared, sent
from tests.support.mounted import client_of

pytestmark = pytest.mark.anyio

MakeGate = Callable[..., MediaGate]


async def test_what_a_storage_took_counts_once_when_it_is_completed(make_gate: MakeGate, photo: bytes) -> None:
    seen: list[tuple[object, ...]] = []
    refuse: set[str] = set()

    async def pre_receive(request: Request, principal: object) -> None:
        seen.append(("pre_receive", request.url.path.rpartition("/")[2]))
        if "pre_receive" in refuse:
            raise UploadRefused("not now")
        request.state.answer_headers = {"X-Left": "7"}

    async def pre_file(request: Request, source_type: str) -> None:
        seen.append(("pre_file", source_type))
        if "pre_file" in refuse:
            raise UploadRefused("not here")

    async def on_received(request: Request, received: int, job: Job | None) -> None:
        seen.append(("on_received", received >= len(photo), job and job.id))

    gate, bucket = make_gate(memory=False, worker=False), Bucket()
    gate.decorate(RECORDS, MemoryRecords())
    gate.decorate(STORAGE, bucket)
    gate.add_hook("pre_receive", pre_receive)
    gate.add_hook("pre_file", pre_file)
    gate.add_hook("on_received", on_received)
    async with client_of(gate) as client, httpx.AsyncClient(transport=httpx.ASGITransport(bucket.app())) as browser:
        refuse.add("pre_receive")
        assert (await declared(client, photo)).json()["code"] == "upload_refused"
        refuse.clear()
        answer = await declared(client, photo)
        assert answer.headers["X-Left"] == "7"
        target = answer.json()
        assert seen == [("pre_receive", "uploads"), ("on_received", False, None)] * 2
        seen.clear()
        put = await browser.put(target["url"], content=photo, headers=target["headers"])
        assert put.status_code == 200
        assert seen == [], "the gate sees nothing of it"
        for name in ("pre_receive", "pre_file"):
            refuse.add(name)
            assert (await completed(client, target)).json()["code"] == "upload_refused"
            refuse.clear()
        seen.clear()
        job_id = (await completed(client, target)).json()["jobId"]
        assert seen == [("pre_receive", "complete"), ("pre_file", "avatar"), ("on_received", True, job_id)]
        seen.clear()
        assert (await completed(client, target)).json()["jobId"] == job_id
        assert seen == [("pre_receive", "complete"), ("on_received", False, None)]


async def test_direct_upload_answers_503_while_the_process_or_queue_is_full(make_gate: MakeGate, photo: bytes) -> None:
    gate = make_gate(worker=False, max_uploads=1, max_queue=2)
    async with client_of(gate) as client:
        one, other = (await declared(client, photo)).json(), (await declared(client, photo)).json()
        async with gate.runtime.intake.admission.slot(0):
            for answer in (
                await declared(client, photo),
                await sent(client, one, photo),
                await completed(client, one),
            ):
                assert (answer.status_code, answer.json()["code"]) == (503, "too_many_uploads")
                assert int(answer.headers["Retry-After"]) >= 1
        for target in (one, other):
            assert (await sent(client, target, photo)).status_code == 204
            assert (await completed(client, target)).status_code == 202
        answer = await declared(client, photo)
        assert (answer.status_code, answer.json()["code"]) == (503, "queue_full")
        with pytest.raises(QueueFull):
            await gate.complete_upload(one["uploadId"])
