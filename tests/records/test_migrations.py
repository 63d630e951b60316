"""Migrations are applied once, by one process, like Prisma Migrate does, and refused if an applied one was changed."""

from __future__ import annotations

import asyncio
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, closing
from pathlib import Path

import anyio
import asyncpg
import pytest

from mediagate.errors import ConfigError, RecordsUnavailable
from mediagate.records import PrismaRecords
from mediagate.records.migration import MIGRATIONS, migrate, pending

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

PrismaCLI = Callable[..., subprocess.CompletedProcess[str]]

SECOND = '-- CreateTable\nCREATE TABLE "mediagate_second" (\n    "id" TEXT NOT NULL PRIMARY KEY\n);\n'


def provider(url: str) -> str:
    return "sqlite" if url.startswith("file:") else "postgresql"


def names(url: str) -> list[str]:
    return sorted(path.parent.name for path in (MIGRATIONS / provider(url)).glob("*/migration.sql"))


async def rows(url: str, query: str) -> list[tuple[object, ...]]:
    if url.startswith("file:"):
        with closing(sqlite3.connect(url.removeprefix("file:"))) as database:
            return database.execute(query).fetchall()
    connection = await asyncpg.connect(url)
    try:
        return [tuple(row) for row in await connection.fetch(query)]
    finally:
        await connection.close()


