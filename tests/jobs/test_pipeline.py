"""The path of one job: what each verdict, error and lost lease makes of it, with image processes of its own."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from PIL import Image

from mediagate import Job, JobStatus, Settings, Source, Stage, VariantSpec, Verdict
from mediagate.errors import (
    ModerationFailed,
    ModeratorUnavailable,
    ProcessingRefused,
    RecordsUnavailable,
    StorageUnavailable,
)
from mediagate.images import ImagePool
from mediagate.jobs import Watch
from mediagate.jobs import watch as watch_module
from mediagate.jobs.isolation import Isolation, suspect
from mediagate.jobs.pipeline import Pipeline
from mediagate.kernel import Hooks
from mediagate.observe import Observer
from mediagate.parts import Parts
from mediagate.records import get_job, get_state
from mediagate.testing.record_samples import claimed_job
from mediagate.values import EventType
from tests.support.bare_parts import NOW, DatedStorage, SetRecords, Steps, bare_parts, keys_of
from tests.support.moderators import GOOD, RAISES, REJECTS, REVIEWS, Scripted

pytestmark = pytest.mark.anyio

SOURCE = Source(
    reject={"explicit": 0.5},
    review={"suggestive": 0.5},
    variants={"xs": VariantSpec(width=640, format="webp")},
    original="keep",
)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def images(anyio_backend: str) -> AsyncIterator[ImagePool]:
    """One image process with a moderator that judges by the width of the picture."""
    pool = ImagePool(processes=1, memory_bytes=2**29, timeout_s=20, moderator=Scripted())
    await pool.open()
    yield pool
    await pool.close()


def a_png(width: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, 50), "teal").save(file, "png")
    return file.getvalue()


class Worked:
    """A pipeline beside the parts, the watch and the isolation that it works with."""

    def __init__(self, images: ImagePool, **parts: Any) -> None:
        some = {"sources": {"check": SOURCE}, "settings": Settings(retry_backoff_s=2), "events": set(EventType)}
        self.records: SetRecords = parts.get("records") or SetRecords()
        self.parts: Parts = bare_parts(images=images, **{**some, **parts, "records": self.records})
        self.watch = Watch(self.parts.records, Observer())
        self.isolation = Isolation()
        self.pipeline = Pipeline(self.parts, self.watch, self.isolation)

    async def job(self, width: int = GOOD, **changes: Any) -> Job:
        """Return a claimed job whose picture has this width."""
        job = await claimed_job(self.parts.records, NOW, **changes)
        await self.parts.storage.put(job.staging_key, a_png(width))
        return job

    async def run(self, job: Job) -> Job:
        """Take a job down the pipeline, and return what is on record of it then."""
        if not suspect(job):
            self.isolation.enter()
        # A task of its own, as a worker gives it: a lost lease cancels it.
        await asyncio.create_task(self.pipeline.run(job))
        found = await get_job(self.parts.records, job.id)
        assert found is not None
        return found

    async def event_types(self) -> list[EventType]:
        return [event.type for event in await self.parts.records.outbox(limit=9)]


Work = Callable[..., Worked]


@pytest.fixture
def work(images: ImagePool) -> Work:
    return lambda **parts: Worked(images, **parts)


def told_by(hooks: Hooks, *names: str) -> list[tuple[str, tuple[Any, ...]]]:
    """Return the list that the hooks of these names write to."""
    told: list[tuple[str, tuple[Any, ...]]] = []

    def tell(name: str) -> Any:
        async def hook(*args: Any) -> None:
            told.append((name, args))

        return hook

    for name in names:
        hooks.add(name, tell(name))
    return told


def refusing(hooks: Hooks, name: str, error: Exception) -> None:
    async def hook(*args: Any) -> None:
        raise error

    hooks.add(name, hook)


async def test_pipeline_publishes_a_picture_that_is_allowed(work: Work) -> None:
    worked = work()
    told = told_by(worked.parts.hooks, "pre_process", "pre_verdict", "pre_store", "on_complete", "on_end")
    job = await worked.job()
    ended = await worked.run(job)
    assert (ended.status, ended.stage, ended.attempts) == (JobStatus.COMPLETE, Stage.DONE, 1)
    assert (ended.error, ended.code, ended.reason) == (None, None, None)
    assert ended.verdict is not None
    assert (ended.verdict.decision, ended.verdict.model) == ("allow", "scripted")
    assert ended.model_runs == 1
    assert (ended.finished_at, ended.notified_at) == (NOW, NOW)
    state = await get_state(worked.parts.records, job.id)
    assert state is not None
    assert state.media is not None
    assert await keys_of(worked.parts) == set(state.media.keys)
    assert len(state.media.keys) == 2
    sizes = [len(await worked.parts.storage.get(key)) for key in state.media.keys]
    assert ended.bytes_out == sum(sizes)
    assert await worked.event_types() == [EventType.JOB_COMPLETED]
    assert [name for name, _ in told] == ["pre_process", "pre_verdict", "pre_store", "on_complete", "on_end"]
    assert [args[0].id for _, args in told[:3]] == [job.id] * 3
    assert told[1][1][1] == ended.verdict
    assert {file.name for file in told[2][1][1].files} == {"xs", "original"}
    # They are for remote moderators alone.
    assert told[2][1][1].previews == ()


async def test_pipeline_tells_its_stages(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    worked = work()
    shown: list[Job] = []
    monkeypatch.setattr(worked.watch, "publish", lambda state: shown.append(state.job))
    ended = await worked.run(await worked.job())
    running = [next((stage.name for stage in job.stages if stage.status == "running"), None) for job in shown]
    assert list(dict.fromkeys(running)) == ["decode", "judge", "encode", "publish", None]
    progress = [job.progress for job in shown]
    assert progress == sorted(progress)
    assert {10, 30, 50, 70, 100} == set(progress)
    assert [(stage.name, stage.status, stage.progress) for stage in ended.stages] == [
        (name, "done", 100) for name in ("decode", "judge", "encode", "publish")
    ]
    assert all(stage.ms is not None for stage in ended.stages)


async def test_pipeline_skips_the_stages_after_a_rejection(work: Work) -> None:
    worked = work()
    ended = await worked.run(await worked.job(REJECTS))
    assert [stage.status for stage in ended.stages] == ["done", "done", "skipped", "skipped"]
    assert ended.progress == 100


async def test_pipeline_records_its_stages_while_it_works(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mediagate.jobs.attempt.RECORD_S", 0.01)
    worked = work()
    recorded: list[Job | None] = []
    job = await worked.job()

    async def look(*_: Any) -> None:
        await asyncio.sleep(0.1)
        recorded.append(await get_job(worked.parts.records, job.id))

    worked.parts.hooks.add("pre_store", look)
    await worked.run(job)
    assert recorded[0] is not None
    assert [stage.status for stage in recorded[0].stages] == ["done", "done", "running", "pending"]
    assert recorded[0].progress == 50


async def test_pipeline_measures_the_publishing_and_the_whole(work: Work) -> None:
    worked = work()
    worked.parts.hooks.add("pre_store", lambda job, rendered: asyncio.sleep(0.05))
    timings = (await worked.run(await worked.job())).timings_ms
    assert timings["total"] >= 50
    assert timings["total"] >= timings["publish"] >= 0
    assert timings["publish"] < 50
    assert "cpu" in timings
    assert all(isinstance(timings[name], float) for name in ("total", "publish"))
    assert all(round(timings[name], 1) == timings[name] for name in ("total", "publish"))


class Slow(DatedStorage):
    """A storage that takes a tenth of a second to publish a file."""

    async def put(self, key: str, body: Any) -> None:
        if not key.startswith("staging/"):
            await asyncio.sleep(0.1)
        await super().put(key, body)


async def test_pipeline_measures_in_milliseconds(work: Work) -> None:
    worked = work(storage=Slow())
    clock = asyncio.get_running_loop().time
    job, started = await worked.job(), clock()
    timings = (await worked.run(job)).timings_ms
    assert 100 <= timings["publish"] <= timings["total"] <= (clock() - started) * 1000 + 0.1


async def test_pipeline_measures_a_rejection_in_milliseconds(work: Work) -> None:
    worked = work()
    worked.parts.hooks.add("pre_verdict", lambda job, verdict: asyncio.sleep(0.1))
    clock = asyncio.get_running_loop().time
    job, started = await worked.job(REJECTS), clock()
    total = (await worked.run(job)).timings_ms["total"]
    assert isinstance(total, float)
    assert 100 <= total <= (clock() - started) * 1000 + 0.1


@pytest.mark.parametrize(
    ("width", "flags", "reason"),
    [
        (REJECTS, ("explicit",), "Content moderation failed"),
        (
            REVIEWS,
            ("suggestive",),
            "Content moderation requires human review of this image, but no reviewer is registered",
        ),
    ],
)
async def test_pipeline_rejects_what_the_policy_does_not_allow(
    work: Work, width: int, flags: tuple[str, ...], reason: str
) -> None:
    worked = work()
    told = told_by(worked.parts.hooks, "pre_verdict", "pre_store", "on_rejected")
    ended = await worked.run(await worked.job(width))
    assert (ended.status, ended.code, ended.reason) == (JobStatus.REJECTED, "moderation_rejected", reason)
    assert ended.verdict is not None
    assert (ended.verdict.decision, ended.verdict.flags) == ("reject", flags)
    assert (ended.model_runs, ended.bytes_out) == (1, 0)
    assert ended.timings_ms["total"] > 0
    assert "cpu" in ended.timings_ms
    assert round(ended.timings_ms["total"], 1) == ended.timings_ms["total"]
    assert await keys_of(worked.parts) == set()
    assert [name for name, _ in told] == ["pre_verdict", "on_rejected"]
    assert told[0][1][1].decision == "reject"
    assert await worked.event_types() == [EventType.JOB_REJECTED]


@pytest.mark.parametrize(("hook", "model_runs"), [("pre_process", 0), ("pre_verdict", 1), ("pre_store", 1)])
async def test_pipeline_rejects_with_the_words_of_a_hook(work: Work, hook: str, model_runs: int) -> None:
    worked = work(hooks=Hooks())
    refusing(worked.parts.hooks, hook, ProcessingRefused("not on a Sunday"))
    ended = await worked.run(await worked.job())
    assert (ended.status, ended.code, ended.reason) == (JobStatus.REJECTED, "processing_refused", "not on a Sunday")
    assert ended.model_runs == model_runs
    assert await keys_of(worked.parts) == set()


async def test_pipeline_fails_a_job_whose_quarantined_file_is_gone(work: Work) -> None:
    worked = work()
    job = await worked.job()
    await worked.parts.storage.delete([job.staging_key])
    ended = await worked.run(job)
    assert (ended.status, ended.code, ended.retryable) == (JobStatus.FAILED, "staged_file_lost", False)
    assert ended.error == (
        "Staged file lost while checking and resizing: the quarantined file no longer exists; upload the picture again"
    )


async def test_pipeline_retries_a_job_of_an_unknown_source(work: Work, caplog: pytest.LogCaptureFixture) -> None:
    worked = work()
    ended = await worked.run(await worked.job(source_type="other"))
    assert (ended.status, ended.code) == (JobStatus.PENDING, "processing_failed")
    assert "source type 'other' is not configured here" in caplog.text


async def test_pipeline_gives_a_job_back_for_a_counted_attempt_after_an_error_of_its_own(work: Work) -> None:
    worked = work()
    job = await worked.job(RAISES)
    released = await worked.run(job)
    assert (released.status, released.attempts) == (JobStatus.PENDING, 1)
    assert (released.code, released.available_at) == ("moderation_failed", NOW + timedelta(seconds=2))
    assert released.error is not None
    assert released.error.startswith("Moderation failed while checking and resizing")
    assert await keys_of(worked.parts) == {job.staging_key}
    assert await worked.event_types() == []


async def test_pipeline_fails_a_job_after_its_last_attempt(work: Work) -> None:
    worked = work()
    job = await worked.job(RAISES, max_attempts=1)
    ended = await worked.run(job)
    assert (ended.status, ended.code, ended.retryable) == (JobStatus.FAILED, "moderation_failed", True)
    assert await keys_of(worked.parts) == {job.staging_key}
    assert await worked.event_types() == [EventType.JOB_FAILED]


async def test_pipeline_logs_a_bug_with_its_cause(work: Work, caplog: pytest.LogCaptureFixture) -> None:
    worked = work(hooks=Hooks())
    refusing(worked.parts.hooks, "pre_process", RuntimeError("a bug"))
    released = await worked.run(await worked.job())
    assert (released.status, released.code) == (JobStatus.PENDING, "internal_error")
    (record,) = [one for one in caplog.records if "attempt 1" in one.getMessage()]
    assert (record.levelname, bool(record.exc_info)) == ("ERROR", True)


async def test_pipeline_logs_an_error_that_it_knows_as_a_warning(work: Work, caplog: pytest.LogCaptureFixture) -> None:
    await (worked := work()).run(await worked.job(RAISES))
    (record,) = [one for one in caplog.records if "attempt 1" in one.getMessage()]
    assert (record.levelname, bool(record.exc_info)) == ("WARNING", False)


class Away(DatedStorage):
    """A storage that does not take what is published while it is away."""

    away = True

    async def put(self, key: str, body: Any) -> None:
        if self.away and not key.startswith("staging/"):
            raise StorageUnavailable("away")
        await super().put(key, body)


async def test_pipeline_counts_no_attempt_while_the_storage_is_away(work: Work) -> None:
    worked = work(storage=Away())
    job = await worked.job(max_attempts=1)
    released = await worked.run(job)
    assert (released.status, released.attempts, released.code) == (JobStatus.PENDING, 0, "storage_unavailable")
    assert released.error is not None
    assert released.error.startswith("Storage unavailable while publishing")
    # The model ran, though nothing was published.
    assert released.model_runs == 1


async def test_pipeline_pauses_for_longer_with_each_outage_until_an_attempt_comes_through(work: Work) -> None:
    storage = Away()
    worked = work(storage=storage)

    async def pause_s() -> float:
        released = await worked.run(await worked.job())
        assert released.available_at is not None
        return (released.available_at - NOW).total_seconds()

    pauses = [await pause_s() for _ in range(3)]
    assert pauses[2] >= 4
    storage.away = False
    await worked.run(await worked.job())
    storage.away = True
    assert await pause_s() <= 2


async def test_pipeline_keeps_over_an_outage_that_a_job_ran_out_of_time(work: Work) -> None:
    worked = work(storage=Away())
    job = await worked.job(code="image_timeout", error="too slow")
    released = await worked.run(job)
    assert (released.attempts, released.code, released.error) == (0, "image_timeout", "too slow")


async def test_pipeline_adds_the_model_runs_of_all_attempts(work: Work) -> None:
    worked = work()
    assert (await worked.run(await worked.job(model_runs=5))).model_runs == 6
    assert (await worked.run(await worked.job(REJECTS, model_runs=5))).model_runs == 6


async def test_pipeline_shows_each_stage_to_who_waits(work: Work) -> None:
    worked = work()
    job = await worked.job()
    seen: list[Stage] = []

    async def look(job: Job, rendered: object) -> None:
        state = await worked.watch.next(job.id, None, timeout_s=1)
        assert state is not None
        seen.append(state.job.stage)

    waiting = asyncio.create_task(worked.watch.next(job.id, None, timeout_s=5))
    await asyncio.sleep(0)
    worked.parts.hooks.add("pre_store", look)
    await worked.run(job)
    first = await waiting
    assert first is not None
    assert replace(first.job, stages=()) == job
    assert [stage.status for stage in first.job.stages] == ["running", "pending", "pending", "pending"]
    assert seen == [Stage.MODERATE]
    last = await worked.watch.next(job.id, None, timeout_s=1)
    assert last is not None
    assert (last.job.status, last.media is not None) == (JobStatus.COMPLETE, True)
    await worked.watch.close()


async def test_pipeline_ends_quietly_for_a_job_that_was_cancelled_meanwhile(work: Work) -> None:
    worked = work(settings=Settings(lease_s=0.15))
    told = told_by(worked.parts.hooks, "on_complete", "on_end")
    job = await worked.job()

    async def cancelled(job: Job) -> None:
        await worked.parts.records.cancel(job.id, now=NOW)
        await asyncio.sleep(10)

    worked.parts.hooks.add("pre_process", cancelled)
    assert (await worked.run(job)).status is JobStatus.CANCELLED
    assert told == []


@pytest.mark.parametrize("hook", ["pre_verdict", "pre_store"])
async def test_pipeline_drops_what_it_made_of_a_job_that_another_worker_ends(work: Work, hook: str) -> None:
    worked = work()
    told = told_by(worked.parts.hooks, "on_complete", "on_rejected", "on_end")
    job = await worked.job(GOOD if hook == "pre_store" else REJECTS)

    async def taken(*args: Any) -> None:
        records = worked.parts.records
        await records.cancel(job.id, now=NOW)

    worked.parts.hooks.add(hook, taken)
    await worked.parts.storage.put(f"media/check/{job.source_id}/{job.media_id}/old.webp", b"of an earlier attempt")
    ended = await worked.run(job)
    assert (ended.status, ended.code) == (JobStatus.CANCELLED, None)
    assert await keys_of(worked.parts) == {job.staging_key}
    assert told == []


async def test_pipeline_drops_what_it_made_of_a_job_whose_row_is_gone(work: Work) -> None:
    worked = work()
    told = told_by(worked.parts.hooks, "on_rejected", "on_end")
    job = await worked.job(REJECTS)

    async def lost(*args: Any) -> None:
        del worked.records._jobs[job.id]

    worked.parts.hooks.add("pre_verdict", lost)
    worked.isolation.enter()
    await asyncio.create_task(worked.pipeline.run(job))
    assert told == []


async def test_pipeline_tells_who_waits_that_a_job_was_given_back(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    # No tick comes meanwhile, which would ask for the moves of other processes.
    monkeypatch.setattr(watch_module, "TICK_S", 60)
    worked = work()
    job = await worked.job(RAISES)
    running = asyncio.create_task(worked.run(job))
    state = await worked.watch.next(job.id, None, timeout_s=5)
    while state is not None and state.job.status is JobStatus.PROCESSING:
        state = await worked.watch.next(job.id, state.job, timeout_s=5)
    assert state is not None
    assert state.job == await running
    await worked.watch.close()


@pytest.mark.parametrize("width", [GOOD, REJECTS])
async def test_pipeline_records_the_warnings_about_a_picture(work: Work, width: int) -> None:
    worked = work()
    job = await worked.job(width)
    file = io.BytesIO()
    Image.new("RGB", (width, 50), "teal").save(file, "png", icc_profile=b"no profile")
    await worked.parts.storage.put(job.staging_key, file.getvalue())
    assert (await worked.run(job)).warnings == ("the colour profile was ignored: it is damaged",)


async def test_pipeline_gives_a_job_back_uncounted_when_it_is_stopped(work: Work) -> None:
    worked = work(hooks=Hooks())
    entered = asyncio.Event()

    async def stuck(job: Job) -> None:
        entered.set()
        await asyncio.sleep(10)

    worked.parts.hooks.add("pre_process", stuck)
    job = await worked.job()
    running = asyncio.create_task(worked.run(job))
    await entered.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    released = await get_job(worked.parts.records, job.id)
    assert released is not None
    assert (released.status, released.attempts, released.available_at) == (JobStatus.PENDING, 0, NOW)


class Unheard(SetRecords):
    """Records whose answers to the first settlements are lost, before or after they were written."""

    written = True
    lost = 1
    asked = 0

    async def settle(self, *args: Any, **kwargs: Any) -> bool:
        self.asked += 1
        if self.asked > self.lost:
            return await super().settle(*args, **kwargs)
        if self.written:
            assert await super().settle(*args, **kwargs)
        raise RecordsUnavailable("the connection broke")


@pytest.mark.parametrize("written", [True, False])
@pytest.mark.parametrize("width", [GOOD, REJECTS])
async def test_pipeline_finishes_a_job_once_when_the_answer_to_its_end_is_lost(
    work: Work, written: bool, width: int
) -> None:
    records = Unheard()
    records.written = written
    worked = work(records=records)
    told = told_by(worked.parts.hooks, "on_end")
    ended = await worked.run(await worked.job(width))
    assert ended.status is (JobStatus.COMPLETE if width == GOOD else JobStatus.REJECTED)
    assert ended.notified_at == NOW
    assert (records.asked, len(told)) == (2, 1)
    assert len(await worked.event_types()) == 1


async def test_pipeline_insists_on_the_settlement_beyond_the_lease(work: Work) -> None:
    records = Unheard()
    records.written, records.lost = False, 2
    worked = work(records=records, settings=Settings(lease_s=0.3))
    assert (await worked.run(await worked.job())).status is JobStatus.COMPLETE


class Down(SetRecords):
    """Records that do not tell the time, or take no job back, for a while."""

    fails = releases_fail = 0

    async def release(self, *args: Any, **kwargs: Any) -> bool:
        if self.releases_fail:
            self.releases_fail -= 1
            raise RecordsUnavailable("down")
        return await super().release(*args, **kwargs)

    async def now(self) -> datetime:
        if self.fails:
            self.fails -= 1
            raise RecordsUnavailable("down")
        return await super().now()


async def test_pipeline_insists_on_the_release_beyond_the_lease(work: Work) -> None:
    records = Down()
    worked = work(records=records, settings=Settings(lease_s=0.3, retry_backoff_s=2))
    job = await worked.job(RAISES)
    records.releases_fail = 2
    assert (await worked.run(job)).status is JobStatus.PENDING


@pytest.mark.parametrize("width", [REJECTS, RAISES])
async def test_pipeline_insists_on_the_end_beyond_the_lease(work: Work, width: int) -> None:
    records = Down()
    worked = work(records=records, settings=Settings(lease_s=0.3, retry_backoff_s=2))
    job = await worked.job(width)

    async def down(*args: Any) -> None:
        records.fails = 2

    worked.parts.hooks.add("pre_verdict" if width == REJECTS else "pre_process", down)
    ended = await worked.run(job)
    assert ended.status is (JobStatus.REJECTED if width == REJECTS else JobStatus.PENDING)


async def test_pipeline_lets_others_run_after_every_end(work: Work) -> None:
    worked = work()
    for width in (GOOD, REJECTS, RAISES):
        await worked.run(await worked.job(width))
        await asyncio.wait_for(worked.isolation.alone(), 1)


async def test_pipeline_runs_a_suspect_alone(work: Work) -> None:
    worked = work()
    suspected = await worked.job(attempts=2, max_attempts=3)
    worked.isolation.enter()
    running = asyncio.create_task(worked.pipeline.run(suspected))
    await asyncio.sleep(0.3)
    assert not running.done()
    worked.isolation.leave()
    await running
    # It was not counted among those that run beside others.
    await asyncio.wait_for(worked.isolation.alone(), 1)
    ended = await get_job(worked.parts.records, suspected.id)
    assert ended is not None
    assert ended.status is JobStatus.COMPLETE


class Service:
    """A remote moderator that scores what a test says, and counts what it is asked."""

    labels: frozenset[str] = frozenset({"GORE"})
    groups: Mapping[str, frozenset[str]] = {}
    timeout_s = 5.0
    max_calls_per_day: int | None = None

    def __init__(self, score: float = 0.0, error: Exception | None = None) -> None:
        self.score = score
        self.error = error
        self.asked = 0

    async def judge(self, jpeg: bytes) -> Verdict:
        assert jpeg.startswith(b"\xff\xd8")
        self.asked += 1
        if self.error is not None:
            raise self.error
        return Verdict(scores={"GORE": self.score}, model="remote")


REMOTE = {"check": SOURCE.model_copy(update={"reject": {"explicit": 0.5, "GORE": 0.5}})}


@pytest.mark.parametrize(("score", "status"), [(0.1, JobStatus.COMPLETE), (0.9, JobStatus.REJECTED)])
async def test_pipeline_asks_a_remote_moderator_about_what_the_local_one_allows(
    work: Work, score: float, status: JobStatus
) -> None:
    service = Service(score)
    worked = work(sources=REMOTE, remote_moderator=service, moderator=Scripted())
    ended = await worked.run(await worked.job())
    assert (ended.status, service.asked, ended.model_runs) == (status, 1, 2)
    assert ended.verdict is not None
    assert ended.verdict.model == "scripted + remote"
    assert ended.verdict.flags == (("GORE",) if score > 0.5 else ())


async def test_pipeline_asks_no_remote_moderator_about_what_the_local_one_rejects(work: Work) -> None:
    service = Service()
    worked = work(sources=REMOTE, remote_moderator=service, moderator=Scripted())
    ended = await worked.run(await worked.job(REJECTS))
    assert (ended.status, service.asked, ended.model_runs) == (JobStatus.REJECTED, 0, 1)


async def test_pipeline_counts_only_the_calls_of_a_remote_moderator_that_is_alone(work: Work) -> None:
    service = Service()
    worked = work(sources=REMOTE, remote_moderator=service)
    ended = await worked.run(await worked.job())
    assert (ended.status, service.asked, ended.model_runs) == (JobStatus.COMPLETE, 1, 1)


async def test_pipeline_asks_no_remote_moderator_that_the_source_leaves_out(work: Work) -> None:
    service = Service(0.9)
    sources = {"check": SOURCE.model_copy(update={"reject": {"explicit": 0.5}, "moderators": ("Scripted",)})}
    worked = work(sources=sources, remote_moderator=service, moderator=Scripted())
    ended = await worked.run(await worked.job())
    assert (ended.status, service.asked, ended.model_runs) == (JobStatus.COMPLETE, 0, 1)


async def test_pipeline_runs_no_local_moderator_that_the_source_leaves_out(work: Work) -> None:
    service = Service(0.1)
    sources = {"check": SOURCE.model_copy(update={"reject": {"GORE": 0.5}, "moderators": ("Service",)})}
    worked = work(sources=sources, remote_moderator=service, moderator=Scripted())
    ended = await worked.run(await worked.job(REJECTS))
    assert (ended.status, service.asked, ended.model_runs) == (JobStatus.COMPLETE, 1, 1)
    assert ended.verdict is not None
    assert ended.verdict.scores == {"GORE": 0.1}
    assert ended.verdict.models == {"Service": ""}


async def test_pipeline_publishes_nothing_if_no_moderator_is_left(work: Work) -> None:
    sources = {"check": SOURCE.model_copy(update={"reject": {}, "moderators": ("Gone",)})}
    worked = work(sources=sources, moderator=Scripted())
    released = await worked.run(await worked.job())
    assert (released.status, released.code) == (JobStatus.PENDING, "moderation_failed")


@pytest.mark.parametrize(
    ("error", "attempts", "code"),
    [(ModeratorUnavailable("away"), 0, "moderator_unavailable"), (ModerationFailed("what?"), 1, "moderation_failed")],
)
async def test_pipeline_publishes_nothing_without_the_verdict_of_the_remote_moderator(
    work: Work, error: Exception, attempts: int, code: str
) -> None:
    worked = work(sources=REMOTE, remote_moderator=Service(error=error), moderator=Scripted())
    job = await worked.job()
    released = await worked.run(job)
    assert (released.status, released.attempts, released.code) == (JobStatus.PENDING, attempts, code)
    assert await keys_of(worked.parts) == {job.staging_key}


async def test_pipeline_asks_a_remote_moderator_no_more_often_than_it_may(work: Work) -> None:
    service = Service()
    service.max_calls_per_day = 1
    worked = work(sources=REMOTE, remote_moderator=service, moderator=Scripted())
    assert (await worked.run(await worked.job())).status is JobStatus.COMPLETE
    released = await worked.run(await worked.job())
    assert (released.status, released.attempts, released.code) == (JobStatus.PENDING, 0, "moderator_unavailable")
    assert service.asked == 1


class Looked(DatedStorage):
    """A storage that looks at the job on record while its files are published."""

    def __init__(self) -> None:
        super().__init__()
        self.look: Callable[[], Awaitable[None]] | None = None

    async def put(self, key: str, body: Any) -> None:
        if self.look is not None:
            await self.look()
        await super().put(key, body)


async def test_pipeline_records_the_stage_and_the_model_runs_before_it_publishes(work: Work) -> None:
    storage = Looked()
    worked = work(storage=storage)
    job = await worked.job(model_runs=2)
    seen: set[tuple[Stage, int]] = set()

    async def look() -> None:
        found = await get_job(worked.parts.records, job.id)
        assert found is not None
        seen.add((found.stage, found.model_runs))

    storage.look = look
    await worked.run(job)
    assert seen == {(Stage.PUBLISH, 3)}


async def test_pipeline_crops_at_the_focal_point_of_the_job(work: Work) -> None:
    half = Image.new("RGB", (GOOD, 50), "red")
    half.paste("blue", (GOOD // 2, 0, GOOD, 50))
    file = io.BytesIO()
    half.save(file, "png")
    crop = {"crop": VariantSpec(width=20, height=20, fit="cover", format="png")}
    worked = work(sources={"check": SOURCE.model_copy(update={"variants": crop})})
    colours = []
    for focal_x in (0.0, 1.0):
        job = await worked.job(focal_x=focal_x)
        await worked.parts.storage.put(job.staging_key, file.getvalue())
        await worked.run(job)
        key = f"media/check/{job.source_id}/{job.media_id}/crop.png"
        with Image.open(io.BytesIO(await worked.parts.storage.get(key))) as image:
            colours.append(image.convert("RGB").getpixel((10, 10)))
    assert colours == [(255, 0, 0), (0, 0, 255)]


async def test_pipeline_goes_through_its_steps_in_order(work: Work) -> None:
    steps = Steps()
    worked = work(observer=steps)
    job = await worked.job()
    await worked.run(job)
    assert steps.begun == [(step, job.id) for step in ("attempt", "fetch", "render", "publish", "record", "finish")]
