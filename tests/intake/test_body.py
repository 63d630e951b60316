"""Slow request bodies: the minimum rate, its grace period, and which stalled upload loses its place."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from mediagate import MediaGate
from mediagate.intake import body as upload_body
from tests.support.direct import completed, declared, sent
from tests.support.mounted import client_of

pytestmark = pytest.mark.anyio

MakeGate = Callable[..., MediaGate]
FORM = {"sourceType": "avatar", "sourceId": "user-1"}


class Trickle:
    """A body in pieces, with a pause after each; ``pause_s=None`` stops for good after the first."""

    def __init__(self, body: bytes, piece: int, pause_s: float | None = 0.02) -> None:
        self._body, self._piece, self._pause_s = body, piece, pause_s
        self.under_way = asyncio.Event()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self._body), self._piece):
            yield self._body[start : start + self._piece]
            self.under_way.set()
            if self._pause_s is None:
                await asyncio.Event().wait()
            else:
                await asyncio.sleep(self._pause_s)


async def form_of(photo: bytes) -> tuple[bytes, dict[str, str]]:
    request = httpx.Request("POST", "http://test/", data=FORM, files={"file": ("a.jpg", photo)})
    return await request.aread(), {"Content-Type": request.headers["Content-Type"]}


async def upload(client: httpx.AsyncClient, photo: bytes) -> httpx.Response:
    return await client.post("/upload", data=FORM, files={"file": ("a.jpg", photo)})


def said(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json().get("code", "") if answer.content else ""


@asynccontextmanager
async def from_address(gate: MediaGate, host: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client that connects to an open gate from this address."""
    transport = httpx.ASGITransport(gate, client=(host, 50_000))
    async with httpx.AsyncClient(transport=transport, base_url="http://test", timeout=60) as client:
        yield client


async def test_body_below_min_upload_rate_answers_408(make_gate: MakeGate, photo: bytes) -> None:
    """Every route with a body enforces the rate, although no single pause is long."""
    gate = make_gate(worker=False, upload_grace_s=0.2, min_upload_rate=1_000_000)
    async with client_of(gate) as client:
        body, headers = await form_of(photo)
        slow = await client.post("/upload", content=Trickle(body, 10), headers=headers)
        assert said(slow) == (408, "upload_timeout")
        assert slow.json()["retryable"]
        target = (await declared(client, photo)).json()
        trickle: Any = Trickle(photo, 10)
        assert said(await sent(client, target, trickle)) == (408, "upload_timeout")
        as_json = {"Content-Type": "application/json"}
        slow = await client.post("/uploads", content=Trickle(b" " * 9000, 10), headers=as_json)
        assert said(slow) == (408, "upload_timeout")
        assert list(gate.runtime.spool_dir.iterdir()) == []
        assert (await sent(client, target, photo)).status_code == 204
        assert (await completed(client, target)).status_code == 202


@pytest.mark.parametrize("rate", [0, 1000])
async def test_slow_body_above_min_upload_rate_is_accepted(make_gate: MakeGate, photo: bytes, rate: int) -> None:
    """The body takes half a second; at the minimum rate it would take seven times as long."""
    gate = make_gate(worker=False, upload_grace_s=0 if not rate else 0.1, min_upload_rate=rate)
    async with client_of(gate) as client:
        body, headers = await form_of(photo)
        answer = await client.post("/upload", content=Trickle(body, len(body) // 20), headers=headers)
        assert answer.status_code == 202


@pytest.mark.parametrize("burst", [100, 5000])
async def test_stalled_body_loses_its_place_when_another_upload_needs_it(
    make_gate: MakeGate, photo: bytes, burst: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This includes a body whose large first burst keeps its average rate high."""
    monkeypatch.setattr(upload_body, "SLACK_S", 0.1)
    gate = make_gate(worker=False, max_uploads=2, min_upload_rate=100)
    async with client_of(gate) as client:
        body, headers = await form_of(photo)
        bodies = [Trickle(body, burst, None) for _ in range(2)]
        slow = [asyncio.create_task(client.post("/upload", content=one, headers=headers)) for one in bodies]
        for one in bodies:
            await one.under_way.wait()
        for _ in range(200):
            if (answer := await upload(client, photo)).status_code == 202:
                break
            assert said(answer) == (503, "too_many_uploads")
            await asyncio.sleep(0.05)
        assert answer.status_code == 202
        done, pending = await asyncio.wait(slow, return_when=asyncio.FIRST_COMPLETED)
        assert [said(task.result()) for task in done] == [(408, "upload_timeout")]
        assert (await upload(client, photo)).status_code == 202, "the place is given back"
        for task in pending:
            task.cancel()


async def test_address_holds_at_most_its_share_of_upload_places(make_gate: MakeGate, photo: bytes) -> None:
    gate = make_gate(worker=False, max_uploads=8, min_upload_rate=0)
    async with gate, from_address(gate, "203.0.113.7") as one, from_address(gate, "203.0.113.8") as other:
        body, headers = await form_of(photo)
        bodies = [Trickle(body, 100, None) for _ in range(2)]
        slow = [asyncio.create_task(one.post("/upload", content=part, headers=headers)) for part in bodies]
        for part in bodies:
            await part.under_way.wait()
        for _ in range(3):
            refused = await upload(one, photo)
            assert said(refused) == (503, "too_many_uploads")
            assert "address" in refused.json()["detail"]
            assert int(refused.headers["Retry-After"]) >= 1
            assert (await declared(one, photo)).status_code == 503
            assert (await upload(other, photo)).status_code == 202
        for task in slow:
            task.cancel()
        await asyncio.gather(*slow, return_exceptions=True)
        assert (await upload(one, photo)).status_code == 202
