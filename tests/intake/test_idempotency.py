"""``Idempotency-Key``: how long it stays reserved while its upload is being received."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Outcome:
    """What two overlapping uploads with one key left behind."""

    jobs: tuple[str, str]
    received: list[str | None]
    """The job's id at each call of ``on_received``."""
    queued: int
    staged: list[str]


@pytest.fixture(scope="module", params=[True, False], ids=["memory", "sqlite"])
async def overlap(request: pytest.FixtureRequest, make_shared_gate: MakeGate, photo: bytes) -> Outcome:
    """Two uploads hold one key: the process of the first stands still for longer than its lease."""
    gate = make_shared_gate(memory=request.param, worker=False)
    first, second = asyncio.Event(), asyncio.Event()
    waits = iter([first, second])

    async def stands_still(_: object) -> None:
        if next(waits) is first:
            await second.wait()
        else:
            second.set()

    received: list[str | None] = []

    async def on_received(_: Request, __: int, job: Job | None) -> None:
        received.append(job.id if job else None)

    gate.add_hook("pre_upload", stands_still)
    gate.add_hook("on_received", on_received)
    async with gate, httpx.AsyncClient(transport=httpx.ASGITransport(gate), base_url="http://gate") as client:
        with pytest.MonkeyPatch.context() as stopped:

            async def keep_key(key: str, *, expires_at: datetime) -> None: ...

            stopped.setattr(reservation, "RECEIVING_S", 1.0)
            stopped.setattr(gate.parts.records, "keep_key", keep_key)
            early = asyncio.create_task(uploaded(client, photo))
            await asyncio.sleep(1.5)  # a process that stands still does not extend its lease
            late = asyncio.create_task(uploaded(client, photo))
            jobs = await early, await late
        staged = [info.key async for info in gate.parts.storage.list("staging/")]
        return Outcome(jobs, received, await gate.parts.records.queue_depth(), staged)


async def uploaded(client: httpx.AsyncClient, photo: bytes) -> str:
    """Upload a photo with the key ``mine``; return its job's id."""
    form = {"sourceType": "avatar", "sourceId": "u1"}
    answer = await client.post(
        "/upload", data=form, files={"file": ("a.jpg", photo)}, headers={"Idempotency-Key": "mine"}
    )
    assert answer.status_code == 202, answer.text
    return str(answer.json()["jobId"])


async def test_idempotency_key_held_by_two_uploads_makes_one_job(overlap: Outcome) -> None:
    early, late = overlap.jobs
    assert early == late
    assert overlap.queued == 1


async def test_idempotency_key_held_by_two_uploads_stages_one_file(overlap: Outcome) -> None:
    assert len(overlap.staged) == 1


async def test_on_received_has_the_job_only_for_the_upload_that_made_it(overlap: Outcome) -> None:
    assert sorted(overlap.received, key=str) == [None, overlap.jobs[0]]
