"""Re-judging in memory."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime

from mediagate.records.memory import transitions
from mediagate.records.memory.outbox import Outbox
from mediagate.records.paging import cursor_after
from mediagate.records.rejudgements import COUNTED, LIVE, NOT_KEPT, Rejudgements, open_key
from mediagate.values import (
    Event,
    Job,
    JobStatus,
    Media,
    Rejudgement,
    RejudgementEnd,
    RejudgementStatus,
    Rejudging,
)


class MemoryRejudgements(Rejudgements):
    """Passes and re-judgements beside the jobs and media that they are about."""

    def __init__(self, jobs: dict[str, Job], media: dict[str, Media], outbox: Outbox) -> None:
        self._jobs = jobs
        self._media = media
        self._outbox = outbox
        self._passes: dict[str, Rejudging] = {}
        self._open: dict[str, str] = {}
        """The ids of the open passes, by what they may not have in common."""
        self._all: dict[str, Rejudgement] = {}

    async def begin(self, rejudging: Rejudging) -> Rejudging:
        key = open_key(rejudging)
        found = replace(self._passes.get(self._open.get(key, ""), rejudging), rate=rejudging.rate)
        self._open[key] = found.id
        self._passes[found.id] = found
        return self._seen(found)

    async def get_rejudgings(self, rejudging_ids: Collection[str] = ()) -> Sequence[Rejudging]:
        found = [self._seen(self._passes[i]) for i in rejudging_ids or self._open.values() if i in self._passes]
        return sorted(found, key=lambda rejudging: (rejudging.created_at, rejudging.id))

    async def close_rejudging(self, rejudging_id: str, *, now: datetime) -> None:
        found = self._passes.get(rejudging_id)
        if found is None:
            return
        self._passes[found.id] = replace(found, drawn_at=found.drawn_at or now)
        self._open = {key: open_id for key, open_id in self._open.items() if open_id != found.id}
        self._all = {i: o for i, o in self._all.items() if o.rejudging_id != found.id or o.status not in LIVE}

    async def draw(
        self,
        rejudging: Rejudging,
        after: Media | None,
        *,
        now: datetime,
        next_at: datetime,
        claimed: Rejudgement | None = None,
        current: int = 0,
    ) -> bool:
        found = self._unchanged(rejudging)
        if found is None or (claimed is not None and claimed.job_id not in self._jobs):
            return False
        self._passes[found.id] = replace(
            found,
            cursor=cursor_after(after) if after is not None else found.cursor,
            claims=found.claims + 1,
            drawn_at=now if after is None else None,
            next_at=next_at,
            current=found.current + current,
        )
        if claimed is not None:
            self._all[claimed.id] = replace(claimed, available_at=claimed.available_at or now)
        return True

    async def claim_again(
        self, rejudging: Rejudging, *, owner: str, now: datetime, lease_until: datetime, next_at: datetime
    ) -> Rejudgement | None:
        due = [one for one in self._all.values() if one.rejudging_id == rejudging.id and transitions.due(one, now)]
        found = self._unchanged(rejudging)
        if not due or found is None:
            return None
        first = min(due, key=lambda one: (one.available_at or one.created_at, one.id))
        self._passes[found.id] = replace(found, claims=found.claims + 1, next_at=next_at)
        return self._put(
            replace(
                first,
                status=RejudgementStatus.PROCESSING,
                attempts=first.attempts + 1,
                lease_owner=owner,
                lease_until=lease_until,
            )
        )

    async def advance(self, rejudgement_id: str, *, owner: str, lease_until: datetime) -> bool:
        one = transitions.held(self._all.get(rejudgement_id), owner)
        if one is not None:
            self._put(replace(one, lease_until=lease_until))
        return one is not None

    async def release(
        self,
        rejudgement_id: str,
        *,
        owner: str,
        available_at: datetime,
        count_attempt: bool = True,
        error: str | None = None,
        code: str | None = None,
    ) -> bool:
        one = transitions.held(self._all.get(rejudgement_id), owner)
        if one is None:
            return False
        self._put(transitions.given_back(one, available_at, error, code, count_attempt=count_attempt))
        if not count_attempt:
            found = self._passes[one.rejudging_id]
            self._passes[found.id] = replace(found, next_at=max(found.next_at, available_at))
        return True

    async def end(
        self,
        rejudgement: Rejudgement,
        end: RejudgementEnd,
        *,
        now: datetime,
        taken_down: Job | None = None,
        events: tuple[Event, ...] = (),
    ) -> bool:
        one = self._all.get(rejudgement.id)
        if one is None or (one.status, one.lease_owner) != (rejudgement.status, rejudgement.lease_owner):
            return False
        job = self._jobs[one.job_id]
        if taken_down is not None:
            if job.status is not JobStatus.COMPLETE or one.media_id not in self._media:
                return False
            self._jobs[job.id] = taken_down
            del self._media[one.media_id]
            self._outbox.write(events)
        elif end.status in (RejudgementStatus.PASSED, RejudgementStatus.KEPT) and job.status is JobStatus.COMPLETE:
            self._jobs[job.id] = replace(job, verdict=end.verdict)
        if not one.status.terminal:
            found, name = self._passes[one.rejudging_id], COUNTED[end.status]
            self._passes[found.id] = replace(found, **{name: getattr(found, name) + 1})
        if end.status in NOT_KEPT:
            del self._all[one.id]
        else:
            self._put(_ended(one, end, now))
        return True

    async def list_rejudgements(
        self,
        *,
        status: RejudgementStatus | None = None,
        rejudging_id: str | None = None,
        job_id: str | None = None,
        limit: int,
        after: str = "",
    ) -> Sequence[Rejudgement]:
        found = [one for one in self._all.values() if one.id > after and status in (None, one.status)]
        found = [one for one in found if rejudging_id in (None, one.rejudging_id) and job_id in (None, one.job_id)]
        return sorted(found, key=lambda one: one.id)[:limit]

    def erase(self, job_ids: Collection[str]) -> None:
        """Delete the re-judgements of jobs that have been deleted."""
        erased = {job_id for job_id in job_ids if job_id not in self._jobs}
        self._all = {i: one for i, one in self._all.items() if one.job_id not in erased}

    def _unchanged(self, rejudging: Rejudging) -> Rejudging | None:
        """Return an open pass whose claims are those that the caller has read."""
        found = self._passes[rejudging.id] if rejudging.id in self._open.values() else None
        return found if found is not None and found.claims == rejudging.claims else None

    def _seen(self, rejudging: Rejudging) -> Rejudging:
        live = sum(one.rejudging_id == rejudging.id and one.status in LIVE for one in self._all.values())
        return replace(rejudging, in_progress=live)

    def _put(self, one: Rejudgement) -> Rejudgement:
        self._all[one.id] = one
        return one


def _ended(one: Rejudgement, end: RejudgementEnd, now: datetime) -> Rejudgement:
    return replace(
        one,
        status=end.status,
        lease_owner=None,
        lease_until=None,
        finished_at=now,
        verdict=end.verdict,
        error=end.error,
        code=end.code,
    )
