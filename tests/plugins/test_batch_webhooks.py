"""The webhook at the end of a batch: one, to endpoints and to the ``callbackUrl`` of the batch."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from mediagate import RECORDS, STORAGE, BatchItem, BatchState, EventType, MediaGate, Settings, Source
from mediagate.errors import InvalidParameter
from mediagate.jobs import resume_finish
from mediagate.records import Database, Settlement
from mediagate.storage import MemoryStorage
from mediagate.testing.record_samples import LEASE
from mediagate.values import JobStatus
from mediagate_plugins.webhooks import WEBHOOKS, Callbacks, Endpoint, webhooks
from mediagate_plugins.webhooks.schema import event_schema
from tests.support.forked import SHARED
from tests.support.pipelines import SMALL, WORK, runs_pipelines
from tests.support.receiver import SECRET, Receiver, receiving

pytestmark = pytest.mark.anyio

BASE = "https://gate.example/image-pipeline"
OTHER = "whsec_" + "QW5vdGhlciBzZWNyZXQgb2YgMjQrIGJ5dGVzLg=="
CALLBACK = "https://hooks.example/ended"


@asynccontextmanager
async def open_gate(data_dir: Path, receiver: Receiver, *events: str, worker: bool = False) -> AsyncIterator[MediaGate]:
    gate = MediaGate(
        sources={"work": WORK, "avatar": Source()},
        settings=Settings(data_dir=data_dir, public_base_url=BASE, image_processes=1, migrate=True, worker=worker),
        moderation="off",
    )
    gate.fork_server = SHARED
    gate.decorate(STORAGE, MemoryStorage())
    endpoint = Endpoint(receiver.url, [SECRET], events=events, insecure_http=True, private_networks=("127.0.0.0/8",))
    gate.register(webhooks, endpoints={"app": endpoint}, callbacks=Callbacks([OTHER], hosts=["hooks.example"]))
    async with runs_pipelines(gate):
        yield gate


async def a_batch(gate: MediaGate, photo: bytes, **fields: Any) -> BatchState:
    return await gate.batch([BatchItem(photo, SMALL) for _ in range(2)], source="work", **fields)


async def test_end_of_a_batch_is_sent_once_and_matches_the_schema(tmp_path: Path, photo: bytes) -> None:
    with receiving() as receiver:
        async with open_gate(tmp_path, receiver, "batch.completed", "job.completed", worker=True) as gate:
            batch = (await a_batch(gate, photo, client_reference_id="mine")).batch
            received = await asyncio.to_thread(receiver.wait_for, 3)
            bodies = [json.loads(one.body) for one in received]
            (ended,) = [body for body in bodies if body["type"] == "batch.completed"]
            assert len([body for body in bodies if body["data"].get("batchId") == batch.id]) == 3
            state = await gate.get_batch(batch.id)
            assert ended["data"] == state.to_json()
            assert (ended["data"]["clientReferenceId"], ended["data"]["counts"]["COMPLETE"]) == ("mine", 2)
            for body in bodies:
                jsonschema.Draft202012Validator(event_schema()).validate(body)
            assert await gate[WEBHOOKS].deliver_due() == 0


async def test_workers_that_end_the_last_two_jobs_together_report_once(tmp_path: Path, photo: bytes) -> None:
    with receiving() as receiver:
        async with open_gate(tmp_path, receiver, "batch.completed") as gate:
            records = gate.parts.records
            batch = await a_batch(gate, photo)
            now = await records.now()
            jobs = await records.claim_oldest(owner="w", now=now, lease_until=now + LEASE, limit=2)
            settlement = Settlement(JobStatus.FAILED, error="no")
            ends = [records.settle(job, owner="w", now=now, settlement=settlement) for job in jobs]
            assert await asyncio.gather(*ends) == [True, True]
            await asyncio.gather(*(resume_finish(job.id, gate.parts) for job in jobs))
            assert await gate[WEBHOOKS].deliver_due() == 1
            assert [json.loads(one.body)["data"]["batchId"] for one in receiver.received] == [batch.batch.id]


async def test_sweep_reports_a_batch_that_another_release_ended(tmp_path: Path, photo: bytes) -> None:
    with receiving() as receiver:
        async with open_gate(tmp_path, receiver, "batch.completed") as gate:
            records = gate.parts.records
            batch = await a_batch(gate, photo)
            for child in batch.children:
                job = await records.cancel(child.job_id, now=await records.now())
                assert job is not None
                await records.mark_notified(child.job_id, ended_at=job.finished_at, now=await records.now())
            assert await gate[WEBHOOKS].deliver_due() == 0
            assert (await gate.runtime.janitor.sweep_jobs()).batches == [batch.batch.id]
            assert (await gate.runtime.janitor.sweep_jobs()).batches == []
            assert await gate[WEBHOOKS].deliver_due() == 1


async def test_callback_of_a_batch_is_called_for_the_batch_only(tmp_path: Path, photo: bytes) -> None:
    with receiving() as receiver:
        async with open_gate(tmp_path, receiver, "batch.completed") as gate:
            batch = (await a_batch(gate, photo, callback_url=CALLBACK)).batch
            await gate.cancel_batch(batch.id)
            await gate[WEBHOOKS].deliver_due()
            found = await gate[WEBHOOKS].find()
            assert {(one.endpoint, one.event.type, one.event.job_id) for one in found} == {
                (name, EventType.BATCH_COMPLETED, batch.id) for name in ("app", "callback:hooks.example")
            }


async def test_callback_of_a_batch_is_checked_like_that_of_an_upload(tmp_path: Path, photo: bytes) -> None:
    with receiving() as receiver:
        async with open_gate(tmp_path, receiver, "batch.completed") as gate:
            for url in ("https://elsewhere.example/", "http://hooks.example/"):
                with pytest.raises(InvalidParameter, match="callbackUrl"):
                    await a_batch(gate, photo, callback_url=url)
            assert await gate.parts.records.queue_depth() == 0


async def test_deliveries_of_a_batch_are_stored_under_names_of_their_own(tmp_path: Path, photo: bytes) -> None:
    """Release 0.1.0 would send them with another type."""
    with receiving() as receiver:
        async with open_gate(tmp_path, receiver, "batch.completed", "job.cancelled") as gate:
            batch = (await a_batch(gate, photo)).batch
            await gate.cancel_batch(batch.id)
            assert await gate[WEBHOOKS].deliver_due() == 3
            rows = await Database.of(gate[RECORDS], "test").fetch_rows(
                "SELECT endpoint, type FROM mediagate_webhook_delivery d JOIN mediagate_event e ON e.id = d."
                '"eventId" ORDER BY endpoint'
            )
            assert [row["endpoint"] for row in rows] == ["app", "app", "later:app"]
            replayed = await gate[WEBHOOKS].replay(job_id=batch.id)
            assert (replayed.deliveries, replayed.unknown) == (1, 0)
            assert await gate[WEBHOOKS].deliver_due() == 1
            assert json.loads(receiver.received[-1].body)["type"] == "batch.completed"
