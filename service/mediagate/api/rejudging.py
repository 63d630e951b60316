"""Re-judging from an open gate: begin or continue a pass, read results, and decide what waits for a person."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from mediagate.api.media import member
from mediagate.api.pages import check_page
from mediagate.api.runtime import Runtime
from mediagate.errors import ConfigError, InvalidParameter, JobConflict, UnknownSource
from mediagate.jobs import check_id, end_rejudgement, unknown_job
from mediagate.moderation import REJECTED, policy_of_published
from mediagate.parts import Parts
from mediagate.records import get_state
from mediagate.values import (
    RejudgeAction,
    Rejudgement,
    RejudgementEnd,
    RejudgementStatus,
    Rejudging,
    Verdict,
    new_id,
)

MAX_RATE = 60_000
KEPT = "Kept after human review"


async def rejudge(
    runtime: Runtime, source_type: str | None, *, action: str, moderator: str | None, outdated: bool, rate: int
) -> tuple[Rejudging, ...]:
    """Begin a pass over each source, or continue the open one; raises ``UnknownSource`` and ``InvalidParameter``."""
    parts, chosen_action = runtime.parts, member(RejudgeAction, "action", action)
    if not 1 <= rate <= MAX_RATE:
        raise InvalidParameter(f"rate: use a number of pictures per minute from 1 to {MAX_RATE:,}")
    if parts.moderator is None and parts.remote_moderator is None:
        raise InvalidParameter("moderation is off: register a moderator to judge pictures with")
    chosen = list(_judged_by(moderator, source_type, parts))
    now = await parts.records.now()
    rejudgements = parts.records.rejudgements
    return tuple(
        [
            await rejudgements.begin(Rejudging(new_id("rej"), name, chosen_action, now, now, rate, moderator, outdated))
            for name in chosen
        ]
    )


def _judged_by(moderator: str | None, source_type: str | None, parts: Parts) -> Iterator[str]:
    """Yield the source or all sources that this moderator judges; ``None``: any moderator."""
    if source_type is not None and source_type not in parts.sources:
        raise UnknownSource(f"source {source_type!r} is not configured; use one of: {', '.join(parts.sources)}")
    chosen = [source_type] if source_type is not None else list(parts.sources)
    problems = []
    for name in chosen:
        try:
            policy_of_published(parts.sources[name], parts.moderator, parts.remote_moderator, moderator)
        except ConfigError as exc:
            problems.append(f"source {name!r}: {exc.detail}")
        else:
            yield name
    if len(problems) == len(chosen):
        raise InvalidParameter("; ".join(problems))


async def close_rejudging(rejudging_id: str, runtime: Runtime) -> None:
    """Close a pass."""
    records = runtime.parts.records
    await records.rejudgements.close_rejudging(rejudging_id, now=await records.now())


async def list_rejudgements(
    runtime: Runtime, *, status: str | None, rejudging_id: str | None, limit: int, after: str
) -> Sequence[Rejudgement]:
    """Return re-judgements by id; raises ``InvalidParameter``."""
    check_page(limit)
    return await runtime.parts.records.rejudgements.list_rejudgements(
        status=None if status is None else member(RejudgementStatus, "status", status),
        rejudging_id=rejudging_id,
        limit=limit,
        after=after,
    )


async def decide(job_id: str, decision: str, runtime: Runtime) -> RejudgementStatus:
    """Keep or reject a picture that waits for a person; GONE if it was to be rejected, and has been deleted meanwhile.

    Raises ``JobNotFound``, ``JobConflict`` and ``InvalidParameter``.
    """
    if decision not in ("keep", "reject"):
        raise InvalidParameter("decision: use keep or reject")
    check_id(job_id)
    parts = runtime.parts
    rejudgements = parts.records.rejudgements
    waiting = await rejudgements.list_rejudgements(status=RejudgementStatus.REVIEW, job_id=job_id, limit=100)
    status = RejudgementStatus.REJECTED if decision == "reject" else RejudgementStatus.KEPT
    ends = [(one, RejudgementEnd(status, _decided(one.verdict, status))) for one in waiting]
    ended = [await end_rejudgement(one, end, parts, runtime.watch) for one, end in ends]
    if status in ended:
        return status
    if RejudgementStatus.GONE in ended:
        return RejudgementStatus.GONE
    state = await get_state(parts.records, job_id)
    if state is None:
        raise unknown_job(job_id)
    raise JobConflict(
        f"job {job_id} does not wait for a decision; only those with a result REVIEW do", job_status=state.job.status
    )


def _decided(verdict: Verdict | None, status: RejudgementStatus) -> Verdict:
    if status is RejudgementStatus.REJECTED:
        return replace(verdict or Verdict(), decision="reject", reason=REJECTED)
    return replace(verdict or Verdict(), decision="allow", reason=KEPT)
