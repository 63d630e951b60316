"""How the database is asked: what counts as no answer, and the conditions that decide whose a job is."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar

from mediagate.errors import InvalidParameter, RecordsUnavailable
from mediagate.records.client import Prisma
from mediagate.records.client.engine.errors import EngineConnectionError
from mediagate.records.client.errors import DataError, PrismaError, RecordNotFoundError, UniqueViolationError
from mediagate.records.refusals import refusal_of
from mediagate.records.reservation import Reservation
from mediagate.values import DirectUpload, JobStatus, Media, Stage

log = logging.getLogger("mediagate.records")

T = TypeVar("T")
POSTGRES_NUL = r"encoding \"UTF8\": 0x00"
RETRY_FOR_S = 3.0
"""How long a statement is repeated that cannot harm: about as long as PostgreSQL takes to start again."""
GONE = {"P1001", "P1002", "P1008", "P1017", "P2024"}
"""Prisma's codes for a database that cannot be reached, or did not answer in time (its error reference)."""
LIVE = [JobStatus.PENDING.value, JobStatus.PROCESSING.value]


async def execute(call: Callable[[], Awaitable[T]]) -> T:
    """Run a statement once.

    Raises ``RecordsUnavailable`` when the database or its engine does not answer, ``SchemaOutdated`` and
    ``RecordsRefused`` when no waiting changes its answer, ``InvalidParameter`` for a NUL character, which PostgreSQL
    cannot keep.
    """
    try:
        return await _run(call)
    except RecordsUnavailable as exc:
        _log(exc)
        raise


async def _run(call: Callable[[], Awaitable[T]]) -> T:
    try:
        return await call()
    except (UniqueViolationError, RecordNotFoundError):
        raise
    except (PrismaError, OSError) as exc:
        if POSTGRES_NUL in str(exc):
            raise InvalidParameter("take the NUL character out of the text") from exc
        refusal = refusal_of(exc)
        raise refusal or RecordsUnavailable("the database does not answer; try again in a moment") from exc


def _log(error: RecordsUnavailable) -> None:
    if type(error) is not RecordsUnavailable:
        log.warning("%s", error)
        return
    cause = error.__cause__
    log.warning("the database or its engine did not answer: %s", cause, exc_info=None if _went_away(cause) else cause)


async def query(call: Callable[[], Awaitable[T]]) -> T:
    """Run what may run twice with no harm, again for ``RETRY_FOR_S`` while the database or its engine is unavailable.

    A query that reads, or a change under a lease: when its answer was lost, the second one changes nothing more. Raises
    what ``execute`` raises.
    """
    until, pause = time.monotonic() + RETRY_FOR_S, 0.05
    while True:
        try:
            return await _run(call)
        except RecordsUnavailable as exc:
            if not _went_away(exc.__cause__) or time.monotonic() + pause > until:
                _log(exc)
                raise
        await asyncio.sleep(pause)
        pause = min(2 * pause, 0.5)


def _went_away(exc: BaseException | None) -> bool:
    return isinstance(exc, EngineConnectionError | OSError) or (isinstance(exc, DataError) and exc.code in GONE)


async def update_one(change: Callable[[], Awaitable[object]], *, unheard: bool = False) -> bool:
    """Run a change that names one row under a lease; ``False``, and nothing changed, when there is no such row.

    ``unheard`` is returned when only a repetition finds no row: the first may have changed it, and its answer was lost.
    """
    tries = 0

    async def counted() -> None:
        nonlocal tries
        tries += 1
        await change()

    try:
        await query(counted)
    except RecordNotFoundError:
        return unheard and tries > 1
    return True


async def insert(change: Callable[[], Awaitable[object]]) -> bool:
    """Run a change that adds rows; ``False``, and nothing added, when one of them is there already."""
    try:
        await execute(change)
    except UniqueViolationError:
        return False
    return True


async def reserve_key(client: Prisma, key: str, *, now: datetime, expires_at: datetime) -> Reservation | None:
    """Reserve an ``Idempotency-Key``: the insert that succeeds is the one that wins."""
    keys = client.mediagateidempotencykey
    for _ in range(2):
        try:
            await execute(lambda: keys.create(data={"key": key, "expiresAt": expires_at}))
        except UniqueViolationError:
            row = await execute(lambda: keys.find_unique(where={"key": key}))
            if row is not None and row.expiresAt > now:
                return Reservation(key, row.jobId, row.fingerprint)
            await execute(lambda: keys.delete_many(where={"key": key, "expiresAt": {"lte": now}}))
        else:
            return None
    return Reservation(key, None, None)


def moved_since(known: Mapping[str, tuple[JobStatus, Stage] | None]) -> Any:
    """Return the condition of a job that has moved since its status and stage were known."""
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


async def jobs_where(client: Prisma, where: Any, *, take: int | None = None, order: Any = None) -> list[Any]:
    """Return the rows of the jobs that meet a condition."""
    return await query(lambda: client.mediagatejob.find_many(where=where, take=take, order=order))


def waiting(now: datetime) -> Any:
    """Return the condition of a job that waits and may be claimed."""
    return {"attemptsLeft": {"gt": 0}, "status": JobStatus.PENDING.value, "availableAt": {"lte": now}}


TURNS: Any = [{"priority": "asc"}, {"turn": "asc"}, {"availableAt": "asc"}]
"""The order of ``waiting`` jobs."""


def lapsed(now: datetime) -> Any:
    """Return the condition of a job whose lease ran out and that may be claimed."""
    return {"attemptsLeft": {"gt": 0}, "status": JobStatus.PROCESSING.value, "leaseUntil": {"lte": now}}


def claimable(now: datetime) -> Any:
    """Return the condition of a job that may be claimed; to look for such jobs, ask for either kind by itself."""
    return {"OR": [waiting(now), lapsed(now)]}


def exhausted(now: datetime) -> Any:
    """Return the condition of a job that has no attempt left and no worker."""
    return {"OR": [_spent(), _died(now)]}


def _spent() -> Any:
    return {"attemptsLeft": {"lte": 0}, "status": JobStatus.PENDING.value}


def _died(now: datetime) -> Any:
    return {"attemptsLeft": {"lte": 0}, "status": JobStatus.PROCESSING.value, "leaseUntil": {"lte": now}}


async def find_exhausted(client: Prisma, now: datetime, limit: int) -> list[Any]:
    """Return the rows of jobs that have no attempt left and no worker: two questions, each of which has its index."""
    died = await jobs_where(client, _died(now), order={"leaseUntil": "asc"}, take=limit)
    if len(died) == limit:
        return died
    return died + await jobs_where(client, _spent(), take=limit - len(died))


def held(job_id: str, owner: str) -> Any:
    """Return the condition of a job under this owner's lease."""
    return {"id": job_id, "status": JobStatus.PROCESSING.value, "leaseOwner": owner}


def expired(now: datetime, after: DirectUpload | Media | None) -> Any:
    """Return the condition of a row whose time is over and that comes behind another, by expiry and id."""
    where: Any = {"expiresAt": {"lte": now}}
    if after is not None:
        where["OR"] = [
            {"expiresAt": {"gt": after.expires_at}},
            {"expiresAt": after.expires_at, "id": {"gt": after.id}},
        ]
    return where


EXPIRY: Any = [{"expiresAt": "asc"}, {"id": "asc"}]
"""The order of ``expired`` rows."""
