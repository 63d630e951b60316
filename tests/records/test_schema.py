"""An outdated schema and a refused database user are reported as such, not as an outage."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import anyio
import asyncpg
import pytest

from mediagate import MediaGate
from mediagate.api import readiness
from mediagate.errors import RecordsRefused, SchemaOutdated
from mediagate.records import PrismaRecords
from mediagate.records.migration import migrate, migration_names, pending
from tests.support.mounted import client_of

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

MakeGate = Callable[..., MediaGate]
RENAME = 'ALTER TABLE mediagate_job RENAME COLUMN "{}" TO "{}"'


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database of each kind, used by one test only because its schema is broken afterwards."""
    if request.param == "sqlite":
        return f"file:{tmp_path / 'records.db'}"
    return str(request.getfixturevalue("own_postgres_url"))


async def execute(url: str, statement: str) -> None:
    if url.startswith("file:"):
        with closing(sqlite3.connect(url.removeprefix("file:"), isolation_level=None)) as database:
            database.execute(statement)
        return
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def lost(*names: str) -> str:
    return f"DELETE FROM _prisma_migrations WHERE migration_name IN ({', '.join(map(repr, names))})"


def names_of(url: str) -> list[str]:
    return migration_names("sqlite" if url.startswith("file:") else "postgresql")


@pytest.mark.parametrize("worker", [False, True])
async def test_gate_does_not_open_on_an_outdated_schema(database: str, make_gate: MakeGate, worker: bool) -> None:
    gate = make_gate(memory=False, database_url=database, worker=worker)
    with pytest.raises(SchemaOutdated, match="run `mediagate migrate`"):
        await gate.open()
    assert not await anyio.Path(database.removeprefix("file:")).exists(), "the check must not create the file"
    assert await pending(database) == names_of(database)
    await migrate(database)
    *_, before, last = names_of(database)
    await execute(database, lost(last))
    with pytest.raises(SchemaOutdated, match=rf"lacks 1 migration \({last}\): run"):
        await gate.open()
    await execute(database, lost(before))
    with pytest.raises(SchemaOutdated, match=rf"lacks 2 migrations \({before} to {last}\): run"):
        await gate.open()


async def test_records_accept_a_newer_schema(database: str) -> None:
    await migrate(database)
    await execute(
        database,
        "INSERT INTO _prisma_migrations (id, checksum, finished_at, migration_name, applied_steps_count) "
        "VALUES ('later', 'x', CURRENT_TIMESTAMP, '20990101000000_later', 1)",
    )
    records = PrismaRecords(database)
    await records.open()
    try:
        assert "no pending jobs" in await records.check()
    finally:
        await records.close()


@pytest.mark.parametrize("column", ["code", "turn"])
async def test_schema_lost_at_runtime_is_answered_503_schema_outdated(
    database: str,
    make_gate: MakeGate,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    column: str,
) -> None:
    monkeypatch.setattr(readiness, "ASK_EVERY_S", 0.0)
    await migrate(database)
    gate = make_gate(memory=False, database_url=database, worker=False)
    async with client_of(gate) as client:
        assert (await client.get("/readyz")).status_code == 200
        await execute(database, RENAME.format(column, "elsewhere"))
        for path in ("/status/job_x", "/readyz"):
            answer = await client.get(path)
            problem = answer.json()
            assert (answer.status_code, problem["code"], problem["retryable"]) == (503, "schema_outdated", False)
            assert "Retry-After" not in answer.headers
            assert column not in problem["detail"], "the column is named only in the log"
        assert f"mediagate_job.{column}: run `mediagate migrate`" in caplog.text
        await execute(database, RENAME.format("elsewhere", column))
        await execute(database, lost(names_of(database)[-1]))
        assert (await client.get("/readyz")).json()["code"] == "schema_outdated"
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize(("user", "name"), [("nobody_of_this_name", None), (None, "no_database_of_this_name")])
async def test_refused_user_or_database_is_reported_as_records_refused(
    postgres_url: str, make_gate: MakeGate, caplog: pytest.LogCaptureFixture, user: str | None, name: str | None
) -> None:
    server, _, database = postgres_url.rpartition("/")
    if user is not None:
        server = f"postgresql://{user}:geheim@{server.partition('@')[2]}"
    url = f"{server}/{name or database}"
    records = PrismaRecords(url)
    await records.open()
    try:
        with pytest.raises(RecordsRefused, match="MEDIAGATE_DATABASE_URL") as caught:
            await records.check()
        with pytest.raises(RecordsRefused):
            await records.oldest_waiting()
    finally:
        await records.close()
    assert "geheim" not in str(caught.value) + caplog.text
    assert "Traceback" not in caplog.text
    with pytest.raises(RecordsRefused, match="MEDIAGATE_DATABASE_URL"):
        await migrate(url)
    gate = make_gate(memory=False, database_url=url, worker=False)
    async with client_of(gate) as client:
        problem = (await client.get("/readyz")).json()
    assert (problem["code"], problem["retryable"]) == ("records_refused", False)


async def test_records_work_without_access_to_the_migrations_table(own_postgres_url: str) -> None:
    await migrate(own_postgres_url)
    role = own_postgres_url.rpartition("/")[2] + "_user"
    await execute(
        own_postgres_url,
        f"CREATE ROLE {role} LOGIN; GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}; "
        f"REVOKE ALL ON _prisma_migrations FROM {role}",
    )
    where = own_postgres_url.rpartition("@")[2]
    records = PrismaRecords(f"postgresql://{role}@{where}")
    try:
        await records.open()
        assert "no pending jobs" in await records.check()
        await execute(own_postgres_url, f"REVOKE ALL ON mediagate_job FROM {role}")
        with pytest.raises(RecordsRefused, match="permission denied for table mediagate_job"):
            await records.check()
    finally:
        await records.close()
        await execute(own_postgres_url, f"DROP OWNED BY {role}; DROP ROLE {role}")
