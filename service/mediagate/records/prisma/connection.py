"""Opening and closing the connection to the database, and explaining its errors to an operator."""

from __future__ import annotations

import logging
from datetime import timedelta

from mediagate.errors import RecordsUnavailable, SchemaOutdated
from mediagate.records.address import place_of
from mediagate.records.client_patches import Prisma
from mediagate.records.clock import DatabaseClock
from mediagate.records.migration import migrate, sqlite_path
from mediagate.records.queries import execute
from mediagate.records.refusals import ACCOUNT, MIGRATE, RUNS, why_away
from mediagate.records.schema import check_schema

log = logging.getLogger("mediagate.records")


async def connect(client: Prisma, url: str, postgres_schema: str | None, *, migrates: bool) -> None:
    """Migrate if ``migrates`` is set, and start the engine; raises ``SchemaOutdated`` for an older schema."""
    if migrates:
        for name in await migrate(url):
            log.info("applied migration %s", name)
    elif postgres_schema is None and not sqlite_path(url).exists():
        # The engine would create an empty file.
        raise SchemaOutdated(f"database file {sqlite_path(url)} not found: {MIGRATE}")
    await execute(client.connect)
    try:
        await check_schema(client, postgres_schema)
    except SchemaOutdated:
        await disconnect(client)
        raise
    except RecordsUnavailable as exc:
        log.warning("could not check the database's schema: %s", exc)


async def disconnect(client: Prisma) -> None:
    """Stop the engine. Idempotent."""
    if client.is_connected():
        await client.disconnect(timeout=timedelta(seconds=5))


async def postgres_ms(client: Prisma) -> int:
    """Return PostgreSQL's time in milliseconds since 1970."""
    statement = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS ms"
    rows = await execute(lambda: client.query_raw(statement))
    return int(rows[0]["ms"])


def explanation(error: RecordsUnavailable, url: str) -> str:
    """Explain an error to an operator: the location of the database, and the setting to check."""
    if type(error) is not RecordsUnavailable or error.__cause__ is None:
        return f"{place_of(url)}: {error.detail}"
    return f"cannot reach {place_of(url)} ({why_away(error.__cause__)}): {RUNS}, and {ACCOUNT}"


def clock_of(client: Prisma, postgres_schema: str | None) -> DatabaseClock | None:
    """Return the clock of a database, ``None`` for SQLite: all processes that share its file run on one machine."""
    return None if postgres_schema is None else DatabaseClock(lambda: postgres_ms(client))
