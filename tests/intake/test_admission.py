"""Admission: uploads refused before their bodies are read, by the queue, the process, the disk and the hooks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from starlette.requests import Request

from mediagate import RECORDS, MediaGate, Source
from mediagate.errors import QueueFull, RateLimited, UploadRefused
from mediagate.kernel import Incoming
from mediagate.records import MemoryRecords
from mediagate.values import utcnow
from tests.support.hooks import RecordedHooks
from tests.support.mounted import client_of

pytestmark = pytest.mark.anyio

MakeGate = Callable[..., MediaGate]
FORM = {"sourceType": "avatar", "sourceId": "user-1"}
PRE_RECEIVE = ("pre_receive", "/image-pipeline/upload", None)


async def upload(client: httpx.AsyncClient, photo: bytes, **headers: str) -> httpx.Response:
    return await client.post("/upload", data=FORM, files={"file": ("a.jpg", photo)}, headers=headers)


class Asked(MemoryRecords):
    """Records when the queue's depth is queried."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[float] = []

    async def queue_depth(self) -> int:
        self.asked.append(time.monotonic())
        return await super().queue_depth()


async def test_full_queue_answers_503_until_a_job_ends(make_gate: MakeGate, photo: bytes) -> None:
    gate = make_gate(worker=False, max_queue=3)
    async with client_of(gate) as client:
        jobs = [(await upload(client, photo)).json()["jobId"] for _ in range(3)]
        refused = await upload(client, photo)
        assert (refused.status_code, refused.json()["code"]) == (503, "queue_full")
        assert refused.json()["retryable"]
        assert int(refused.headers["Retry-After"]) >= 1
        with pytest.raises(QueueFull):
            await gate.upload(photo, source_type="avatar", source_id="u")
        await gate.cancel(jobs[0])
        # The gate notices when it next queries the depth.
        end = time.monotonic() + 20
        while (answer := await upload(client, photo)).status_code == 503:
            assert time.monotonic() < end
            await asyncio.sleep(0.1)
        assert answer.status_code == 202
        assert (await upload(client, photo)).status_code == 503


async def test_queue_never_exceeds_max_queue_under_concurrent_uploads(make_gate: MakeGate, photo: bytes) -> None:
    gate = make_gate(worker=False, max_queue=5)
    async with client_of(gate) as client:
        answers = await asyncio.gather(*(upload(client, photo) for _ in range(20)))
        assert sorted(a.status_code for a in answers) == [202] * 5 + [503] * 15
        assert await gate.parts.records.queue_depth() == 5


async def test_queue_depth_is_queried_at_most_once_a_second(make_gate: MakeGate, photo: bytes) -> None:
    gate = make_gate(memory=False, worker=False)
    records = Asked()
    gate.decorate(RECORDS, records)
    async with client_of(gate) as client:
        for _ in range(30):
            assert (await upload(client, photo)).status_code == 202
    pauses = [later - earlier for earlier, later in zip(records.asked, records.asked[1:], strict=False)]
    assert records.asked
    assert all(pause >= 1.0 for pause in pauses)


async def test_retry_after_of_a_full_queue_follows_its_measured_pace(make_gate: MakeGate, photo: bytes) -> None:
    """The oldest of 40 jobs has waited 79 s, which is 2 s a job: two places, a twentieth, are free in under 6 s."""
    gate = make_gate(memory=False, worker=False, max_queue=40)

    class Waited(MemoryRecords):
        async def oldest_waiting(self) -> Any:
            return utcnow() - timedelta(seconds=79)

        async def queue_depth(self) -> int:
            return 40

    gate.decorate(RECORDS, Waited())
    async with client_of(gate) as client:
        assert (await upload(client, photo)).headers["Retry-After"] == "6"


async def test_max_queue_zero_means_no_limit(make_gate: MakeGate, photo: bytes) -> None:
    gate = make_gate(memory=False, worker=False, max_queue=0)
    records = Asked()
    gate.decorate(RECORDS, records)
    async with client_of(gate) as client:
        assert (await upload(client, photo)).status_code == 202
    assert not records.asked


