"""Pipelines, batches and release 0.1.0, which knows neither of them.

Pipelines: their times in the queue are stored a thousand years later than they are.

That release would take the job of a pipeline for an upload. It claims, and fails, only jobs whose ``availableAt`` or
``leaseUntil`` has passed, so it leaves these alone, and reads them without an error. Of jobs with the same turn,
pipelines are claimed last.

Batches: that release passes on events whose ``passedOnAt`` is null, and stops at a type that it does not know. So the
events of batches wait under another value, and have their type in a column of their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from mediagate.records.client_patches import Prisma
from mediagate.records.prisma.job_changes import change_job
from mediagate.values import Event, EventType, JobKind

LATER = timedelta(days=365_000)
BOUND = datetime(2500, 1, 1, tzinfo=UTC)
"""All times in the queue from here on are those of pipelines."""
MOVED = ("availableAt", "leaseUntil")


def columns_of(kind: JobKind, columns: Mapping[str, Any]) -> Any:
    """Return columns of a job of this kind as they are stored."""
    if kind is JobKind.MEDIA:
        return dict(columns)
    return {name: value + LATER if name in MOVED and value is not None else value for name, value in columns.items()}


def time_of(stored: datetime | None) -> datetime | None:
    """Return the time in the queue that a stored one stands for."""
    return stored if stored is None or stored < BOUND else stored - LATER


def passed(column: str, now: datetime) -> Any:
    """Return the condition that a time in the queue has passed, for a job of any kind."""
    return {"OR": [{column: times} for times in passed_times(now)]}


def passed_times(now: datetime) -> Sequence[Any]:
    """Return the conditions of stored times that have passed: of uploads, and of pipelines."""
    return {"lte": now}, {"gte": BOUND, "lte": now + LATER}


LATER_TYPES = (EventType.BATCH_COMPLETED,)
"""Types of events that release 0.1.0 does not know."""
WAITS = datetime(3000, 1, 1, tzinfo=UTC)
"""``passedOnAt`` of events of these types until they are passed on."""


def type_columns(event: Event) -> Any:
    """Return the columns of a new event that depend on its type."""
    if event.type not in LATER_TYPES:
        return {"type": event.type.value}
    return {"type": EventType.JOB_COMPLETED.value, "laterType": event.type.value, "passedOnAt": WAITS}


async def change_any(client: Prisma, where: Mapping[str, Any], columns: Mapping[str, Any]) -> bool:
    """Change a job of any kind, as ``change_job`` does."""
    for kind in JobKind:
        if await change_job(client, {**where, "kind": kind.value}, columns_of(kind, columns)):
            return True
    return False
