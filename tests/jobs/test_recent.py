"""Answers about jobs that ended a moment ago are kept, and dropped when they might be old."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from mediagate import JobState, JobStatus
from mediagate.jobs import recent
from mediagate.jobs.recent import Answers
from mediagate.testing.record_samples import a_job

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Clock:
    """A monotonic clock that a test moves on."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def monotonic(self) -> float:
        return self.seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(recent, "time", clock)
    return clock


def ended(status: JobStatus = JobStatus.COMPLETE) -> JobState:
    return JobState(a_job(NOW, status=status))


@pytest.mark.parametrize("status", list(JobStatus))
def test_answers_keep_the_states_that_do_not_change(status: JobStatus) -> None:
    answers, state = Answers(), ended(status)
    answers.keep(state, drops=0)
    assert answers.get(state.job.id) == (state if status.terminal else None)


def test_answers_know_nothing_of_other_jobs() -> None:
    answers = Answers()
    answers.keep(ended(), drops=0)
    assert answers.get("job_other") is None


def test_answers_are_kept_for_ten_seconds(clock: Clock) -> None:
    answers, state = Answers(), ended()
    answers.keep(state, drops=0)
    clock.seconds += 9.9
    assert answers.get(state.job.id) == state
    clock.seconds += 0.1
    assert answers.get(state.job.id) is None
    # It is gone for good.
    clock.seconds -= 5
    assert answers.get(state.job.id) is None


def test_answers_forget_what_is_dropped() -> None:
    answers, state = Answers(), ended()
    answers.keep(state, drops=0)
    answers.drop(state.job.id)
    assert answers.get(state.job.id) is None


def test_answers_do_not_keep_what_was_read_before_a_drop() -> None:
    answers, state = Answers(), ended()
    drops = answers.drops
    answers.drop("job_unknown")
    answers.drop(state.job.id)
    assert answers.drops == drops + 2
    answers.keep(state, drops=drops)
    assert answers.get(state.job.id) is None
    answers.keep(state, drops=answers.drops)
    assert answers.get(state.job.id) == state


def test_answers_make_room_for_new_ones_with_the_one_asked_for_longest_ago() -> None:
    answers, first, second = Answers(), ended(), ended()
    answers.keep(first, drops=0)
    answers.keep(second, drops=0)
    for _ in range(recent.LIMIT - 2):
        answers.keep(ended(), drops=0)
    assert answers.get(first.job.id) == first
    answers.keep(ended(), drops=0)
    assert answers.get(second.job.id) is None
    assert answers.get(first.job.id) == first


def test_answers_that_are_kept_again_are_the_newest() -> None:
    answers, first, second = Answers(), ended(), ended()
    for state in (first, second, first):
        answers.keep(state, drops=0)
    for _ in range(recent.LIMIT - 1):
        answers.keep(ended(), drops=0)
    assert answers.get(first.job.id) == first
    assert answers.get(second.job.id) is None
