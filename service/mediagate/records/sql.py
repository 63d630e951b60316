"""SQL that SQLite and PostgreSQL both take, asked through the Prisma client of the records."""

from __future__ import annotations

import itertools
import re
from typing import Any, Protocol

from mediagate.records.client import Prisma
from mediagate.records.queries import ask

SQLITE_NOW = "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"
POSTGRES_NOW = "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)"
"""The database's clock in milliseconds since 1970, so that no machine's own clock matters."""
TABLES = re.compile(r"\bmediagate_\w+")


class Records(Protocol):
    """What is needed of ``PrismaRecords``."""

    @property
    def client(self) -> Prisma:
        """The client that is connected while the records are open."""
        ...

    @property
    def postgres_schema(self) -> str | None:
        """The schema of the tables on PostgreSQL, ``None`` on SQLite."""
        ...


class Database:
    """Runs statements in which ``?`` is a value, ``{now}`` the database's clock and ``{lock}`` locks selected rows."""

    def __init__(self, records: Records) -> None:
        self._client = records.client
        self._schema = records.postgres_schema

    async def rows(self, statement: str, *values: object) -> list[dict[str, Any]]:
        """Run a statement once and return its rows; raises ``RecordsUnavailable``."""
        sql = self._sql(statement)
        rows: list[dict[str, Any]] = await ask(lambda: self._client.query_raw(sql, *values))
        return rows

    async def change(self, statement: str, *values: object) -> int:
        """Run a statement once and return how many rows it changed; raises ``RecordsUnavailable``."""
        sql = self._sql(statement)
        changed: int = await ask(lambda: self._client.execute_raw(sql, *values))
        return changed

    def _sql(self, statement: str) -> str:
        if self._schema is None:
            return statement.replace("{now}", SQLITE_NOW).replace("{lock}", "")  # it has one writer at a time
        schema = self._schema.replace('"', '""')
        numbers = itertools.count(1)
        statement = re.sub(r"\?", lambda _: f"${next(numbers)}", statement)
        statement = TABLES.sub(lambda table: f'"{schema}".{table[0]}', statement)
        return statement.replace("{now}", POSTGRES_NOW).replace("{lock}", "FOR UPDATE")
