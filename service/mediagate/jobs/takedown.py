"""The end of a re-judgement, and taking a published picture down."""

from __future__ import annotations

from dataclasses import replace

from mediagate.jobs.end import finish
from mediagate.jobs.events import deletion_events, job_events
from mediagate.jobs.watch import Watch
from mediagate.moderation import REJECTED
from mediagate.parts import Parts
from mediagate.records import get_state
from mediagate.values import JobState, JobStatus, Rejudgement, RejudgementEnd, RejudgementStatus

TAKEN_DOWN = "the picture was published before it was rejected"
"""The warning of a job whose picture was taken down."""


async def end_rejudgement(
    one: Rejudgement, end: RejudgementEnd, parts: Parts, watch: Watch
) -> RejudgementStatus | None:
    """End a re-judgement that a worker has claimed, or that waits for a person; ``None`` if it is neither any more.

    Returns its status, which is GONE instead of REJECTED if the media has been deleted. If it is REJECTED, its job
    becomes so in the same transaction, which deletes the media. The rest is the end of every rejected job: files go and
    hooks run, and the janitor repeats that after a crash.
    """
    records = parts.records
    now = await records.now()

    async def ended(end: RejudgementEnd) -> RejudgementStatus | None:
        return end.status if await records.rejudgements.end(one, end, now=now) else None

    if end.status is not RejudgementStatus.REJECTED:
        return await ended(end)
    state = await get_state(records, one.job_id)
    if state is None or state.media is None:
        return await ended(RejudgementEnd(RejudgementStatus.GONE))
    job = replace(
        state.job,
        status=JobStatus.REJECTED,
        verdict=end.verdict,
        reason=(end.verdict.reason if end.verdict is not None else "") or REJECTED,
        code="moderation_rejected",
        warnings=(*state.job.warnings, TAKEN_DOWN),
        finished_at=now,
        notified_at=None,
    )
    events = (*job_events(job, parts), *deletion_events(state.media, parts, now))
    if not await records.rejudgements.end(one, end, now=now, taken_down=job, events=events):
        found = await get_state(records, one.job_id)
        # Only the database's answer may have been lost.
        if found is None or (found.job.status, found.job.finished_at) != (JobStatus.REJECTED, now):
            return await ended(RejudgementEnd(RejudgementStatus.GONE))
    watch.publish(JobState(job))
    await parts.hooks.run("on_deleted", state.media)
    await finish(JobState(job), parts)
    return end.status
