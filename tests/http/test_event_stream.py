"""Event streams: proxy headers, event ids, reconnects and duration."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable

import httpx
import pytest
from starlette.types import Message

from mediagate import JobStatus, MediaGate
from mediagate.records import Settlement
from tests.support.mounted import client_of
from tests.support.owners import claim, settle

pytestmark = pytest.mark.anyio

MakeGate = Callable[..., MediaGate]
STREAM = {"Accept": "text/event-stream"}
FAILED = Settlement(JobStatus.FAILED, error="the storage is full", code="storage_unavailable", retryable=True)


def ids(answer: httpx.Response) -> list[str]:
    return re.findall(r"^event: status\nid: (\S+)\ndata: \{", answer.text, re.M)


async def test_event_stream_disables_proxy_buffering(make_gate: MakeGate, photo: bytes) -> None:
    gate = make_gate()
    async with client_of(gate) as client:
        job = (await gate.upload(photo, source_type="avatar", source_id="u1")).job_id
        answer = await client.get(f"/status/{job}", headers=STREAM)
        assert answer.headers["X-Accel-Buffering"] == "no"
        assert answer.headers["Cache-Control"] == "no-store"


async def test_event_stream_reconnect_with_final_event_id_gets_204(make_gate: MakeGate, photo: bytes) -> None:
    gate = make_gate(worker=False)
    async with client_of(gate) as client:
        job = (await gate.upload(photo, source_type="avatar", source_id="u1")).job
        await claim(gate, job)
        await settle(gate, job, FAILED)
        path = f"/status/{job.id}"
        first = await client.get(path, headers=STREAM)
        assert len(ids(first)) == 1
        for _ in range(2):
            again = await client.get(path, headers={**STREAM, "Last-Event-ID": ids(first)[0]})
            assert (again.status_code, again.content) == (204, b"")
            assert again.headers["Mediagate-Job-Status"] == "FAILED"
        for other in ("", "FAILED", "x" * 9):
            told = await client.get(path, headers={**STREAM, "Last-Event-ID": other})
            assert (told.status_code, ids(told)) == (200, ids(first))

        await gate.retry(job.id)
        await gate.cancel(job.id)
        later = await client.get(path, headers={**STREAM, "Last-Event-ID": ids(first)[0]})
        assert later.status_code == 200
        assert '"status":"CANCELLED"' in later.text
        assert ids(later) != ids(first)


async def test_event_id_is_unique_to_each_job_state(make_gate: MakeGate, photo: bytes) -> None:
    gate = make_gate()
    async with client_of(gate) as client:
        job = (await gate.upload(photo, source_type="avatar", source_id="u1")).job_id
        told = ids(await client.get(f"/status/{job}", headers=STREAM))
        assert told
        assert len(set(told)) == len(told)
        gone = await client.get(f"/status/{job}", headers={**STREAM, "Last-Event-ID": told[-1]})
        assert gone.status_code == 204


async def test_event_stream_ends_after_its_maximum_duration(
    make_gate: MakeGate, photo: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mediagate.http.event_stream.STREAM_S", 0.3)
    gate = make_gate(worker=False)
    async with client_of(gate) as client:
        job = (await gate.upload(photo, source_type="avatar", source_id="u1")).job_id
        async with asyncio.timeout(10):
            answer = await client.get(f"/status/{job}", headers=STREAM)
        assert len(ids(answer)) == 1
        assert '"status":"PENDING"' in answer.text


async def test_event_stream_does_not_call_receive(make_gate: MakeGate, photo: bytes) -> None:
    """Some servers end a streamed response as soon as the application calls ``receive``."""
    gate = make_gate()
    told: list[Message] = []

    async def receive() -> Message:
        raise AssertionError("asked for more of a request without a body")

    async def send(message: Message) -> None:
        told.append(message)

    async with gate:
        job = (await gate.upload(photo, source_type="avatar", source_id="u1")).job_id
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "method": "GET",
            "path": f"/status/{job}",
            "query_string": b"",
            "headers": [(b"accept", b"text/event-stream")],
        }
        await gate(scope, receive, send)
    assert b'"status":"COMPLETE"' in b"".join(message.get("body", b"") for message in told)
