"""The stages of a job and its progress."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mediagate import Job, JobStatus, Stage
from mediagate.testing.outputs import a_pipeline
from mediagate.testing.record_samples import a_job
from mediagate.values import StageState, ended_early, utcnow


def at(job: Job, stage: Stage, *progress: int) -> Job:
    """Return a job in a stage, of whose own stages the first ones have this progress."""
    stages = [replace(one, progress=done) for one, done in zip(job.plan, progress, strict=False)]
    return replace(
        job, status=JobStatus.PROCESSING, stage=stage, stages=(*stages, *job.plan[len(stages) :]) if stages else ()
    )


@pytest.mark.parametrize(
    ("stage", "done", "progress"),
    [
        (Stage.MODERATE, (), 10),
        (Stage.MODERATE, (100,), 30),
        (Stage.MODERATE, (100, 100), 50),
        (Stage.MODERATE, (100, 100, 100), 70),
        (Stage.PUBLISH, (100, 100, 100), 70),
        (Stage.RECORD, (), 90),
    ],
)
def test_progress_of_an_upload_grows_with_its_stages(stage: Stage, done: tuple[int, ...], progress: int) -> None:
    assert at(a_job(utcnow()), stage, *done).progress == progress


def test_progress_of_a_pipeline_counts_the_inputs_of_each_step() -> None:
    job = a_pipeline(utcnow())
    assert [stage.op for stage in job.plan] == [None, "resize", "save", None]
    seen = [at(job, Stage.MODERATE, *done).progress for done in ((), (50,), (100, 50), (100, 100, 50), (100, 100, 100))]
    assert seen == [10, 20, 40, 60, 70]


@pytest.mark.parametrize("status", [status for status in JobStatus if status.terminal])
def test_progress_is_100_at_every_end(status: JobStatus) -> None:
    assert replace(a_job(utcnow()), status=status, stage=Stage.MODERATE).progress == 100


def test_stage_names_its_operation_only_if_it_has_one() -> None:
    assert "op" not in StageState("publish").to_json()
    assert StageState("step0", "resize").to_json()["op"] == "resize"


RUNNING = (
    StageState("judge", None, "running", 50),
    StageState("step0", "resize", "running", 50),
    StageState("step1", "save", "running"),
    StageState("publish"),
)


@pytest.mark.parametrize(
    ("status", "shown"),
    [
        (JobStatus.PENDING, ["pending", "pending", "pending", "pending"]),
        (JobStatus.PROCESSING, ["running", "running", "running", "pending"]),
        (JobStatus.CANCELLED, ["skipped", "skipped", "skipped", "skipped"]),
        (JobStatus.FAILED, ["failed", "failed", "failed", "skipped"]),
    ],
)
def test_stages_run_during_an_attempt_only(status: JobStatus, shown: list[str]) -> None:
    job = replace(a_pipeline(utcnow()), status=status, stages=RUNNING)
    assert [stage.status for stage in job.plan] == shown


def test_job_that_was_completed_without_stages_has_done_them_all() -> None:
    done = replace(a_job(utcnow()), status=JobStatus.COMPLETE).plan
    assert {(stage.status, stage.progress) for stage in done} == {("done", 100)}


def test_stage_of_the_step_that_failed_is_the_only_one() -> None:
    ended = ended_early(RUNNING, failed=True, step=1)
    assert [stage.status for stage in ended] == ["skipped", "skipped", "failed", "skipped"]
