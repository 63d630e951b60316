"""What a job is once it has been settled."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from mediagate import JobStatus, Stage, Verdict
from mediagate.records import Settlement
from mediagate.records.settlement import cancelled, died_each_time
from mediagate.testing.record_samples import a_job, a_media
from mediagate.values import StageState

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_settlement_ends_a_job_with_all_that_is_recorded_with_it() -> None:
    job = a_job(NOW, stage=Stage.PUBLISH, attempts=2, model_runs=5, lease_owner="w", lease_until=NOW)
    media, verdict = a_media(job), Verdict("reject", ("nude",), {"nude": 0.9}, 0.9, reason="no")
    ended = NOW + timedelta(seconds=3)
    state = Settlement(
        JobStatus.COMPLETE,
        media=media,
        verdict=verdict,
        reason="a reason",
        error="an error",
        code="a_code",
        retryable=True,
        timings_ms={"total": 3.5},
        warnings=("small",),
        bytes_out=77,
        model_runs=4,
    ).state_of(job, ended)
    assert state.media == media
    assert state.job == replace(
        job,
        status=JobStatus.COMPLETE,
        stage=Stage.DONE,
        lease_owner=None,
        lease_until=None,
        finished_at=ended,
        verdict=verdict,
        reason="a reason",
        error="an error",
        code="a_code",
        retryable=True,
        timings_ms={"total": 3.5},
        warnings=("small",),
        bytes_out=77,
        model_runs=9,
    )


def test_settlement_removes_what_earlier_attempts_left_on_the_job() -> None:
    job = a_job(NOW, error="earlier", code="image_crashed", retryable=True, reason="r", timings_ms={"total": 1.0})
    ended = Settlement(JobStatus.COMPLETE).state_of(job, NOW).job
    assert (ended.error, ended.code, ended.retryable, ended.reason, ended.timings_ms) == (None, None, False, None, {})


def test_died_each_time_names_the_stage_and_the_attempts() -> None:
    settlement = died_each_time(a_job(NOW, stage=Stage.MODERATE, attempts=3))
    assert settlement.status is JobStatus.FAILED
    assert settlement.error == "the worker died at stage moderate on each of 3 attempts"
    assert (settlement.code, settlement.retryable) == ("attempts_exhausted", True)


def test_died_each_time_keeps_what_is_known_of_the_stages() -> None:
    stages = (StageState("decode", status="done", progress=100, ms=3.0), StageState("judge", status="failed"))
    assert died_each_time(a_job(NOW, stages=stages)).stages == stages


def test_cancelled_job_has_ended_and_belongs_to_no_worker() -> None:
    ended = cancelled(a_job(NOW, lease_owner="w", lease_until=NOW), NOW + timedelta(seconds=3))
    assert (ended.status, ended.finished_at) == (JobStatus.CANCELLED, NOW + timedelta(seconds=3))
    assert (ended.lease_owner, ended.lease_until) == (None, None)


def test_died_each_time_keeps_the_last_error_that_an_attempt_told() -> None:
    settlement = died_each_time(a_job(NOW, attempts=3, error="too slow", code="image_timeout"))
    assert (settlement.error, settlement.code) == ("too slow", "image_timeout")