async def change(url: str, statement: str) -> None:
    if url.startswith("file:"):
        with closing(sqlite3.connect(url.removeprefix("file:"))) as database, database:
            database.execute("PRAGMA foreign_keys = ON")
            database.execute(statement)
        return
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture
def own_migrations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the migrations that a test may change."""
    copy = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, copy)
    monkeypatch.setattr("mediagate.records.migration.MIGRATIONS", copy)
    return copy


async def test_migrations_are_pending_first_and_applied_once(database: str) -> None:
    assert names(database)
    assert await pending(database) == names(database)
    assert await pending(database) == names(database), "pending must change nothing"
    assert await PrismaRecords(database).lacks() == names(database)
    assert await migrate(database) == names(database)
    assert await migrate(database) == []
    assert await pending(database) == []
    assert [name for (name,) in await rows(database, "SELECT migration_name FROM _prisma_migrations")] == names(
        database
    )


async def test_migrate_applies_only_added_migrations(database: str, own_migrations: Path) -> None:
    await migrate(database)
    added = own_migrations / provider(database) / "20991231000000_second" / "migration.sql"
    added.parent.mkdir()
    added.write_text(SECOND)
    assert await pending(database) == ["20991231000000_second"]
    assert await migrate(database) == ["20991231000000_second"]
    assert await rows(database, "SELECT * FROM mediagate_second") == []


async def test_failed_migration_is_rolled_back(database: str, own_migrations: Path) -> None:
    added = own_migrations / provider(database) / "20991231000000_second" / "migration.sql"
    added.parent.mkdir()
    added.write_text(SECOND + "CREATE TABEL broken;\n")
    with pytest.raises(RecordsUnavailable, match="TABEL"):
        await migrate(database)
    added.write_text(SECOND)
    assert await migrate(database) == [*names(database), "20991231000000_second"]


async def test_changed_migration_is_refused(database: str, own_migrations: Path) -> None:
    await migrate(database)
    path = own_migrations / provider(database) / names(database)[0] / "migration.sql"
    path.write_text(path.read_text() + "-- one more line\n")
    for ask in (migrate, pending):
        with pytest.raises(ConfigError, match=f"{names(database)[0]} was changed"):
            await ask(database)
    with pytest.raises(ConfigError, match="was changed"):
        await PrismaRecords(database, migrate=True).open()


INDEXES = """SELECT relname, indisvalid FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
    WHERE relnamespace = 'public'::regnamespace"""
INDEX = '-- CreateIndex\nCREATE INDEX "mediagate_job_extra_idx" ON "mediagate_job"("format");\n'
DROPPED = "mediagate_job_notifiedAt_finishedAt_idx"


async def literals_for(url: str, table: str) -> dict[str, str]:
    """Return a literal for each column of a table, by type; all texts are equal, so that foreign keys match."""
    query = f"SELECT name, type FROM pragma_table_info('{table}')"
    if not url.startswith("file:"):
        query = (
            "SELECT column_name, data_type FROM information_schema.columns "
            f"WHERE table_schema = current_schema() AND table_name = '{table}'"
        )
    return {str(name): literal_of(str(kind).lower()) for name, kind in await rows(url, query)}


def literal_of(kind: str) -> str:
    if "date" in kind or "timestamp" in kind:
        return "'2026-01-01'"
    if "bool" in kind:
        return "'false'"
    return "1" if any(word in kind for word in ("int", "double", "real")) else "'{}'"


async def write(url: str, tables: Mapping[str, Mapping[str, str]]) -> None:
    """Replace the rows of each table by one row of these columns."""
    for table in reversed(list(tables)):
        await change(url, f"DELETE FROM {table}")
    for table, literals in tables.items():
        names = ", ".join(f'"{name}"' for name in literals)
        await change(url, f"INSERT INTO {table} ({names}) VALUES ({', '.join(literals.values())})")


async def indexes(url: str) -> dict[str, bool]:
    """Return whether each index is valid."""
    return {str(name): bool(valid) for name, valid in await rows(url, INDEXES)}


PROCESS = """
import asyncio, sys
from mediagate.records.migration import migrate
sys.stdin.readline()
print(len(asyncio.run(migrate(sys.argv[1]))))
"""


async def test_migrations_are_applied_once_by_concurrent_processes(database: str) -> None:
    pipe = asyncio.subprocess.PIPE
    started = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", PROCESS, database, stdin=pipe, stdout=pipe)
        for _ in range(3)
    ]
    said = await asyncio.gather(*(process.communicate(b"go\n") for process in started))
    assert [process.returncode for process in started] == [0, 0, 0]
    assert sorted(int(out) for out, _ in said) == [0, 0, len(names(database))]
    assert await pending(database) == []


async def test_migrate_honours_a_postgresql_schema(postgres_url: str) -> None:
    url = f"{postgres_url}?schema=media-gate&connection_limit=3&sslmode=prefer"
    connection = await asyncpg.connect(postgres_url)
    try:
        await connection.execute('DROP SCHEMA IF EXISTS "media-gate" CASCADE; CREATE SCHEMA "media-gate"')
        assert await migrate(url) == names(url)
        assert await pending(url) == []
        assert await connection.fetchval('SELECT count(*) FROM "media-gate".mediagate_job') == 0
        records = PrismaRecords(url)
        await records.open()
        try:
            assert await records.queue_depth() == 0
        finally:
            await records.close()
    finally:
        await connection.close()


@pytest.mark.parametrize(
    ("url", "error", "said"),
    [
        ("mysql://root:hush@localhost/db", ConfigError, "must start with file: or postgresql://"),
        ("postgresql://u:hush@localhost:notaport/db", ConfigError, "port"),
        ("postgresql://u:hush@127.0.0.1:5432/db?sslmode=perhaps", ConfigError, "options"),
        ("postgresql://u:hush@127.0.0.1:1/db", RecordsUnavailable, "cannot reach PostgreSQL .*MEDIAGATE_DATABASE_URL"),
        ("file:/dev/null/records.db", RecordsUnavailable, "cannot migrate the SQLite file /dev/null/records.db"),
    ],
)
async def test_migrate_reports_a_bad_url_without_its_password(url: str, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said) as caught:
        await migrate(url)
    assert "hush" not in str(caught.value)


SQLITE_CATALOGUE = [
    "SELECT t.name, c.name, c.type, c.[notnull], c.dflt_value, c.pk FROM sqlite_master t, pragma_table_info(t.name) c"
    " WHERE t.type = 'table'",
    "SELECT t.name, i.name, i.[unique], c.seqno, c.name FROM sqlite_master t, pragma_index_list(t.name) i,"
    " pragma_index_info(i.name) c WHERE t.type = 'table'",
    "SELECT t.name, k.[from], k.[table], k.[to], k.on_update, k.on_delete FROM sqlite_master t,"
    " pragma_foreign_key_list(t.name) k WHERE t.type = 'table'",
]
POSTGRES_CATALOGUE = [
    "SELECT table_name, column_name, data_type, datetime_precision, is_nullable, column_default"
    " FROM information_schema.columns WHERE table_schema = 'public'",
    # Without partial indexes: the schema cannot express them, and Prisma's introspection ignores them.
    "SELECT tablename, indexname, indexdef FROM pg_indexes"
    " WHERE schemaname = 'public' AND indexdef NOT LIKE '% WHERE %'",
    "SELECT c.relname, k.conname, pg_get_constraintdef(k.oid) FROM pg_constraint k"
    " JOIN pg_class c ON c.oid = k.conrelid WHERE k.connamespace = 'public'::regnamespace",
]


async def catalogue(url: str) -> set[tuple[object, ...]]:
    """Return every column, index and constraint of our tables, as a set: the order of columns differs."""
    queries = SQLITE_CATALOGUE if url.startswith("file:") else POSTGRES_CATALOGUE
    found = [row for query in queries for row in await rows(url, query)]
    return {row for row in found if str(row[0]).startswith("mediagate_")}


async def test_migrations_match_the_schema_that_prisma_generates(
    database: str, prisma: PrismaCLI, own_migrations: Path
) -> None:
    kind = provider(database)
    words = ["--from-empty", "--to-schema-datamodel", "prisma/schema.prisma", "--script"]
    done = await asyncio.to_thread(prisma, kind, database, "migrate", "diff", *words)
    assert done.returncode == 0, done.stderr
    await migrate(database)
    ours = await catalogue(database)
    if kind == "sqlite":
        await anyio.Path(database.removeprefix("file:")).unlink()
    else:
        for statement in ("DROP SCHEMA public CASCADE", "CREATE SCHEMA public"):
            await rows(database, statement)
    shutil.rmtree(own_migrations / kind)
    whole = own_migrations / kind / "20000101000000_whole" / "migration.sql"
    whole.parent.mkdir(parents=True)
    whole.write_text(done.stdout)
    await migrate(database)
    assert len(ours) > 50
    assert await catalogue(database) == ours


async def test_prisma_status_is_up_to_date_after_migrate(database: str, prisma: PrismaCLI) -> None:
    before = await asyncio.to_thread(prisma, provider(database), database, "migrate", "status")
    assert before.returncode == 1, before.stdout + before.stderr
    await migrate(database)
    after = await asyncio.to_thread(prisma, provider(database), database, "migrate", "status")
    assert after.returncode == 0 and "up to date" in after.stdout, after.stdout + after.stderr


async def test_migrate_skips_migrations_deployed_by_prisma(database: str, prisma: PrismaCLI) -> None:
    done = await asyncio.to_thread(prisma, provider(database), database, "migrate", "deploy")
    assert done.returncode == 0, done.stdout + done.stderr
    assert await pending(database) == []
    assert await migrate(database) == []


async def test_previous_release_writes_after_each_migration(database: str, own_migrations: Path) -> None:
    """New columns have defaults, and columns that an earlier release writes are still there."""
    folder, later = own_migrations / provider(database), own_migrations / "later"
    folder.rename(later)
    known: dict[str, Mapping[str, str]] = {}
    for name in sorted(path.name for path in later.iterdir() if path.is_dir()):
        shutil.copytree(later / name, folder / name)
        await migrate(database)
        if known:
            await write(database, known)
        made = re.findall(r'CREATE TABLE "(mediagate_\w+)"', (folder / name / "migration.sql").read_text())
        known = {table: await literals_for(database, table) for table in [*known, *made]}
    assert len(known) > 8
    await write(database, known)


async def building(url: str) -> None:
    """Wait until an index build is blocked by a transaction."""
    waiting = "SELECT 1 FROM pg_stat_activity WHERE query LIKE '%INDEX%' AND wait_event_type = 'Lock'"
    async with asyncio.timeout(30):
        while True:
            if await rows(url, waiting):
                return
            await asyncio.sleep(0.02)


@asynccontextmanager
async def index_under_way(url: str, own_migrations: Path) -> AsyncIterator[asyncio.Task[list[str]]]:
    """Migrate an index of a table in which an open transaction has written a row."""
    await migrate(url)
    await write(url, {"mediagate_job": await literals_for(url, "mediagate_job")})
    added = own_migrations / "postgresql" / "20991231000000_index" / "migration.sql"
    added.parent.mkdir()
    added.write_text(f'-- DropIndex\nDROP INDEX "{DROPPED}";\n\n{INDEX}')
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction():
            await connection.execute("UPDATE mediagate_job SET format = 'png'")
            migrating = asyncio.create_task(migrate(url))
            await building(url)
            yield migrating
        await asyncio.wait([migrating])
    finally:
        await connection.close()


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
async def test_index_build_does_not_block_writes(database: str, own_migrations: Path) -> None:
    async with index_under_way(database, own_migrations) as migrating:
        async with asyncio.timeout(10):
            await change(database, "INSERT INTO mediagate_turn (priority, share, turn) VALUES (0, 'x', 1)")
            await change(database, "DELETE FROM mediagate_job WHERE id = 'none'")
        assert not migrating.done()
    assert await migrating == ["20991231000000_index"]
    valid = await indexes(database)
    assert valid["mediagate_job_extra_idx"] is True
    assert DROPPED not in valid


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
async def test_interrupted_index_build_is_repeated_by_the_next_migrate(database: str, own_migrations: Path) -> None:
    async with index_under_way(database, own_migrations) as migrating:
        await change(
            database, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX%'"
        )
        with pytest.raises(RecordsUnavailable, match="cannot migrate PostgreSQL"):
            await asyncio.wait_for(migrating, 30)
    assert (await indexes(database))["mediagate_job_extra_idx"] is False
    assert await migrate(database) == [], "the migration itself was applied"
    valid = await indexes(database)
    assert valid["mediagate_job_extra_idx"] is True
    assert DROPPED not in valid
