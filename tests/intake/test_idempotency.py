"""``Idempotency-Key``: how long it stays reserved while its upload is being received."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

import httpx
import pytest
from starlette.requests import Request

from mediagate import Job, MediaGate
from mediagate.errors import UploadInFlight
from mediagate.intake.idempotency import reserve
from mediagate.records import locks as reservation

pytestmark = pytest.mark.anyio

MakeGate = Callable[..., MediaGate]


async def test_idempotency_key_stays_reserved_while_the_upload_arrives(
    make_gate: MakeGate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reservation, "RECEIVING_S", 0.3)
    async with make_gate() as gate, reserve("key", gate.parts):
        await asyncio.sleep(1)
        with pytest.raises(UploadInFlight):
            async with reserve("key", gate.parts):
                pass


async def test_idempotency_key_of_a_dead_process_is_free_after_30_seconds(make_gate: MakeGate) -> None:
    async with make_gate() as gate:
        records = gate.parts.records
        now = await records.now()
        died = now - timedelta(seconds=reservation.RECEIVING_S)
        await records.reserve_key("key", now=died, expires_at=died + timedelta(seconds=reservation.RECEIVING_S))
        async with reserve("key", gate.parts) as held:
            assert held is not None and held.fingerprint is None


@pytest.mark.parametrize("memory", [True, False])
async def test_of_two_uploads_that_hold_it_one_makes_the_job(
    make_gate: MakeGate, photo: bytes, monkeypatch: pytest.MonkeyPatch, memory: bool
) -> None:
    monkeypatch.setattr(reservation, "RECEIVING_S", 1.0)
    gate = make_gate(memory=memory, worker=False)
    first, second = asyncio.Event(), asyncio.Event()
    waits = iter([first, second])

    async def stands_still(_: object) -> None:
        turn = next(waits)
        if turn is first:
            await second.wait()
        else:
            second.set()

    told: list[str | None] = []

    async def on_received(_: Request, __: int, job: Job | None) -> None:
        told.append(job.id if job else None)

    gate.add_hook("pre_upload", stands_still)
    gate.add_hook("on_received", on_received)
    async with gate, httpx.AsyncClient(transport=httpx.ASGITransport(gate), base_url="http://gate") as client:

        async def upload() -> str:
            form = {"sourceType": "avatar", "sourceId": "u1"}
            file = {"file": ("a.jpg", photo)}
            answer = await client.post("/upload", data=form, files=file, headers={"Idempotency-Key": "mine"})
            assert answer.status_code == 202, answer.text
            return str(answer.json()["jobId"])

        with monkeypatch.context() as stopped:

            async def keep_key(key: str, *, expires_at: datetime) -> None: ...

            stopped.setattr(gate.parts.records, "keep_key", keep_key)
            early = asyncio.create_task(upload())
            await asyncio.sleep(1.5)  # a process that stands still keeps no reservation
            late = asyncio.create_task(upload())
            made = await early
            assert made == await late
        assert sorted(told, key=str) == [None, made], "on_received has the job of the upload that made it"
        assert await gate.parts.records.queue_depth() == 1
        kept = [info.key async for info in gate.parts.storage.list("staging/")]
        assert len(kept) == 1, "and the file of the other is gone"
