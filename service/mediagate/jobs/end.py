"""The work after a job's end: remove files that it no longer needs, and run the hooks."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from mediagate.jobs.batch_end import report_batch
from mediagate.jobs.publishing import unpublish
from mediagate.kernel import HookName
from mediagate.observe import about
from mediagate.parts import Parts
from mediagate.records import get_state
from mediagate.values import Job, JobState, JobStatus

log = logging.getLogger("mediagate.worker")

HOOKS: Mapping[JobStatus, HookName] = {
    JobStatus.COMPLETE: "on_complete",
    JobStatus.REJECTED: "on_rejected",
    JobStatus.FAILED: "on_failed",
    JobStatus.CANCELLED: "on_cancelled",
}


async def resume_finish(job_id: str, parts: Parts) -> None:
    """Finish a job that has ended: after a crash, or after another process ended it."""
    state = await get_state(parts.records, job_id)
    if state is not None and state.job.status.terminal:
        await finish(state, parts)


async def finish(state: JobState, parts: Parts) -> None:
    """Remove files and run the hooks. Idempotent, since it is repeated after a crash."""
    job = state.job
    log.info("job %s: %s", job.id, job.status, extra=about(job, status=str(job.status), code=job.code))
    with parts.observer.during("finish", job=job):
        if job.status is not JobStatus.COMPLETE and job.attempts and not await _completed_before(job, parts):
            await unpublish(job, parts)
        if not (job.status is JobStatus.FAILED and job.retryable):
            await parts.storage.delete(job.staged_keys)
        if job.batch_id is not None:
            # Before the hooks, by which a sender of events is woken.
            await report_batch(job.batch_id, parts)
        await parts.hooks.run(HOOKS[job.status], state)
        await parts.hooks.run("on_end", state)
        await parts.records.mark_notified(job.id, ended_at=job.finished_at, now=await parts.records.now())


async def _completed_before(job: Job, parts: Parts) -> bool:
    """Whether a failed job may have completed after the backup was taken from which the database was restored.

    Its quarantined file has been deleted then, and the files published under its keys are the only copy of the picture.
    """
    return job.status is JobStatus.FAILED and await parts.storage.stat(job.staged_keys[0]) is None
