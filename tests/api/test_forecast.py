"""The estimate of the time until a job ends."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from mediagate import Job, JobStatus, Stage
from mediagate.api.forecast import Forecast
from mediagate.errors import RecordsUnavailable
from mediagate.intake import Backlog
from mediagate.records import Settlement
from mediagate.testing.outputs import a_pipeline
from mediagate.testing.record_samples import LEASE, a_job, a_media
from tests.support.bare_parts import NOW, SetRecords

pytestmark = pytest.mark.anyio


async def completed(records: SetRecords, job: Job, seconds: float) -> None:
    """Record a job that took this long."""
    await records.create_job(job)
    claimed = await records.claim(job.id, owner="w", now=NOW, lease_until=NOW + LEASE)
    assert claimed is not None
    media = None if job.spec else a_media(job)
    ended = Settlement(JobStatus.COMPLETE, media)
    assert await records.settle(claimed, owner="w", now=NOW + timedelta(seconds=seconds), settlement=ended)


def forecast(records: SetRecords) -> Forecast:
    return Forecast(records, Backlog(records, least_ms=1000))


def begun(job: Job) -> Job:
    return replace(job, status=JobStatus.PROCESSING, stage=Stage.MODERATE)


async def test_forecast_is_the_mean_of_jobs_of_the_kind_and_source() -> None:
    records = SetRecords()
    for seconds in (2.0, 4.0):
        await completed(records, a_job(NOW), seconds)
    await completed(records, a_job(NOW, source_type="other"), 60)
    await completed(records, a_pipeline(NOW), 30)
    assert await forecast(records).seconds_left(a_job(NOW)) == 3
    assert await forecast(records).seconds_left(a_pipeline(NOW)) == 30
    assert await forecast(records).seconds_left(a_job(NOW, source_type="third")) is None


@pytest.mark.parametrize(("characters", "counted"), [(10, 100), (100_000, 20)])
async def test_forecast_reads_fewer_jobs_if_they_are_large(characters: int, counted: int) -> None:
    records = SetRecords()
    for number in range(110):
        job = a_pipeline(NOW - timedelta(seconds=110 - number))
        assert job.spec is not None
        steps = ({"op": "lut", "cube": "x" * characters},)
        await completed(records, replace(job, spec=replace(job.spec, steps=steps)), 1 + number)
    mean = 110 - (counted - 1) / 2
    assert await forecast(records).seconds_left(a_pipeline(NOW)) == math.ceil(mean)


async def test_forecast_shrinks_with_the_progress() -> None:
    records = SetRecords()
    await completed(records, a_job(NOW), 10)
    working = begun(a_job(NOW))
    assert await forecast(records).seconds_left(working) == 9
    assert await forecast(records).seconds_left(replace(working, stage=Stage.PUBLISH)) == 3
    assert await forecast(records).seconds_left(replace(working, status=JobStatus.FAILED)) is None


async def test_forecast_adds_the_time_in_the_queue() -> None:
    records = SetRecords()
    await completed(records, a_job(NOW), 1)
    await records.create_job(a_job(NOW))
    records.time = NOW + timedelta(seconds=20)
    late = a_job(records.time)
    assert await forecast(records).seconds_left(late) == 21


async def test_forecast_is_unknown_while_the_records_are_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    records = SetRecords()

    async def away(**_: Any) -> Sequence[Job]:
        raise RecordsUnavailable("away")

    monkeypatch.setattr(records, "list_jobs", away)
    assert await forecast(records).seconds_left(a_job(NOW)) is None