async def test_process_receives_at_most_max_uploads_concurrently(make_gate: MakeGate, photo: bytes) -> None:
    gate = make_gate(worker=False, max_uploads=2, min_upload_rate=0)
    go_on, under_way = asyncio.Event(), asyncio.Semaphore(0)
    request = httpx.Request("POST", "http://test/", data=FORM, files={"file": ("a.jpg", photo)})
    body = await request.aread()
    headers = {"Content-Type": request.headers["Content-Type"]}

    async def slowly() -> AsyncIterator[bytes]:
        yield body[:100]
        under_way.release()
        await go_on.wait()
        yield body[100:]

    async with client_of(gate) as client:
        slow = [asyncio.create_task(client.post("/upload", content=slowly(), headers=headers)) for _ in range(2)]
        for _ in slow:
            await under_way.acquire()
        refused = await client.post("/upload", content=body, headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (503, "too_many_uploads")
        assert refused.headers["Retry-After"] == "2"
        assert refused.headers["Connection"] == "close"
        go_on.set()
        assert [(await one).status_code for one in slow] == [202, 202]
        assert (await upload(client, photo)).status_code == 202
        # Failed uploads release their places.
        for _ in range(3):
            assert (await upload(client, b"no picture")).status_code == 415
        assert (await upload(client, photo)).status_code == 202


async def test_upload_larger_than_free_disk_space_answers_503(make_gate: MakeGate) -> None:
    gate = make_gate(worker=False, sources={"avatar": Source(max_bytes=10**18)})
    async with client_of(gate) as client:
        headers = {"Content-Length": str(10**17), "Content-Type": "multipart/form-data; boundary=B"}
        refused = await client.post("/upload", content=b"x", headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (503, "storage_unavailable")

        async def of_unknown_length() -> AsyncIterator[bytes]:
            yield b"x"

        refused = await client.post(
            "/upload", content=of_unknown_length(), headers={"Content-Type": headers["Content-Type"]}
        )
        assert (refused.status_code, refused.json()["code"]) == (503, "storage_unavailable")


@pytest.fixture(scope="module")
async def open_gate(make_shared_gate: MakeGate) -> AsyncIterator[tuple[httpx.AsyncClient, RecordedHooks]]:
    gate = make_shared_gate(worker=False)
    hooks = RecordedHooks(gate)
    async with client_of(gate) as client:
        yield client, hooks


@pytest.fixture
def client(open_gate: tuple[httpx.AsyncClient, RecordedHooks]) -> httpx.AsyncClient:
    return open_gate[0]


@pytest.fixture
def hooks(open_gate: tuple[httpx.AsyncClient, RecordedHooks]) -> RecordedHooks:
    open_gate[1].calls.clear()
    return open_gate[1]


async def test_hooks_run_in_order_around_an_accepted_upload(
    client: httpx.AsyncClient, hooks: RecordedHooks, photo: bytes
) -> None:
    sent = await upload(client, photo)
    size = int(sent.request.headers["Content-Length"])
    assert hooks.calls == [PRE_RECEIVE, ("pre_file", "avatar"), ("on_received", size, sent.json()["jobId"])]
    assert sent.headers["X-Left"] == "7"


async def test_on_received_has_no_job_for_a_repeated_idempotency_key(
    client: httpx.AsyncClient, hooks: RecordedHooks, photo: bytes
) -> None:
    sent = await upload(client, photo, **{"Idempotency-Key": "one"})
    again = await upload(client, photo, **{"Idempotency-Key": "one"})
    assert again.json()["jobId"] == sent.json()["jobId"]
    size = int(sent.request.headers["Content-Length"])
    assert hooks.calls[-1] == ("on_received", size, None)


async def test_pre_receive_refusal_leaves_the_body_unread(
    client: httpx.AsyncClient, hooks: RecordedHooks, photo: bytes
) -> None:
    with hooks.refusing("pre_receive", RateLimited("not now", retry_after_s=1.2)):
        refused = await upload(client, photo)
    assert (refused.status_code, refused.headers["Retry-After"], refused.headers["X-Left"]) == (429, "2", "7")
    assert refused.headers["Connection"] == "close"
    assert hooks.calls == [PRE_RECEIVE, ("on_received", 0, None)]


async def test_pre_file_refusal_answers_403_and_makes_no_job(
    client: httpx.AsyncClient, hooks: RecordedHooks, photo: bytes
) -> None:
    with hooks.refusing("pre_file", UploadRefused("not here")):
        refused = await upload(client, photo)
    assert refused.status_code == 403
    assert hooks.calls[:2] == [PRE_RECEIVE, ("pre_file", "avatar")]
    name, _, job_id = hooks.calls[2]
    assert (name, job_id) == ("on_received", None)


async def test_pre_file_does_not_see_an_unknown_source(
    client: httpx.AsyncClient, hooks: RecordedHooks, photo: bytes
) -> None:
    unknown = await client.post("/upload", data=FORM | {"sourceType": "x"}, files={"file": ("a.jpg", photo)})
    assert unknown.json()["code"] == "unknown_source"
    assert hooks.names == ["pre_receive", "on_received"]


async def test_pre_file_runs_as_soon_as_the_source_type_has_arrived(make_gate: MakeGate, photo: bytes) -> None:
    gate = make_gate(worker=False)
    told: list[int] = []

    async def pre_file(request: Request, source_type: str) -> None:
        told.append(vars(request)["received"])  # how far the body has come
        raise UploadRefused("not here")

    gate.add_hook("pre_file", pre_file)
    fields = [
        b'--B\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n' + photo + b"\r\n",
        b'--B\r\nContent-Disposition: form-data; name="sourceType"\r\n\r\navatar\r\n',
    ]

    async def body(parts: list[bytes]) -> AsyncIterator[bytes]:
        whole = b"".join([*parts, b"--B--\r\n"])
        for start in range(0, len(whole), 100):
            yield whole[start : start + 100]

    headers = {"Content-Type": "multipart/form-data; boundary=B"}
    async with client_of(gate) as client:
        for parts in (fields[::-1], fields):
            assert (await client.post("/upload", content=body(parts), headers=headers)).status_code == 403
    first, late = told
    assert first < len(photo) < late


@pytest.mark.parametrize(
    ("version", "headers", "declared", "unread"),
    [
        ("1.1", {}, 0, False),
        ("1.1", {"content-length": "0"}, 0, False),
        ("1.1", {"content-length": "7"}, 7, True),
        ("1.1", {"content-length": "-7"}, None, True),
        ("1.1", {"content-length": "7", "transfer-encoding": "chunked"}, None, True),
        ("2", {}, None, False),
        ("2", {"content-length": "7"}, 7, False),
    ],
    ids=str,
)
def test_incoming_derives_declared_length_and_unread_from_headers(
    version: str, headers: dict[str, str], declared: int | None, unread: bool
) -> None:
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    incoming = Incoming(Request({"type": "http", "http_version": version, "headers": raw}))
    assert (incoming.declared, incoming.unread) == (declared, unread)
