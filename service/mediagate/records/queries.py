"""Running statements: recognizing an unavailable database, and retrying idempotent statements."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from mediagate.errors import InvalidParameter, RecordsUnavailable
from mediagate.records.client_patches import (
    DataError,
    ForeignKeyViolationError,
    PrismaError,
    RecordNotFoundError,
    UniqueViolationError,
    errors,
)
from mediagate.records.refusals import refusal_of

log = logging.getLogger("mediagate.records")

T = TypeVar("T")
POSTGRES_NUL = r"encoding \"UTF8\": 0x00"
RETRY_FOR_S = 3.0
"""How long an idempotent statement is retried: about as long as PostgreSQL takes to restart."""
GONE = {"P1001", "P1002", "P1008", "P1017", "P2024"}
"""Prisma's codes for a database that cannot be reached, or did not answer in time (its error reference)."""


async def execute(call: Callable[[], Awaitable[T]]) -> T:
    """Run a statement once.

    Raises ``RecordsUnavailable`` when the database or its engine does not answer, ``SchemaOutdated`` and
    ``RecordsRefused`` for permanent errors, ``InvalidParameter`` for a NUL character, which PostgreSQL cannot store.
    """
    try:
        return await _run(call)
    except RecordsUnavailable as exc:
        _log(exc)
        raise


async def _run(call: Callable[[], Awaitable[T]]) -> T:
    try:
        return await call()
    except (ForeignKeyViolationError, UniqueViolationError, RecordNotFoundError):
        raise
    except (PrismaError, OSError) as exc:
        if POSTGRES_NUL in str(exc):
            raise InvalidParameter("the text contains a NUL character; remove it") from exc
        refusal = refusal_of(exc)
        raise refusal or RecordsUnavailable("the database does not answer; try again in a moment") from exc


def _log(error: RecordsUnavailable) -> None:
    if type(error) is not RecordsUnavailable:
        log.warning("%s", error)
        return
    cause = error.__cause__
    log.warning("database or query engine unavailable: %s", cause, exc_info=None if _went_away(cause) else cause)


async def query(call: Callable[[], Awaitable[T]]) -> T:
    """Run an idempotent statement; retry it for ``RETRY_FOR_S`` while the database or its engine is unavailable.

    Suitable for reads and for changes under a lease: if an answer was lost, the repetition changes nothing more. Raises
    like ``execute``.
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
    return isinstance(exc, errors.EngineConnectionError | OSError) or (isinstance(exc, DataError) and exc.code in GONE)


async def update_one(change: Callable[[], Awaitable[object]], *, unheard: bool = False) -> bool:
    """Run a change of one row under a lease; ``False``, changing nothing, when there is no such row.

    Returns ``unheard`` when only a repetition finds no row: the first run may have changed it and its answer was lost.
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
    """Run a change that adds rows; ``False``, adding nothing, when one exists or refers to a row that does not."""
    try:
        await execute(change)
    except (ForeignKeyViolationError, UniqueViolationError):
        return False
    return True
