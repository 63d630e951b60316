"""When a job is tried again after an attempt that failed, and how it ends if it is not."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from mediagate import Job, JobStatus, Settings, Stage
from mediagate.errors import (
    ImageCrashed,
    ImageTimeout,
    ModeratorUnavailable,
    ProcessingError,
    RecordsUnavailable,
    StagedFileLost,
    StorageUnavailable,
)
from mediagate.jobs.retries import Retries, failure
from mediagate.testing.record_samples import a_job

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
FIRST_S = 2.0


@pytest.fixture
def retries() -> Retries:
    return Retries(Settings(retry_backoff_s=FIRST_S))


def tried(attempts: int, max_attempts: int = 20, code: str | None = None) -> Job:
    return replace(a_job(NOW - timedelta(hours=1)), attempts=attempts, max_attempts=max_attempts, code=code)


def pause_s(retries: Retries, exc: Exception, job: Job) -> float:
    retry = retries.after(exc, job, NOW)
    assert retry is not None
    return (retry.at - NOW).total_seconds()


def test_retries_double_the_pause_after_each_failure(retries: Retries) -> None:
    pauses = [pause_s(retries, ImageCrashed("died"), tried(attempts)) for attempts in (1, 2, 3, 4)]
    assert pauses == [2, 4, 8, 16]


def test_retries_pause_for_five_minutes_at_most(retries: Retries) -> None:
    assert [pause_s(retries, ImageCrashed("died"), tried(attempts)) for attempts in (8, 9, 19)] == [256, 300, 300]


def test_retries_count_an_attempt_that_the_job_itself_failed(retries: Retries) -> None:
    retry = retries.after(ImageCrashed("died"), tried(1), NOW)
    assert retry is not None
    assert retry.counted is True


@pytest.mark.parametrize(("attempts", "again"), [(2, True), (3, False), (4, False)])
def test_retries_end_with_the_last_attempt(retries: Retries, attempts: int, again: bool) -> None:
    retry = retries.after(ImageCrashed("died"), tried(attempts, max_attempts=3), NOW)
    assert (retry is not None) is again


def test_retries_try_a_picture_that_ran_out_of_time_once_more(retries: Retries) -> None:
    slow = ImageTimeout("too slow")
    assert retries.after(slow, tried(1), NOW) is not None
    assert retries.after(slow, tried(2, code="image_timeout"), NOW) is None
    assert retries.after(ImageCrashed("died"), tried(2, code="image_timeout"), NOW) is None
    assert retries.after(slow, tried(2, code="image_crashed"), NOW) is not None


def test_retries_try_an_unknown_error_again(retries: Retries) -> None:
    assert retries.after(RuntimeError("a bug"), tried(1), NOW) is not None


def test_retries_leave_an_error_that_no_retry_can_help(retries: Retries) -> None:
    assert retries.after(StagedFileLost("gone"), tried(1), NOW) is None


@pytest.mark.parametrize("error", [StorageUnavailable, RecordsUnavailable, ModeratorUnavailable])
def test_retries_do_not_count_an_outage_even_on_the_last_attempt(
    retries: Retries, error: type[StorageUnavailable]
) -> None:
    retry = retries.after(error("away"), tried(3, max_attempts=3), NOW)
    assert retry is not None
    assert retry.counted is False


def test_retries_find_an_outage_inside_a_group(retries: Retries) -> None:
    group = ExceptionGroup("writes", [StorageUnavailable("away"), StorageUnavailable("away")])
    retry = retries.after(group, tried(3, max_attempts=3), NOW)
    assert retry is not None
    assert retry.counted is False


def test_retries_double_the_pause_with_each_outage_up_to_a_minute(retries: Retries) -> None:
    for most_s in (2, 4, 8, 16, 32, 60, 60, 60, 60, 60, 60, 60, 60):
        # Half of it to all of it, so that not all workers come back together.
        assert most_s / 2 <= pause_s(retries, StorageUnavailable("away"), tried(1)) <= most_s


def test_retries_spread_the_jobs_of_an_outage() -> None:
    pauses = {
        pause_s(Retries(Settings(retry_backoff_s=FIRST_S)), StorageUnavailable("away"), tried(1)) for _ in range(20)
    }
    assert len(pauses) > 1


def test_retries_wait_up_to_1024_times_the_first_pause_in_an_outage() -> None:
    retries = Retries(Settings(retry_backoff_s=0.01))
    pauses = [pause_s(retries, StorageUnavailable("away"), tried(1)) for _ in range(40)]
    assert min(pauses[10:]) >= 5.12
    assert max(pauses[10:]) <= 10.24


def test_retries_begin_with_the_first_pause_after_an_attempt_came_through(retries: Retries) -> None:
    for _ in range(5):
        pause_s(retries, StorageUnavailable("away"), tried(1))
    retries.came_through()
    assert pause_s(retries, StorageUnavailable("away"), tried(1)) <= FIRST_S


@pytest.mark.parametrize(("age", "counted"), [(timedelta(days=1, seconds=-1), False), (timedelta(days=1), True)])
def test_retries_count_an_outage_from_a_day_after_the_upload_on(
    retries: Retries, age: timedelta, counted: bool
) -> None:
    retry = retries.after(StorageUnavailable("away"), replace(tried(1), created_at=NOW - age), NOW)
    assert retry is not None
    assert retry.counted is counted


def test_retries_end_an_outage_of_a_day_with_the_last_attempt(retries: Retries) -> None:
    job = replace(tried(3, max_attempts=3), created_at=NOW - timedelta(days=1))
    assert retries.after(StorageUnavailable("away"), job, NOW) is None


def test_failure_tells_the_kind_and_what_a_client_may_know() -> None:
    settlement = failure(ImageCrashed("exit 139 in /srv/secret"), Stage.MODERATE)
    assert settlement.status is JobStatus.FAILED
    assert settlement.error == ("Image crashed while checking and resizing: the picture crashed the image process")
    assert (settlement.code, settlement.retryable) == ("image_crashed", True)


def test_failure_says_when_it_was_publishing() -> None:
    error = failure(StorageUnavailable("away"), Stage.PUBLISH).error
    assert error is not None
    assert error.startswith("Storage unavailable while publishing: ")


def test_failure_names_the_step_of_a_pipeline() -> None:
    torn = ProcessingError("torn")
    torn.step, torn.op = 2, "blur"
    assert str(failure(torn, Stage.MODERATE).error).startswith("Processing error while running step 2 (blur): ")
    assert "step" not in str(failure(ProcessingError("torn"), Stage.MODERATE).error)


def test_failure_is_retryable_as_its_error_is() -> None:
    assert failure(ProcessingError("torn"), Stage.MODERATE).retryable is True
    settlement = failure(StagedFileLost("gone"), Stage.MODERATE)
    assert (settlement.code, settlement.retryable) == ("staged_file_lost", False)


def test_failure_keeps_a_bugs_own_words_in_the_log() -> None:
    settlement = failure(RuntimeError("secret"), Stage.PUBLISH)
    assert settlement.status is JobStatus.FAILED
    assert settlement.error == "Internal error while publishing; see the log"
    assert (settlement.code, settlement.retryable) == ("internal_error", True)
