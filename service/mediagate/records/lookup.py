"""Reading a single job from the records."""

from __future__ import annotations

from mediagate.records.protocol import Records
from mediagate.values import Job, JobState


async def get_job(records: Records, job_id: str) -> Job | None:
    """Return a job; raises ``RecordsUnavailable``."""
    return (await records.get_jobs([job_id])).get(job_id)


async def get_state(records: Records, job_id: str) -> JobState | None:
    """Return a job and, if published, its media with variants; raises ``RecordsUnavailable``.

    Takes one query for a job that is not COMPLETE.
    """
    return (await records.changed({job_id: None})).get(job_id)
