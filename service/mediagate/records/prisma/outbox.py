"""Rows of events: written with the change that they report, read until they have been passed on."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from datetime import datetime
from functools import partial
from typing import Any

from mediagate.records.client_patches import Prisma, models
from mediagate.records.prisma.later import WAITS, type_columns
from mediagate.records.queries import execute, query
from mediagate.values import Event, EventType


async def read_outbox(client: Prisma, limit: int) -> list[Event]:
    """Return events that have not been passed on yet, oldest first."""
    order: Any = [{"createdAt": "asc"}, {"id": "asc"}]
    # Two queries that each follow an index: the second has the types that an earlier release does not know.
    found = await asyncio.gather(
        *(
            query(partial(client.mediagateevent.find_many, where={"passedOnAt": waits}, order=order, take=limit))
            for waits in (None, WAITS)
        )
    )
    events = [event_of(row) for rows in found for row in rows]
    return sorted(events, key=lambda event: (event.created_at, event.id))[:limit]


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
                **type_columns(event),
                "jobId": event.job_id,
                "data": event.data,
                "createdAt": event.created_at,
            }
        )


def event_of(row: models.MediagateEvent) -> Event:
    """Return the event of a row."""
    return Event(row.id, EventType(row.laterType or row.type), row.jobId, row.createdAt, row.data)
