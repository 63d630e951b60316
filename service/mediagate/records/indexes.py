"""Indexes of existing PostgreSQL tables: they are built while the service writes, after their migration.

``CREATE INDEX`` alone would block all writes to the table during the build. ``CONCURRENTLY`` does not, but cannot be
part of a transaction. The next run finds interrupted work by comparison and completes it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterable
from typing import Any

log = logging.getLogger("mediagate.records")

_STATEMENT = re.compile(
    r'^CREATE INDEX "(?P<made>\w+)" ON "(?P<table>\w+)"[^;]*;|^DROP INDEX "(?P<dropped>\w+)";', re.M
)
_TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema() AND tablename LIKE 'mediagate%'"
_INDEXES = (
    "SELECT relname, indisvalid FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid "
    "WHERE relnamespace = current_schema()::regnamespace"
)


async def tables_of(connection: Any) -> frozenset[str]:
    """Return the names of the existing tables."""
    return frozenset(row["tablename"] for row in await connection.fetch(_TABLES))


def without_indexes(sql: str, tables: Collection[str]) -> str:
    """Return a migration without its changes to indexes of existing tables, which ``settle`` makes."""
    if not tables:
        return sql
    left = _STATEMENT.sub(lambda found: "" if found["dropped"] or found["table"] in tables else found[0], sql)
    return f"SELECT 1;\n{left}"  # asyncpg rejects a script without a statement


async def settle(connection: Any, migrations: Iterable[str]) -> None:
    """Build the missing indexes of these migrations, applied in order; then drop the indexes that they drop.

    Runs outside of a transaction, in one migrating process at a time. An invalid index is an interrupted build.
    """
    wanted: dict[str, str] = {}
    dropped: set[str] = set()
    for found in (found for sql in migrations for found in _STATEMENT.finditer(sql)):
        if found["dropped"]:
            wanted.pop(found["dropped"], None)
            dropped.add(found["dropped"])
        else:
            wanted[found["made"]] = found[0]
            dropped.discard(found["made"])
    valid = {row["relname"]: row["indisvalid"] for row in await connection.fetch(_INDEXES)}
    for name, statement in wanted.items():
        if valid.get(name):
            continue
        if name in valid:
            await connection.execute(f'DROP INDEX CONCURRENTLY "{name}"')
        log.info("building index %s; writes continue", name)
        await connection.execute(statement.replace("CREATE INDEX", "CREATE INDEX CONCURRENTLY", 1))
    for name in dropped & valid.keys():
        await connection.execute(f'DROP INDEX CONCURRENTLY "{name}"')
