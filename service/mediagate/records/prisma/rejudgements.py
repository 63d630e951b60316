"""Re-judging in the database."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from mediagate.records.client_patches import ForeignKeyViolationError, Prisma, UniqueViolationError, models
from mediagate.records.paging import cursor_after
from mediagate.records.prisma.claims import given_back_columns, held
from mediagate.records.prisma.lists import given
from mediagate.records.prisma.outbox import write_events
from mediagate.records.prisma.rejudgement_rows import (
    ended_columns,
    rejudgement_of,
    rejudgement_row,
    rejudging_of,
    rejudging_row,
    taken_down_columns,
)
from mediagate.records.prisma.rows import verdict_column
from mediagate.records.queries import execute, query, update_one
from mediagate.records.rejudgements import COUNTED, LIVE, NOT_KEPT, Rejudgements, open_key
from mediagate.values import Event, Job, JobStatus, Media, Rejudgement, RejudgementEnd, RejudgementStatus, Rejudging

COMPLETE = JobStatus.COMPLETE.value
PROCESSING = RejudgementStatus.PROCESSING.value
UNFINISHED: Any = {"in": [status.value for status in LIVE]}
OPEN: Any = {"NOT": [{"open": None}]}
IN_PROGRESS: Any = {"rejudgements": {"where": {"status": UNFINISHED}}}


class PrismaRejudgements(Rejudgements):
    """Passes and re-judgements as rows; each change is one statement, or one transaction of several."""

    def __init__(self, client: Prisma) -> None:
        self._client = client

    async def begin(self, rejudging: Rejudging) -> Rejudging:
        key = open_key(rejudging)
        new = rejudging_row(rejudging, key)
        where: Any = {"open": key}
        rate: Any = {"rate": rejudging.rate}
        while True:
            await query(lambda: self._client.mediagaterejudging.update_many(where=where, data=rate))
            found = await query(lambda: self._client.mediagaterejudging.find_unique(where=where, include=IN_PROGRESS))
            if found is not None:
                return rejudging_of(found)
            try:
                await execute(lambda: self._client.mediagaterejudging.create(data=new))
            except UniqueViolationError:
                continue  # another call was faster
            return rejudging

    async def get_rejudgings(self, rejudging_ids: Collection[str] = ()) -> Sequence[Rejudging]:
        where: Any = {"id": {"in": list(rejudging_ids)}} if rejudging_ids else OPEN
        order: Any = [{"createdAt": "asc"}, {"id": "asc"}]
        rows = await query(
            lambda: self._client.mediagaterejudging.find_many(where=where, order=order, include=IN_PROGRESS)
        )
        return [rejudging_of(row) for row in rows]

    async def close_rejudging(self, rejudging_id: str, *, now: datetime) -> None:
        this: Any = {"id": rejudging_id}
        drawing: Any = {**this, "drawnAt": None}
        rest: Any = {"rejudgingId": rejudging_id, "status": UNFINISHED}

        async def all_of_it() -> None:
            async with self._client.batch_() as batch:
                batch.mediagaterejudging.update_many(where=drawing, data={"drawnAt": now})
                batch.mediagaterejudging.update_many(where=this, data={"open": None})
                batch.mediagaterejudgement.delete_many(where=rest)

        await query(all_of_it)

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
        change: Any = {"claims": {"increment": 1}, "nextAt": next_at, "current": {"increment": current}}
        change |= {"drawnAt": now} if after is None else {"cursor": cursor_after(after)}

        async def both() -> None:
            async with self._client.batch_() as batch:
                # Fails, together with the insert, when the pass has changed since it was read.
                batch.mediagaterejudging.update(where=_unchanged(rejudging), data=change)
                if claimed is not None:
                    batch.mediagaterejudgement.create(data=rejudgement_row(claimed, now))

        try:
            return await update_one(both)
        except (ForeignKeyViolationError, UniqueViolationError):
            return False

    async def claim_again(
        self, rejudging: Rejudging, *, owner: str, now: datetime, lease_until: datetime, next_at: datetime
    ) -> Rejudgement | None:
        due: Any = {
            "rejudgingId": rejudging.id,
            "OR": [
                {"status": RejudgementStatus.PENDING.value, "availableAt": {"lte": now}},
                {"status": PROCESSING, "leaseUntil": {"lte": now}},
            ],
        }
        order: Any = [{"availableAt": "asc"}, {"id": "asc"}]
        table = self._client.mediagaterejudgement
        row = await query(lambda: table.find_first(where=due, order=order))
        if row is None:
            return None
        claim: Any = {
            "status": PROCESSING,
            "attempts": {"increment": 1},
            "leaseOwner": owner,
            "leaseUntil": lease_until,
        }

        async def both() -> None:
            async with self._client.batch_() as batch:
                batch.mediagaterejudging.update(
                    where=_unchanged(rejudging), data={"claims": {"increment": 1}, "nextAt": next_at}
                )
                batch.mediagaterejudgement.update(where=_as(row), data=claim)

        if not await update_one(both):
            return None
        found = await query(lambda: table.find_unique(where={"id": row.id}))
        mine = found is not None and found.leaseOwner == owner
        return rejudgement_of(found) if found is not None and mine else None

    async def advance(self, rejudgement_id: str, *, owner: str, lease_until: datetime) -> bool:
        return await self._change(rejudgement_id, owner, {"leaseUntil": lease_until})

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
        change = given_back_columns(available_at, error, code, count_attempt=count_attempt)
        if not count_attempt:
            waits: Any = {"rejudgements": {"some": held(rejudgement_id, owner)}, "nextAt": {"lt": available_at}}
            await query(lambda: self._client.mediagaterejudging.update_many(where=waits, data={"nextAt": available_at}))
        return await self._change(rejudgement_id, owner, change)

    async def end(
        self,
        rejudgement: Rejudgement,
        end: RejudgementEnd,
        *,
        now: datetime,
        taken_down: Job | None = None,
        events: tuple[Event, ...] = (),
    ) -> bool:
        one = rejudgement
        mine: Any = {"id": one.id, "status": one.status.value, "leaseOwner": one.lease_owner}
        verdict: Any = {"verdict": verdict_column(end.verdict)}
        published: Any = {"id": one.job_id, "status": COMPLETE}

        async def all_of_it() -> None:
            async with self._client.batch_() as batch:
                # Fails, together with the rest, unless the re-judgement is as it was read.
                if end.status in NOT_KEPT:
                    batch.mediagaterejudgement.delete(where=mine)
                else:
                    batch.mediagaterejudgement.update(where=mine, data=ended_columns(end, now))
                if not one.status.terminal:
                    count: Any = {COUNTED[end.status]: {"increment": 1}}
                    batch.mediagaterejudging.update(where={"id": one.rejudging_id}, data=count)
                if taken_down is not None:
                    batch.mediagatejob.update(where=published, data=taken_down_columns(taken_down))
                    batch.mediagatemedia.delete(where={"id": one.media_id})
                    write_events(batch, events)
                elif end.status in (RejudgementStatus.PASSED, RejudgementStatus.KEPT):
                    batch.mediagatejob.update_many(where=published, data=verdict)

        return await update_one(all_of_it)

    async def list_rejudgements(
        self,
        *,
        status: RejudgementStatus | None = None,
        rejudging_id: str | None = None,
        job_id: str | None = None,
        limit: int,
        after: str = "",
    ) -> Sequence[Rejudgement]:
        where = given(status=status and status.value, rejudgingId=rejudging_id, jobId=job_id) | {"id": {"gt": after}}
        order: Any = {"id": "asc"}
        rows = await query(lambda: self._client.mediagaterejudgement.find_many(where=where, order=order, take=limit))
        return [rejudgement_of(row) for row in rows]

    async def _change(self, rejudgement_id: str, owner: str, change: Any) -> bool:
        mine = held(rejudgement_id, owner)
        return bool(await query(lambda: self._client.mediagaterejudgement.update_many(where=mine, data=change)))


def _unchanged(rejudging: Rejudging) -> Any:
    """Return the condition of an open pass that nobody has changed since it was read."""
    return {"id": rejudging.id, "claims": rejudging.claims, **OPEN}


def _as(row: models.MediagateRejudgement) -> Any:
    """Return the condition of a re-judgement that nobody has changed since it was read."""
    return {"id": row.id, "attempts": row.attempts, "status": row.status, "leaseOwner": row.leaseOwner}
