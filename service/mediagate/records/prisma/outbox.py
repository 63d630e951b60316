"""Rows of events: written with the change that they report, read until they have been passed on."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from mediagate.records.client_patches import Prisma, models
from mediagate.records.queries import execute, query
from mediagate.values import Event, EventType


async def read_outbox(client: Prisma, limit: int) -> list[Event]:
    """Return events that have not been passed on yet, oldest first."""
    order: Any = [{"createdAt": "asc"}, {"id": "asc"}]
    rows = await query(lambda: client.mediagateevent.find_many(where={"passedOnAt": None}, order=order, take=limit))
    return [event_of(row) for row in rows]


async def passed_on(client: Prisma, event_ids: Collection[str], now: datetime) -> None:
    """Remove events from the outbox."""
    where: Any = {"id": {"in": list(event_ids)}}
    await execute(lambda: client.mediagateevent.update_many(where=where, data={"passedOnAt": now}))


def write_events(batch: Any, events: tuple[Event, ...]) -> None:
    """Add events to a transaction."""
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
