"""The tables of the records' database, for plugins and parts of the core that store rows of their own."""

from __future__ import annotations

import itertools
import re
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar, runtime_checkable

from mediagate.errors import ConfigError
from mediagate.records.client_patches import Prisma
from mediagate.records.queries import execute, insert, query

T = TypeVar("T")
SQLITE_NOW = "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"
POSTGRES_NOW = "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)"
"""The database's clock in milliseconds since 1970; the clocks of other machines do not matter."""
TABLES = re.compile(r"\bmediagate_\w+")


@runtime_checkable
class Tables(Protocol):
    """The required part of ``PrismaRecords``."""

    @property
    def client(self) -> Prisma:
        """The client, connected while the records are open."""
        ...

    @property
    def postgres_schema(self) -> str | None:
        """The schema of the tables on PostgreSQL, ``None`` on SQLite."""
        ...


class Database:
    """Runs statements on the records' tables while the records are open, with the errors of the records.

    Statements use Prisma's models (``query``, ``execute``, ``insert``) or SQL that SQLite and PostgreSQL both accept
    (``fetch_rows``, ``change_rows``), in which ``?`` is a value, ``{now}`` the database's clock and ``{lock}`` locks
    selected rows. Each may raise ``RecordsUnavailable``, and ``InvalidParameter`` for a NUL character in a text.
    """

    def __init__(self, records: Tables) -> None:
        self._client = records.client
        self._schema = records.postgres_schema

    @classmethod
    def of(cls, records: object, plugin: str) -> Database:
        """Return the database of a gate's records; raises ``ConfigError`` naming the plugin if there is none."""
        if not isinstance(records, Tables):
            raise ConfigError(
                f"{plugin}: this plugin keeps tables in the records' database; use PrismaRecords as RECORDS, which is "
                "the default"
            )
        return cls(records)

    async def query(self, read: Callable[[Prisma], Awaitable[T]]) -> T:
        """Run an idempotent statement; retry it for some seconds while the database is unavailable."""
        return await query(lambda: read(self._client))

    async def execute(self, change: Callable[[Prisma], Awaitable[T]]) -> T:
        """Run a statement once."""
        return await execute(lambda: change(self._client))

    async def insert(self, change: Callable[[Prisma], Awaitable[object]]) -> bool:
        """Run a change that adds rows; ``False``, adding nothing, when one exists or refers to a row that does not."""
        return await insert(lambda: change(self._client))

    async def fetch_rows(self, statement: str, *values: object) -> list[dict[str, Any]]:
        """Run SQL once and return its rows."""
        sql = self.sql(statement)
        rows: list[dict[str, Any]] = await execute(lambda: self._client.query_raw(sql, *values))
        return rows

    async def change_rows(self, statement: str, *values: object) -> int:
        """Run SQL once and return the number of changed rows."""
        sql = self.sql(statement)
        changed: int = await execute(lambda: self._client.execute_raw(sql, *values))
        return changed

    def sql(self, statement: str) -> str:
        """Return a statement in the dialect of this database."""
        if self._schema is None:
            return statement.replace("{now}", SQLITE_NOW).replace("{lock}", "")  # SQLite has one writer at a time
        schema = self._schema.replace('"', '""')
        numbers = itertools.count(1)
        statement = re.sub(r"\?", lambda _: f"${next(numbers)}", statement)
        statement = TABLES.sub(lambda table: f'"{schema}".{table[0]}', statement)
        return statement.replace("{now}", POSTGRES_NOW).replace("{lock}", "FOR UPDATE")
