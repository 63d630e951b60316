"""Limits on direct uploads: hooks, upload places of the process, and the length of the queue."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from mediagate import RECORDS, STORAGE, MediaGate
from mediagate.errors import QueueFull, UploadRefused
from mediagate.records import MemoryRecords
from tests.support.bucket import Bucket
from tests.support.direct import completed, declared, sent
from tests.support.hooks import RecordedHooks
from tests.support.mounted import client_of

pytestmark = pytest.mark.anyio

MakeGate = Callable[..., MediaGate]


@dataclass(frozen=True)
class Site:
    """A client of a gate whose files are in a bucket, a browser that reaches the bucket, and the gate's hooks."""

    client: httpx.AsyncClient
    browser: httpx.AsyncClient
    hooks: RecordedHooks

    async def in_bucket(self, photo: bytes) -> Any:
        """Declare a photo and put it into the bucket; return the target, with no calls recorded."""
        target = (await declared(self.client, photo)).json()
        put = await self.browser.put(target["url"], content=photo, headers=target["headers"])
        assert put.status_code == 200
        self.hooks.calls.clear()
        return target


@pytest.fixture(scope="module")
async def open_site(make_shared_gate: MakeGate) -> AsyncIterator[Site]:
    gate, bucket = make_shared_gate(memory=False, worker=False), Bucket()
    gate.decorate(RECORDS, MemoryRecords())
    gate.decorate(STORAGE, bucket)
    hooks = RecordedHooks(gate)
    async with client_of(gate) as client, httpx.AsyncClient(transport=httpx.ASGITransport(bucket.app())) as browser:
        yield Site(client, browser, hooks)


@pytest.fixture
def site(open_site: Site) -> Site:
    open_site.hooks.calls.clear()
    return open_site


async def test_declaration_counts_as_a_request_without_a_file(site: Site, photo: bytes) -> None:
    answer = await declared(site.client, photo)
    assert answer.headers["X-Left"] == "7"
    (_, path, _), (name, received, job_id) = site.hooks.calls
    assert site.hooks.names == ["pre_receive", "on_received"]
    assert path == "/image-pipeline/uploads"
    assert isinstance(received, int)
    assert (name, received < len(photo), job_id) == ("on_received", True, None)


async def test_declaration_refused_by_pre_receive_makes_no_upload(site: Site, photo: bytes) -> None:
    with site.hooks.refusing("pre_receive", UploadRefused("not now")):
        assert (await declared(site.client, photo)).json()["code"] == "upload_refused"
    assert site.hooks.names == ["pre_receive", "on_received"]
    assert site.hooks.calls[1] == ("on_received", 0, None)


async def test_put_into_the_bucket_runs_no_hook(site: Site, photo: bytes) -> None:
    target = (await declared(site.client, photo)).json()
    site.hooks.calls.clear()
    put = await site.browser.put(target["url"], content=photo, headers=target["headers"])
    assert put.status_code == 200
    assert site.hooks.calls == []


@pytest.mark.parametrize("hook", ["pre_receive", "pre_file"])
async def test_completion_refused_by_a_hook_can_be_repeated(site: Site, photo: bytes, hook: str) -> None:
    target = await site.in_bucket(photo)
    with site.hooks.refusing(hook, UploadRefused("not now")):
        assert (await completed(site.client, target)).json()["code"] == "upload_refused"
    assert (await completed(site.client, target)).status_code == 202


async def test_completion_counts_the_bytes_in_the_bucket_once(site: Site, photo: bytes) -> None:
    target = await site.in_bucket(photo)
    path = f"/image-pipeline/uploads/{target['uploadId']}/complete"
    job_id = (await completed(site.client, target)).json()["jobId"]
    assert site.hooks.calls == [
        ("pre_receive", path, None),
        ("pre_file", "avatar"),
        ("on_received", len(photo), job_id),
    ]
    site.hooks.calls.clear()
    assert (await completed(site.client, target)).json()["jobId"] == job_id
    assert site.hooks.calls == [("pre_receive", path, None), ("on_received", 0, None)]


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
