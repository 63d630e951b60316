"""Applies the migrations of the package and maintains ``_prisma_migrations`` compatibly with Prisma Migrate.

The table's shape, the checksum (SHA-256 of the file, in hex) and the advisory lock on PostgreSQL are Prisma Migrate's
(https://github.com/prisma/prisma-engines, schema-engine).
"""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
import uuid
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qsl, urlencode, urlunsplit

from mediagate.config import keep_database
from mediagate.errors import ConfigError, RecordsRefused, RecordsUnavailable
from mediagate.records.address import place_of, postgres_parts
from mediagate.records.indexes import settle, tables_of, without_indexes
from mediagate.records.refusals import ACCOUNT, RUNS, refused, why_away

MIGRATIONS = Path(__file__).parent / "migrations"
PRISMA_LOCK = 72707369
"""The advisory lock that Prisma Migrate takes on PostgreSQL."""
BUSY_S = 30.0
LOCKED_S = 0.1
"""How often a process checks whether another one has finished migrating."""
PRISMA_ONLY = {
    "connection_limit",
    "schema",
    "pool_timeout",
    "pgbouncer",
    "connect_timeout",
    "socket_timeout",
    "statement_cache_size",
}
"""URL options that only Prisma knows; the others, such as ``sslmode``, apply to migrations too."""

_SQLITE_TABLE = """CREATE TABLE IF NOT EXISTS "_prisma_migrations" (
    "id" TEXT PRIMARY KEY NOT NULL,
    "checksum" TEXT NOT NULL,
    "finished_at" DATETIME,
    "migration_name" TEXT NOT NULL,
    "logs" TEXT,
    "rolled_back_at" DATETIME,
    "started_at" DATETIME NOT NULL DEFAULT current_timestamp,
    "applied_steps_count" INTEGER UNSIGNED NOT NULL DEFAULT 0
)"""
_POSTGRES_TABLE = """CREATE TABLE IF NOT EXISTS "_prisma_migrations" (
    id VARCHAR(36) PRIMARY KEY NOT NULL,
    checksum VARCHAR(64) NOT NULL,
    finished_at TIMESTAMPTZ,
    migration_name VARCHAR(255) NOT NULL,
    logs TEXT,
    rolled_back_at TIMESTAMPTZ,
    started_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    applied_steps_count INTEGER NOT NULL DEFAULT 0
)"""
_DONE = (
    "SELECT migration_name, checksum FROM _prisma_migrations WHERE finished_at IS NOT NULL AND rolled_back_at IS NULL"
)


@dataclass(frozen=True, slots=True)
class Migration:
    """One ``migration.sql``."""

    name: str
    sql: str
    checksum: str


async def migrate(url: str) -> list[str]:
    """Apply the missing migrations atomically and return their names; safe to run from many processes concurrently.

    On PostgreSQL, indexes of existing tables are built afterwards, while the service writes. Raises ``ConfigError`` for
    an unsupported URL or a migration that was changed after it had been applied, ``RecordsUnavailable`` when the
    database does not answer.
    """
    if (parts := postgres_parts(url)) is None:
        return await asyncio.to_thread(_migrate_sqlite, sqlite_path(url))
    return await _postgres(url, parts, apply=True)


async def pending(url: str) -> list[str]:
    """Return the names of the missing migrations without changing anything."""
    if (parts := postgres_parts(url)) is None:
        return await asyncio.to_thread(_pending_sqlite, sqlite_path(url))
    return await _postgres(url, parts, apply=False)


def migration_names(provider: str) -> list[str]:
    """Return the names of this release's migrations for ``sqlite`` or ``postgresql``, in order."""
    return [path.parent.name for path in _files(provider)]


def _files(provider: str) -> list[Path]:
    return sorted((MIGRATIONS / provider).glob("*/migration.sql"))


def sqlite_path(url: str) -> Path:
    """Return the file that a ``file:`` URL names."""
    return Path(url.removeprefix("file:").partition("?")[0])


def _lacking(provider: str, done: Mapping[str, str]) -> list[Migration]:
    lacking = []
    for path in _files(provider):
        content = path.read_bytes()
        migration = Migration(path.parent.name, content.decode(), hashlib.sha256(content).hexdigest())
        if migration.name not in done:
            lacking.append(migration)
        elif done[migration.name] != migration.checksum:
            raise ConfigError(
                f"migration {migration.name} was changed after it had been applied: install the release that the "
                "database was migrated with, or a later one"
            )
    return lacking


