"""Indexes of PostgreSQL tables that hold rows: they are built while the service writes, after their migration.

``CREATE INDEX`` alone would stop all writes to a table for as long as it is built; ``CONCURRENTLY`` does not, and for
that cannot be part of a transaction. What was broken off is found by comparing, and done by the next run.
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
    """Return the tables that are there."""
    return frozenset(row["tablename"] for row in await connection.fetch(_TABLES))


def without_indexes(sql: str, tables: Collection[str]) -> str:
    """Return a migration without what it does to indexes of tables that are there already, which ``settle`` does."""
    if not tables:
        return sql
    left = _STATEMENT.sub(lambda found: "" if found["dropped"] or found["table"] in tables else found[0], sql)
    return f"SELECT 1;\n{left}"  # asyncpg takes no script without a statement


async def settle(connection: Any, migrations: Iterable[str]) -> None:
    """Build the indexes that these migrations, all in their order, make and that are not there; then drop the others.

    Outside of a transaction; one migrating process at a time. An index that is not valid is one that was broken off.
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
        log.info("building the index %s; writes go on", name)
        await connection.execute(statement.replace("CREATE INDEX", "CREATE INDEX CONCURRENTLY", 1))
    for name in dropped & valid.keys():
        await connection.execute(f'DROP INDEX CONCURRENTLY "{name}"')
