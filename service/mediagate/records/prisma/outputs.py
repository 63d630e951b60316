"""Outputs of pipelines in the database."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from mediagate.records.client_patches import Prisma
from mediagate.records.outputs import Outputs
from mediagate.records.prisma.expiry import EXPIRY, expired
from mediagate.records.prisma.pipeline_columns import outputs_of
from mediagate.records.prisma.rows import job_of
from mediagate.records.queries import query, update_one
from mediagate.values import Job, JobKind, JobState, JobStatus, Output


async def read_outputs(client: Prisma, jobs: Collection[Job]) -> Mapping[str, tuple[Output, ...]]:
    """Return the outputs of those of these jobs that have any, by the job's id; without a pipeline takes no query."""
    ids = [job.id for job in jobs if job.kind is JobKind.PIPELINE and job.status is JobStatus.COMPLETE]
    if not ids:
        return {}
    where: Any = {"jobId": {"in": ids}}
    rows = await query(lambda: client.mediagateoutput.find_many(where=where))
    return {job_id: outputs_of(row for row in rows if row.jobId == job_id) for job_id in ids}


class PrismaOutputs(Outputs):
    """The outputs beside the jobs that they belong to."""

    def __init__(self, client: Prisma) -> None:
        self._client = client

    async def expired(self, *, now: datetime, limit: int, after: Job | None = None) -> Sequence[JobState]:
        rows = await query(
            lambda: self._client.mediagatejob.find_many(
                where=expired(now, after), order=EXPIRY, take=limit, include={"outputs": True}
            )
        )
        return [JobState(job_of(row), None, outputs_of(row.outputs or ())) for row in rows]

    async def clear(self, job_id: str, *, now: datetime) -> bool:
        where: Any = {"id": job_id, "kind": JobKind.PIPELINE.value, "status": JobStatus.COMPLETE.value}
        where["clearedAt"] = None
        data: Any = {"clearedAt": now, "expiresAt": None, "result": None}
        theirs: Any = {"jobId": job_id}

        async def both() -> None:
            async with self._client.batch_() as batch:
                # Fails, together with the rest, if it was done before.
                batch.mediagatejob.update(where=where, data=data)
                batch.mediagateoutput.delete_many(where=theirs)

        return await update_one(both, unheard=True)
