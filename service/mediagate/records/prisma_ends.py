"""How jobs and media end in the database: each end is one transaction with the events that tell of it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from mediagate.records.client import Prisma, models
from mediagate.records.queries import LIVE, execute, exhausted, find_exhausted, held, query, update_one
from mediagate.records.rows import job_of, media_row, settled_columns
from mediagate.records.settlement import Settlement, died_each_time
from mediagate.values import Event, EventsOf, EventType, Job, JobStatus, no_events


class PrismaEnds:
    """The part of the records that ends things, and the outbox."""

    client: Prisma

    async def settle(
        self, job: Job, *, owner: str, now: datetime, settlement: Settlement, events_of: EventsOf = no_events
    ) -> bool:
        """End a job in one transaction that checks the lease owner."""
        return await self._settle(held(job.id, owner), job, settlement, now, events_of)

    async def fail_exhausted(self, *, now: datetime, limit: int, events_of: EventsOf = no_events) -> Sequence[str]:
        """Fail live jobs whose worker died on each attempt."""
        failed = []
        for row in await find_exhausted(self.client, now, limit):
            job = job_of(row)
            if await self._settle({"id": job.id, **exhausted(now)}, job, died_each_time(job), now, events_of):
                failed.append(job.id)
        return failed

    async def cancel(self, job_id: str, *, now: datetime, events_of: EventsOf = no_events) -> Job | None:
        """Move a live job to CANCELLED, taking its lease away."""
        data = {"status": JobStatus.CANCELLED.value, "finishedAt": now, "leaseOwner": None, "leaseUntil": None}
        while True:
            row = await query(lambda: self.client.mediagatejob.find_unique(where={"id": job_id}))
            if row is None or row.status not in LIVE:
                return None
            job = replace(job_of(row), status=JobStatus.CANCELLED, finished_at=now, lease_owner=None, lease_until=None)
            # What was read is what is cancelled and told of; a job that moves on meanwhile is read again.
            where = {"id": job_id, "status": row.status, "stage": row.stage, "attempts": row.attempts}
            if await self._end(where, data, events_of(job)):
                return job

    async def delete_media(self, media_id: str, *, events: tuple[Event, ...] = ()) -> bool:
        """Delete a media row and its variants."""

        async def both() -> None:
            async with self.client.batch_() as batch:
                batch.mediagatemedia.delete(where={"id": media_id})
                _write(batch, events)

        return await update_one(both, unheard=True)

    async def outbox(self, *, limit: int) -> Sequence[Event]:
        """Return events that were not passed on yet, oldest first."""
        order: Any = [{"createdAt": "asc"}, {"id": "asc"}]
        rows = await query(
            lambda: self.client.mediagateevent.find_many(where={"passedOnAt": None}, order=order, take=limit)
        )
        return [event_of(row) for row in rows]

    async def passed_on(self, event_ids: Collection[str], *, now: datetime) -> None:
        """Take events out of the outbox."""
        where: Any = {"id": {"in": list(event_ids)}}
        await execute(lambda: self.client.mediagateevent.update_many(where=where, data={"passedOnAt": now}))

    async def _settle(self, where: Any, job: Job, settlement: Settlement, now: datetime, events_of: EventsOf) -> bool:
        data = {**settled_columns(settlement), "finishedAt": now}
        return await self._end(where, data, events_of(settlement.state_of(job, now).job), media=settlement.media)

    async def _end(self, where: Any, data: Any, events: tuple[Event, ...], media: Any = None) -> bool:
        """Change a job, and write what goes with that, unless it stands elsewhere."""
        if media is None and not events:
            return bool(await execute(lambda: self.client.mediagatejob.update_many(where=where, data=data)))

        async def all_of_it() -> None:
            # All in one request: a transaction held open from here would keep SQLite's only write lock meanwhile.
            async with self.client.batch_() as batch:
                # Fails, and the rest with it, unless the job stands there.
                batch.mediagatejob.update(where=where, data=data)
                if media is not None:
                    batch.mediagatemedia.create(data=media_row(media))
                _write(batch, events)

        return await update_one(all_of_it)


def _write(batch: Any, events: tuple[Event, ...]) -> None:
    for event in events:
        batch.mediagateevent.create(
            data={
                "id": event.id,
                "type": event.type.value,
                "jobId": event.job_id,
                "data": event.data,
                "createdAt": event.created_at,
            }
        )


def event_of(row: models.MediagateEvent) -> Event:
    """Return the event of a row."""
    return Event(row.id, EventType(row.type), row.jobId, row.createdAt, row.data)