def _migrate_sqlite(path: Path) -> list[str]:
    try:
        keep_database(path)
        with closing(sqlite3.connect(path, isolation_level=None, timeout=BUSY_S)) as database:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("BEGIN IMMEDIATE")
            try:
                database.execute(_SQLITE_TABLE)
                lacking = _lacking("sqlite", dict(database.execute(_DONE).fetchall()))
                for migration in lacking:
                    for statement in _statements(migration.sql):
                        database.execute(statement)
                    now = datetime.now(UTC).isoformat(timespec="milliseconds")
                    database.execute(
                        "INSERT INTO _prisma_migrations (id, checksum, finished_at, migration_name, started_at, "
                        "applied_steps_count) VALUES (?, ?, ?, ?, ?, 1)",
                        (str(uuid.uuid4()), migration.checksum, now, migration.name, now),
                    )
            except BaseException:
                database.execute("ROLLBACK")
                raise
            database.execute("COMMIT")
    except (sqlite3.Error, OSError) as exc:
        raise RecordsUnavailable(f"cannot migrate the SQLite file {path}: {exc}") from exc
    return [migration.name for migration in lacking]


def _statements(sql: str) -> list[str]:
    """Split a script: ``executescript`` would commit the transaction that must include every statement."""
    statements, text = [], ""
    for line in sql.splitlines(keepends=True):
        text += line
        if sqlite3.complete_statement(text):
            statements.append(text)
            text = ""
    return statements


def _pending_sqlite(path: Path) -> list[str]:
    done: dict[str, str] = {}
    if path.is_file():
        try:
            with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=BUSY_S)) as database:
                exists = database.execute("SELECT 1 FROM sqlite_master WHERE name = '_prisma_migrations'").fetchone()
                done = dict(database.execute(_DONE).fetchall()) if exists else {}
        except sqlite3.Error as exc:
            raise RecordsUnavailable(f"cannot read the SQLite file {path}: {exc}") from exc
    return [migration.name for migration in _lacking("sqlite", done)]


async def _postgres(url: str, parts: SplitResult, *, apply: bool) -> list[str]:
    try:
        import asyncpg  # an extra: only migrations on PostgreSQL need it
    except ImportError:
        raise ConfigError('migrations on PostgreSQL need asyncpg: pip install "mediagate[postgres]"') from None
    options = dict(parse_qsl(parts.query))
    schema = options.get("schema")
    settings = {"search_path": f'"{schema}"'} if schema else {}
    kept = urlencode({name: value for name, value in options.items() if name not in PRISMA_ONLY})
    try:
        connection = await asyncpg.connect(
            urlunsplit(parts._replace(query=kept)), server_settings=settings, timeout=BUSY_S
        )
    except (
        asyncpg.InvalidAuthorizationSpecificationError,
        asyncpg.InvalidPasswordError,
        asyncpg.InvalidCatalogNameError,
    ) as exc:
        raise RecordsRefused(f"{place_of(url)}: {refused(str(exc))}") from exc
    except (OSError, asyncpg.PostgresError, TimeoutError) as exc:
        raise RecordsUnavailable(f"cannot reach {place_of(url)} ({why_away(exc)}): {RUNS}, and {ACCOUNT}") from exc
    except (ValueError, asyncpg.InterfaceError) as exc:
        # Not chained: the original exception may quote the URL with its password.
        raise ConfigError(
            f"MEDIAGATE_DATABASE_URL: the database URL is malformed ({type(exc).__name__}): check its options"
        ) from None
    try:
        if not apply:
            return [migration.name for migration in await _lacking_postgres(connection)]
        await _lock(connection)
        async with connection.transaction():
            await connection.execute(_POSTGRES_TABLE)
            lacking = await _lacking_postgres(connection)
            tables = await tables_of(connection)
            for migration in lacking:
                await connection.execute(without_indexes(migration.sql, tables))
                await connection.execute(
                    "INSERT INTO _prisma_migrations (id, checksum, finished_at, migration_name, applied_steps_count) "
                    "VALUES ($1, $2, now(), $3, 1)",
                    str(uuid.uuid4()),
                    migration.checksum,
                    migration.name,
                )
        await settle(connection, [path.read_text() for path in _files("postgresql")])
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as exc:
        raise RecordsUnavailable(f"cannot migrate PostgreSQL: {exc}") from exc
    finally:
        await connection.close()
    return [migration.name for migration in lacking]


async def _lock(connection: Any) -> None:
    """Take the migration lock, which is held until the connection is closed.

    Polls for the lock: a blocked statement would delay the index that another process builds.
    """
    while True:
        if await connection.fetchval("SELECT pg_try_advisory_lock($1)", PRISMA_LOCK):
            return
        await asyncio.sleep(LOCKED_S)


async def _lacking_postgres(connection: Any) -> list[Migration]:
    if await connection.fetchval("SELECT to_regclass('_prisma_migrations')") is None:
        return _lacking("postgresql", {})
    rows = await connection.fetch(_DONE)
    return _lacking("postgresql", {row["migration_name"]: row["checksum"] for row in rows})
