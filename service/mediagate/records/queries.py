"""How the database is asked: what counts as no answer, and the conditions that decide whose a job is."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar

from mediagate.errors import InvalidParameter, RecordsUnavailable
from mediagate.media import JobStatus, Stage
from mediagate.records.client import Prisma
from mediagate.records.client.errors import PrismaError, RecordNotFoundError, UniqueViolationError
from mediagate.records.protocol import Reservation

log = logging.getLogger("mediagate.records")

T = TypeVar("T")
POSTGRES_NUL = r"encoding \"UTF8\": 0x00"
LIVE = [JobStatus.PENDING.value, JobStatus.PROCESSING.value]


async def ask(query: Callable[[], Awaitable[T]]) -> T:
    """Run a query once.

    Raises ``RecordsUnavailable`` when the database or its engine does not answer, ``InvalidParameter`` for a NUL
    character, which PostgreSQL cannot keep.
    """
    try:
        return await query()
    except (UniqueViolationError, RecordNotFoundError):
        raise
    except (PrismaError, OSError) as exc:
        if POSTGRES_NUL in str(exc):
            raise InvalidParameter("take the NUL character out of the text") from exc
        log.warning("the database or its engine did not answer: %s", type(exc).__name__, exc_info=exc)
        raise RecordsUnavailable("the database does not answer; try again in a moment") from exc


async def read(query: Callable[[], Awaitable[T]]) -> T:
    """Run a query that changes nothing, once more if the engine or its connection had gone away."""
    try:
        return await ask(query)
    except RecordsUnavailable:
        return await ask(query)


async def finds(change: Callable[[], Awaitable[object]]) -> bool:
    """Run a change that names one row; ``False``, and nothing changed, when there is no such row."""
    try:
        await ask(change)
    except RecordNotFoundError:
        return False
    return True


async def adds(change: Callable[[], Awaitable[object]]) -> bool:
    """Run a change that adds rows; ``False``, and nothing added, when one of them is there already."""
    try:
        await ask(change)
    except UniqueViolationError:
        return False
    return True


async def reserve_key(client: Prisma, key: str, *, now: datetime, expires_at: datetime) -> Reservation | None:
    """Reserve an ``Idempotency-Key``: the insert that succeeds is the one that wins."""
    keys = client.mediagateidempotencykey
    for _ in range(2):
        try:
            await ask(lambda: keys.create(data={"key": key, "expiresAt": expires_at}))
        except UniqueViolationError:
            row = await ask(lambda: keys.find_unique(where={"key": key}))
            if row is not None and row.expiresAt > now:
                return Reservation(key, row.jobId, row.fingerprint)
            await ask(lambda: keys.delete_many(where={"key": key, "expiresAt": {"lte": now}}))
        else:
            return None
    return Reservation(key, None, None)


def elsewhere(known: Mapping[str, tuple[JobStatus, Stage] | None]) -> Any:
    """Return the condition of a job that stands elsewhere than known."""
    ids: defaultdict[tuple[JobStatus, Stage] | None, list[str]] = defaultdict(list)
    for job_id, place in known.items():
        ids[place].append(job_id)
    return {
        "OR": [
            {"id": {"in": there}}
            | ({"NOT": [{"status": place[0].value, "stage": place[1].value}]} if place is not None else {})
            for place, there in ids.items()
        ]
    }


def claimable(now: datetime) -> Any:
    """Return the condition of a job that may be claimed."""
    return {
        "attemptsLeft": {"gt": 0},
        "OR": [
            {"status": JobStatus.PENDING.value, "availableAt": {"lte": now}},
            {"status": JobStatus.PROCESSING.value, "leaseUntil": {"lte": now}},
        ],
    }


def exhausted(now: datetime) -> Any:
    """Return the condition of a job that has no attempt left and no worker."""
    return {
        "attemptsLeft": {"lte": 0},
        "OR": [
            {"status": JobStatus.PENDING.value},
            {"status": JobStatus.PROCESSING.value, "leaseUntil": {"lte": now}},
        ],
    }


def held(job_id: str, owner: str) -> Any:
    """Return the condition of a job under this owner's lease."""
    return {"id": job_id, "status": JobStatus.PROCESSING.value, "leaseOwner": owner}
