"""Which attempts run alone, and how one waits for the others to end."""

from __future__ import annotations

import asyncio

import pytest

from mediagate.jobs.isolation import Isolation, suspect
from mediagate.testing.record_samples import a_job
from mediagate.values import utcnow


@pytest.mark.parametrize(
    ("attempts", "code", "alone"),
    [
        (1, None, False),
        (2, None, False),
        (3, None, True),
        (3, "image_crashed", False),
        (2, "image_timeout", True),
        (3, "image_timeout", True),
    ],
)
def test_suspect_is_a_last_attempt_after_silent_deaths_and_one_after_a_timeout(
    attempts: int, code: str | None, alone: bool
) -> None:
    assert suspect(a_job(utcnow(), attempts=attempts, max_attempts=3, code=code)) is alone


def test_suspect_is_not_an_only_attempt() -> None:
    assert suspect(a_job(utcnow(), attempts=1, max_attempts=1)) is False


@pytest.mark.anyio
async def test_isolation_waits_until_the_last_attempt_has_ended() -> None:
    isolation = Isolation()
    await asyncio.wait_for(isolation.alone(), 1)
    isolation.enter()
    isolation.enter()
    alone = asyncio.create_task(isolation.alone())
    isolation.leave()
    await asyncio.sleep(0.01)
    assert not alone.done()
    isolation.leave()
    await asyncio.wait_for(alone, 1)


def test_suspect_is_the_second_of_two_attempts() -> None:
    assert suspect(a_job(utcnow(), attempts=2, max_attempts=2)) is True
