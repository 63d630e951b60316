"""Queries about more ids than one SQL statement accepts parameters."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mediagate.records import PrismaRecords
from mediagate.testing.record_samples import a_job
from mediagate.values import JobState, JobStatus, Stage, new_id, utcnow

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

SQLITE_TAKES = 32_766


@pytest.mark.parametrize("many", [999, 1_000, 30_000, SQLITE_TAKES, 2 * SQLITE_TAKES])
async def test_records_changed_accepts_any_number_of_ids(database: str, many: int) -> None:
    records = PrismaRecords(database, migrate=True)
    await records.open()
    try:
        now = utcnow()
        first, last = a_job(now), a_job(now)
        for job in (first, last):
            await records.create_job(job)
        ids = [first.id, *(new_id("job") for _ in range(many - 2)), last.id]
        found = {job.id: JobState(replace(job, available_at=now)) for job in (first, last)}
        assert await records.changed(dict.fromkeys(ids)) == found
        assert await records.changed(dict.fromkeys(ids, (JobStatus.PROCESSING, Stage.MODERATE))) == found
        assert await records.changed(dict.fromkeys(ids, (JobStatus.PENDING, Stage.QUEUED))) == {}
    finally:
        await records.close()
