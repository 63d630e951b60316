"""Batches from Python: all of them or none, counted states, cancellation, owners and their data."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from zipfile import ZipFile

import pytest

from mediagate import EVENTS, BatchItem, BatchState, Erased, EventType, JobStatus, MediaGate, Source
from mediagate.errors import (
    BatchNotFound,
    ConfigError,
    IdempotencyKeyReused,
    InvalidParameter,
    InvalidPipeline,
    UploadRefused,
)
from tests.support.pipelines import SMALL, WORK, a_png, end_next, runs_pipelines

pytestmark = pytest.mark.anyio

MakeGate = Callable[..., MediaGate]
SOURCES = {"work": WORK, "avatar": Source()}


@pytest.fixture(params=[True, False], ids=["memory", "sqlite"])
def gate(request: pytest.FixtureRequest, make_gate: MakeGate) -> MediaGate:
    """A gate that runs pipelines, without a worker, and keeps the events."""
    gate = runs_pipelines(make_gate(sources=SOURCES, memory=request.param, worker=False))
    gate.decorate(EVENTS, tuple(EventType))
    return gate


async def a_batch(gate: MediaGate, size: int = 2, owner: str | None = None) -> BatchState:
    return await gate.batch([BatchItem(a_png(), SMALL) for _ in range(size)], source="work", owner=owner)


async def ends(gate: MediaGate, batch: BatchState) -> list[EventType]:
    return [event.type for event in await gate.parts.records.outbox(limit=99) if event.job_id == batch.batch.id]


async def test_batch_reports_its_jobs_and_each_of_them_names_it(gate: MediaGate) -> None:
    async with gate:
        items = [
            BatchItem(a_png(), SMALL, preset="small", ttl=timedelta(hours=1), client_reference_id="one"),
            BatchItem({"photo": a_png(), "other": a_png()}, SMALL),
        ]
        made = await gate.batch(items, source="work", client_reference_id="all", owner="ann")
        assert made == await gate.get_batch(made.batch.id, owner="ann")
        assert (made.status, made.progress, made.finished_at) == (JobStatus.PENDING, 0, None)
        assert [child.client_reference_id for child in made.children] == ["one", None]
        jobs = [(await gate.get_status(child.job_id, owner="ann")).job for child in made.children]
        assert [(job.batch_id, job.batch_position) for job in jobs] == [(made.batch.id, 0), (made.batch.id, 1)]
        assert [one.name for one in jobs[1].inputs] == ["photo", "other"]
        await end_next(gate)
        half = await gate.get_batch(made.batch.id)
        assert (half.status, half.progress, half.counts[JobStatus.COMPLETE]) == (JobStatus.PROCESSING, 50, 1)
        await end_next(gate)
        over = await gate.get_batch(made.batch.id)
        assert (over.status, over.progress) == (JobStatus.COMPLETE, 100)
        assert over.finished_at == max(child.finished_at for child in over.children if child.finished_at)
        assert await ends(gate, over) == [EventType.BATCH_COMPLETED]


@pytest.mark.parametrize(
    ("items", "pointers"),
    [
        ([BatchItem(b"x" * 99, SMALL), BatchItem(a_png(), SMALL), BatchItem(b"", SMALL)], ["/jobs/0", "/jobs/2"]),
        (
            [BatchItem(a_png(), [{"op": "resize", "width": 0}]), BatchItem(a_png(), [{"op": "x"}])],
            ["/jobs/0/steps/0/width", "/jobs/1/steps/0/op"],
        ),
        ([BatchItem(a_png(), SMALL), BatchItem("med_unknown", SMALL)], ["/jobs/1"]),
        ([BatchItem(a_png(), SMALL), BatchItem(a_png(), SMALL, callback_url="ftp://x")], ["/jobs/1"]),
    ],
)
async def test_batch_with_a_fault_is_refused_whole(
    gate: MediaGate, items: list[BatchItem], pointers: list[str]
) -> None:
    async with gate:
        with pytest.raises(InvalidPipeline) as refused:
            await gate.batch(items, source="work")
        assert [error["pointer"] for error in refused.value.errors] == pointers
        assert await gate.parts.records.queue_depth() == 0
        assert [info async for info in gate.parts.storage.list("staging/")] == []
        assert list(gate.runtime.spool_dir.iterdir()) == []


async def test_batch_with_refused_inputs_is_refused_whole(gate: MediaGate) -> None:
    async def only_small(upload: object) -> None:
        if getattr(upload, "client_reference_id", None) == "large":
            raise UploadRefused("too large for us")

    gate.add_hook("pre_upload", only_small)
    async with gate:
        items = [BatchItem(a_png(), SMALL), BatchItem(a_png(), SMALL, client_reference_id="large")]
        with pytest.raises(InvalidPipeline) as refused:
            await gate.batch(items, source="work")
        (error,) = refused.value.errors
        assert (error["pointer"], error["code"]) == ("/jobs/1", "upload_refused")
        assert await gate.parts.records.queue_depth() == 0


async def test_wrong_batches_are_refused(gate: MediaGate, make_gate: MakeGate) -> None:
    async with gate:
        for size in (0, 1001):
            with pytest.raises(InvalidParameter, match="1 to 1,000"):
                await gate.batch([BatchItem(b"", SMALL)] * size, source="work")
        for wrong in ({"client_reference_id": "x" * 256}, {"callback_url": "ftp://x"}, {"owner": ""}):
            with pytest.raises(InvalidParameter):
                await gate.batch([BatchItem(a_png(), SMALL)], source="work", **wrong)
    async with make_gate(worker=False) as without:
        with pytest.raises(ConfigError, match="runs no pipelines"):
            await without.batch([BatchItem(a_png(), SMALL)], source="avatar")


async def test_reused_key_returns_the_batch(gate: MediaGate) -> None:
    async with gate:
        items = [BatchItem(a_png(), SMALL), BatchItem(a_png(), SMALL)]
        first, again = [await gate.batch(items, source="work", idempotency_key="k") for _ in range(2)]
        assert first == again
        with pytest.raises(IdempotencyKeyReused):
            await gate.batch(items[:1], source="work", idempotency_key="k")
        with pytest.raises(IdempotencyKeyReused):
            await gate.pipeline(a_png(), steps=SMALL, source="work", idempotency_key="k")
        assert await gate.parts.records.queue_depth() == 2


async def test_cancelled_batch_ends_with_the_statuses_of_its_jobs(gate: MediaGate) -> None:
    async with gate:
        batch = await a_batch(gate, 3)
        await end_next(gate)
        over = await gate.cancel_batch(batch.batch.id)
        statuses = [child.status for child in over.children]
        assert statuses == [JobStatus.COMPLETE, JobStatus.CANCELLED, JobStatus.CANCELLED]
        assert (over.status, over.counts[JobStatus.CANCELLED]) == (JobStatus.COMPLETE, 2)
        assert await gate.cancel_batch(batch.batch.id) == over
        assert await ends(gate, batch) == [EventType.BATCH_COMPLETED]


async def test_batch_without_a_complete_job_has_its_worst_status(gate: MediaGate) -> None:
    async with gate:
        batch = await a_batch(gate)
        await end_next(gate, JobStatus.FAILED)
        over = await gate.cancel_batch(batch.batch.id)
        assert over.status is JobStatus.FAILED
        assert [child.code for child in over.children] == ["image_timeout", None]


async def test_retried_job_reopens_its_batch_without_a_second_report(gate: MediaGate) -> None:
    async with gate:
        batch = await a_batch(gate, 1)
        await end_next(gate, JobStatus.FAILED)
        assert (await gate.get_batch(batch.batch.id)).status is JobStatus.FAILED
        await gate.retry(batch.children[0].job_id)
        assert (await gate.get_batch(batch.batch.id)).status is JobStatus.PENDING
        await end_next(gate)
        assert (await gate.get_batch(batch.batch.id)).status is JobStatus.COMPLETE
        assert await ends(gate, batch) == [EventType.BATCH_COMPLETED]


async def test_batch_of_another_owner_does_not_exist(gate: MediaGate) -> None:
    async with gate:
        batch = await a_batch(gate, owner="ann")
        for call in (gate.get_batch, gate.cancel_batch):
            with pytest.raises(BatchNotFound):
                await call(batch.batch.id, owner="bob")
            for unknown in ("bat_unknown", "", "a\x00b", "x" * 3000, batch.children[0].job_id):
                with pytest.raises(BatchNotFound):
                    await call(unknown)
        assert (await gate.get_batch(batch.batch.id, owner="ann")).status is JobStatus.PENDING


async def test_owner_data_includes_batches(gate: MediaGate, tmp_path: Path) -> None:
    async with gate:
        mine, theirs = await a_batch(gate, owner="ann"), await a_batch(gate, owner="bob")
        exported = await gate.export(owner="ann", to=tmp_path / "ann.zip")
        assert (exported.batches, exported.jobs) == (1, 2)
        with ZipFile(tmp_path / "ann.zip") as archive:
            (line,) = archive.read("batches.jsonl").splitlines()
            jobs = [json.loads(job) for job in archive.read("jobs.jsonl").splitlines()]
        assert json.loads(line)["batchId"] == mine.batch.id
        assert {job["batchId"] for job in jobs} == {mine.batch.id}
        assert await gate.erase(owner="ann") == Erased(jobs=2, files=2, batches=1)
        assert await ends(gate, mine) == []
        with pytest.raises(BatchNotFound):
            await gate.get_batch(mine.batch.id)
        assert (await gate.get_batch(theirs.batch.id)).status is JobStatus.PENDING
        assert await gate.erase(owner="ann") == Erased()


async def test_janitor_removes_a_batch_after_its_jobs(gate: MediaGate) -> None:
    async with gate:
        records = gate.parts.records
        gone, live = await a_batch(gate, owner="ann"), await a_batch(gate, owner="ann")
        await gate.cancel_batch(gone.batch.id)
        await records.erase_jobs("ann", [child.job_id for child in gone.children])
        await gate.runtime.janitor.sweep_files_in_turn()
        assert await records.batches.get(gone.batch.id) is None
        assert await records.batches.get(live.batch.id) is not None
        assert await ends(gate, gone) == []
