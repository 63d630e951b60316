"""The path of a pipeline's job: what verdicts, errors and lost leases make of it, with image processes of its own."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from mediagate import JobState, JobStatus, Settings, Source, Stage
from mediagate.errors import ProcessingRefused, StorageUnavailable
from mediagate.images import ImagePool, Operations
from mediagate.jobs import Watch
from mediagate.jobs.isolation import Isolation, suspect
from mediagate.jobs.production import Production
from mediagate.observe import Observer
from mediagate.parts import Parts
from mediagate.records import Records, get_state
from mediagate.storage import MemoryStorage
from mediagate.testing.record_samples import LEASE
from mediagate.values import SERVED, STAGING, EventType
from tests.support.bare_parts import NOW, SetRecords, bare_parts
from tests.support.moderators import RAISES, REJECTS, REVIEWS, Scripted
from tests.support.pipelines import BRANCHES, DAY, SMALL, a_png, recorded
from tests.support.recipes import OPERATIONS, with_misbehaving

pytestmark = pytest.mark.anyio

SOURCE = Source(reject={"explicit": 0.5}, review={"suggestive": 0.5}, visibility="private", ttl=DAY)
SKIPPED = {"op": "crop", "x": 500, "y": 0, "width": 90, "height": 10, "onError": "skip"}


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def images(anyio_backend: str) -> AsyncIterator[ImagePool]:
    """One image process with a moderator that judges by the width of the picture, and operations that misbehave."""
    pool = ImagePool(processes=1, memory_bytes=2**29, timeout_s=20, moderator=Scripted(), operations=with_misbehaving())
    await pool.open()
    yield pool
    await pool.close()


class ActingStorage(MemoryStorage):
    """A storage before whose writes something happens."""

    act: Callable[[str], Awaitable[None]] | None = None

    async def put(self, key: str, body: bytes | Path) -> None:
        if self.act is not None:
            await self.act(key)
        await super().put(key, body)


class NotingWatch(Watch):
    """A watch that notes what it shows to waiting clients."""

    def __init__(self, records: Records, observer: Observer) -> None:
        super().__init__(records, observer)
        self.shown: list[JobState] = []

    def publish(self, state: JobState) -> None:
        self.shown.append(state)
        super().publish(state)


class Produced:
    """The worker of pipelines beside the parts and the watch that it works with."""

    def __init__(self, images: ImagePool, **parts: Any) -> None:
        some: dict[str, Any] = {
            "sources": {"check": SOURCE},
            "settings": Settings(retry_backoff_s=2),
            "events": set(EventType),
            "operations": with_misbehaving(),
        }
        self.records: SetRecords = parts.get("records") or SetRecords()
        self.parts: Parts = bare_parts(images=images, **{**some, **parts, "records": self.records})
        self.watch = NotingWatch(self.parts.records, Observer())
        self.isolation = Isolation()
        self.production = Production(self.parts, self.watch, self.isolation)
        self.shown = self.watch.shown

    async def run(
        self, steps: Sequence[Mapping[str, Any]], files: Mapping[str, bytes], *refers: str, **changes: Any
    ) -> JobState:
        """Record a pipeline, attempt it once, and return its state on record."""
        job = await recorded(self.parts, steps, files, *refers, **changes)
        return await self.attempt(job.id)

    async def attempt(self, job_id: str) -> JobState:
        """Make an attempt at a job, and return its state on record."""
        job = await self.records.claim(job_id, owner="worker", now=NOW, lease_until=NOW + LEASE)
        assert job is not None
        if not suspect(job):
            self.isolation.enter()
        # A task of its own, as a worker gives it: a lost lease cancels it.
        await asyncio.create_task(self.production.run(job))
        state = await get_state(self.records, job_id)
        assert state is not None
        return state

    async def keys(self) -> set[str]:
        """Return the keys of all files."""
        return {info.key for root in (STAGING, *SERVED) async for info in self.parts.storage.list(root)}

    async def event_types(self) -> list[EventType]:
        return [event.type for event in await self.records.outbox(limit=9)]


Produce = Callable[..., Produced]


@pytest.fixture
def produce(images: ImagePool) -> Produce:
    return lambda **parts: Produced(images, **parts)


async def test_production_stores_the_outputs_of_each_input(produce: Produce) -> None:
    produced = produce()
    state = await produced.run(BRANCHES, {"one": a_png(), "two": a_png(90)})
    job = state.job
    assert (job.status, job.stage, job.attempts, job.progress) == (JobStatus.COMPLETE, Stage.DONE, 1, 100)
    assert (job.error, job.code, job.reason) == (None, None, None)
    assert job.verdict is not None and job.verdict.decision == "allow"
    assert job.model_runs == 6, "each input and each output was judged once"
    assert job.expires_at == NOW + DAY
    assert [(out.input, out.name, out.format) for out in state.outputs] == [
        ("one", "large", "webp"),
        ("one", "thumb", "png"),
        ("two", "large", "webp"),
        ("two", "thumb", "png"),
    ]
    assert [out.filename for out in state.outputs[:2]] == ["one-large.webp", "one-thumb.png"]
    assert [(out.width, out.height) for out in state.outputs[:2]] == [(64, 32), (16, 16)]
    assert await produced.keys() == {out.key for out in state.outputs}
    assert all(key.startswith("outputs/") for key in await produced.keys())
    assert [len(await produced.parts.storage.get(out.key)) for out in state.outputs] == [
        out.bytes for out in state.outputs
    ]
    assert job.bytes_out == sum(out.bytes for out in state.outputs)
    assert await produced.event_types() == [EventType.JOB_COMPLETED]


async def test_production_shows_steps_as_they_end(produce: Produce) -> None:
    produced = produce()
    state = await produced.run(SMALL, {"one": a_png(), "two": a_png()})
    progress = [shown.job.progress for shown in produced.shown]
    assert progress == sorted(progress)
    assert set(progress) >= {10, 70, 100}
    assert len(set(progress)) > 4
    assert [(stage.name, stage.op, stage.status, stage.progress) for stage in state.job.stages] == [
        ("judge", None, "done", 100),
        ("step0", "resize", "done", 100),
        ("step1", "save", "done", 100),
        ("publish", None, "done", 100),
    ]
    assert all(stage.ms is not None for stage in state.job.stages)


async def test_production_runs_no_steps_on_an_input_to_which_they_refer(produce: Produce) -> None:
    steps = [{"op": "watermark", "picture": "logo"}, {"op": "save", "as": "marked"}]
    state = await produce().run(steps, {"photo": a_png(), "logo": a_png(20, 20, "red")}, "logo")
    assert [(out.input, out.width) for out in state.outputs] == [("photo", 100)]


async def test_production_warns_of_a_skipped_step(produce: Produce) -> None:
    state = await produce().run([SKIPPED, *SMALL], {"one": a_png()})
    assert state.job.status is JobStatus.COMPLETE
    assert state.job.result is not None
    assert [(one.input, one.step, one.code) for one in state.job.result.warnings] == [("one", 0, "operation_failed")]
    assert [stage.status for stage in state.job.stages][1:3] == ["skipped", "done"]


async def test_production_keeps_the_data_of_each_input(produce: Produce) -> None:
    state = await produce().run([{"op": "read_metadata"}], {"one": a_png(), "two": a_png()})
    assert state.job.result is not None
    assert [(given["input"], given["step"]) for given in state.job.result.data["read_metadata"]] == [
        ("one", 0),
        ("two", 0),
    ]
    assert state.outputs == ()


@pytest.mark.parametrize(
    ("files", "steps"),
    [
        ({"one": a_png(), "two": a_png(REJECTS)}, SMALL),
        (
            {"one": a_png()},
            [*BRANCHES, {"op": "resize", "width": REJECTS, "enlarge": True}, {"op": "save", "as": "bad"}],
        ),
        ({"one": a_png(REVIEWS)}, SMALL),
    ],
    ids=["an input", "an output", "an input without a reviewer"],
)
async def test_production_rejects_a_pipeline_with_a_picture_that_is_not_allowed(
    produce: Produce, files: dict[str, bytes], steps: Sequence[Mapping[str, Any]]
) -> None:
    produced = produce()
    state = await produced.run(steps, files)
    assert (state.job.status, state.job.code) == (JobStatus.REJECTED, "moderation_rejected")
    assert state.job.reason
    assert (state.outputs, state.job.result, state.job.bytes_out) == ((), None, 0)
    assert await produced.keys() == set()
    assert await produced.event_types() == [EventType.JOB_REJECTED]


async def test_production_judges_inputs_to_which_steps_refer(produce: Produce) -> None:
    steps = [{"op": "watermark", "picture": "logo"}, {"op": "save", "as": "marked"}]
    produced = produce()
    state = await produced.run(steps, {"photo": a_png(), "logo": a_png(REJECTS)}, "logo")
    assert state.job.status is JobStatus.REJECTED
    assert await produced.keys() == set()


@pytest.mark.parametrize("hook", ["pre_process", "pre_verdict"])
async def test_production_rejects_with_the_words_of_a_hook(produce: Produce, hook: Any) -> None:
    produced = produce()

    async def refuse(*args: Any) -> None:
        raise ProcessingRefused("not here")

    produced.parts.hooks.add(hook, refuse)
    state = await produced.run(SMALL, {"one": a_png()})
    assert (state.job.status, state.job.reason) == (JobStatus.REJECTED, "not here")
    assert await produced.keys() == set()


async def test_production_bounds_the_data_of_all_inputs(produce: Produce) -> None:
    file, texts = io.BytesIO(), PngInfo()
    for number in range(100):
        texts.add_itxt(f"{number}", "写" * 1000)  # 600 kB of JSON
    Image.new("RGB", (9, 9)).save(file, "png", pnginfo=texts)
    inputs = {f"input{number}": file.getvalue() for number in range(8)}
    read = [{"op": "read_metadata"}]
    assert (await produce().run(read, dict(list(inputs.items())[:6]))).job.status is JobStatus.COMPLETE
    job = (await produce().run(read, inputs)).job
    assert (job.status, job.code) == (JobStatus.FAILED, "operation_failed")
    assert job.error is not None and "the data of all pictures" in job.error


async def test_production_names_the_step_that_failed(produce: Produce) -> None:
    produced = produce()
    steps = [*SMALL, {"op": "crop", "x": 500, "y": 0, "width": 90, "height": 10}, {"op": "save", "as": "cut"}]
    state = await produced.run(steps, {"one": a_png()})
    assert (state.job.status, state.job.code, state.job.retryable) == (JobStatus.FAILED, "operation_failed", False)
    assert state.job.error is not None and "step 1 (crop)" in state.job.error
    assert [stage.status for stage in state.job.stages] == ["done", "done", "failed", "skipped", "skipped"]
    assert await produced.keys() == set()
    first = await produced.run(steps[1:], {"one": a_png()})
    assert [stage.status for stage in first.job.stages] == ["done", "failed", "skipped", "skipped"]


@pytest.mark.parametrize("inputs", [("one",), ("one", "two")])
async def test_production_blames_the_first_step_and_not_the_judge(produce: Produce, inputs: tuple[str, ...]) -> None:
    steps = [{"op": "crop", "x": 500, "y": 0, "width": 90, "height": 10}, *SMALL]
    state = await produce().run(steps, {name: a_png(600 if name != inputs[-1] else 100) for name in inputs})
    assert state.job.error is not None and "step 0 (crop)" in state.job.error
    assert [stage.status for stage in state.job.stages] == ["done", "failed", "skipped", "skipped", "skipped"]


async def test_production_survives_an_operation_that_crashes(produce: Produce) -> None:
    produced = produce()
    job = await recorded(produced.parts, [{"op": "crash"}, *SMALL], {"one": a_png()})
    state = await produced.attempt(job.id)
    assert (state.job.status, state.job.code) == (JobStatus.PENDING, "image_crashed")
    assert await produced.keys() == set(job.staged_keys)
    assert (await produced.run(SMALL, {"one": a_png()})).job.status is JobStatus.COMPLETE


async def test_production_retries_after_a_moderator_that_failed(produce: Produce) -> None:
    produced = produce()
    job = await recorded(produced.parts, SMALL, {"one": a_png(RAISES)})
    state = await produced.attempt(job.id)
    assert (state.job.status, state.job.code) == (JobStatus.PENDING, "moderation_failed")
    assert await produced.keys() == set(job.staged_keys)


async def test_production_fails_without_a_quarantined_file(produce: Produce) -> None:
    produced = produce()
    job = await recorded(produced.parts, SMALL, {"one": a_png(), "two": a_png()})
    await produced.parts.storage.delete(job.staged_keys[1:])
    state = await produced.attempt(job.id)
    assert (state.job.status, state.job.code) == (JobStatus.FAILED, "staged_file_lost")
    assert await produced.keys() == set()


@pytest.mark.parametrize("lacking", ["source", "plugin", "operation"])
async def test_production_waits_for_a_process_that_can_run_the_steps(produce: Produce, lacking: str) -> None:
    able = produce()
    job = await recorded(able.parts, SMALL, {"one": a_png()})
    without: dict[str, dict[str, Any]] = {
        "source": {"sources": {"other": SOURCE}},
        "plugin": {"operations": None},
        "operation": {"operations": Operations(op for op in OPERATIONS.values() if op.name != "resize")},
    }
    unable = produce(records=able.records, storage=able.parts.storage, **without[lacking])
    state = await unable.attempt(job.id)
    assert (state.job.status, state.job.code) == (JobStatus.PENDING, "processing_failed")
    assert await unable.keys() == set(job.staged_keys)


async def test_production_discards_its_outputs_if_the_lease_is_lost(produce: Produce) -> None:
    storage = ActingStorage()
    produced = produce(storage=storage)
    job = await recorded(produced.parts, BRANCHES, {"one": a_png()})

    async def cancel(_: str) -> None:
        await produced.records.cancel(job.id, now=NOW)

    storage.act = cancel
    state = await produced.attempt(job.id)
    assert (state.job.status, state.outputs) == (JobStatus.CANCELLED, ())
    assert await produced.keys() == set(job.staged_keys), "the call that cancels a job deletes these"


async def test_production_retries_if_the_storage_fails_between_outputs(produce: Produce) -> None:
    storage = ActingStorage()
    produced = produce(storage=storage)
    job = await recorded(produced.parts, BRANCHES, {"one": a_png()})

    async def fail(key: str) -> None:
        if key.endswith(".png"):
            raise StorageUnavailable("the disk is full")

    storage.act = fail
    state = await produced.attempt(job.id)
    assert (state.job.status, state.job.attempts, state.job.code) == (JobStatus.PENDING, 0, "storage_unavailable")
    storage.act = None
    assert state.job.available_at is not None
    produced.records.time = state.job.available_at
    again = await produced.records.claim(job.id, owner="worker", now=state.job.available_at, lease_until=NOW + LEASE)
    assert again is not None
    produced.isolation.enter()
    await asyncio.create_task(produced.production.run(again))
    done = await get_state(produced.records, job.id)
    assert done is not None and done.job.status is JobStatus.COMPLETE
    assert await produced.keys() == {out.key for out in done.outputs}


async def test_production_gives_files_names_that_are_safe_and_differ(produce: Produce) -> None:
    produced = produce()
    names = {
        "../../Grüße\u202e \x00CON.tar.gz": "Grüße CON.tar.png",
        "a.png": "a.png",
        "a-2.jpg": "a-2.png",
        "A.png": "A-3.png",
        "con.jpg": "_con.png",
        "..": "input5.png",
        "写" * 85 + ".png": "写" * 33 + ".png",
    }
    job = await recorded(
        produced.parts, SMALL, {f"input{number}": a_png() for number in range(len(names))}, filenames=list(names)
    )
    state = await produced.attempt(job.id)
    assert [out.filename for out in state.outputs] == list(names.values())


async def test_production_keeps_the_name_of_each_output_of_a_file_with_a_long_name(produce: Produce) -> None:
    produced = produce()
    steps = [dict(step) for step in BRANCHES]
    steps[1]["as"] = "l" * 64
    job = await recorded(produced.parts, steps, {"one": a_png()}, filenames=["写" * 85])
    state = await produced.attempt(job.id)
    assert [out.filename for out in state.outputs] == [f"{'写' * 33}-{'l' * 64}.webp", f"{'写' * 33}-thumb.png"]
