"""The owner migration: older jobs have no owner and count on the day of their upload."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest

from mediagate.records.migration import MIGRATIONS, migrate

pytestmark = pytest.mark.anyio

COLUMNS = (
    '"id", "status", "stage", "sourceType", "sourceId", "mediaId", "stagingKey", "filename", "format", "bytes", '
    '"sha256", "width", "height", "focalX", "focalY", "attempts", "attemptsLeft", "maxAttempts", "availableAt", '
    '"createdAt", "retryable", "timings", "warnings"'
)
VALUES = (
    "'{id}', 'FAILED', 'done', 'avatar', 'u1', 'med_{id}', 'staging/{id}', '', 'jpeg', 7, 'ab', 1, 1, 0.5, 0.5, "
    "1, 2, 3, {moment}, {moment}, false, '{{}}', '[]'"
)


async def test_owner_migration_gives_existing_jobs_a_day_and_no_owner(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = tmp_path / "migrations"
    shutil.copytree(
        MIGRATIONS,
        before,
        ignore=shutil.ignore_patterns("202611220*", "*_owner_data", "*_crops_and_looks", "*_batches"),
    )
    with monkeypatch.context() as patch:
        patch.setattr("mediagate.records.migration.MIGRATIONS", before)
        await migrate(database)
    late = datetime(2026, 3, 1, 23, 59, 59, 999_000, tzinfo=UTC)
    if database.startswith("file:"):
        # The bundled engine writes text, a native one milliseconds.
        moments = ["'2026-03-01T23:59:59.999+00:00'", str(int(late.timestamp() * 1000))]
    else:
        moments = ["'2026-03-01 23:59:59.999'", "'2026-03-01 00:00:00'"]
    for n, moment in enumerate(moments):
        values = VALUES.format(id=f"job_{n}", moment=moment)
        await execute(database, f"INSERT INTO mediagate_job ({COLUMNS}) VALUES ({values})")
    await migrate(database)
    days = await execute(database, 'SELECT "day", "ownerId", "modelRuns", "bytesOut" FROM mediagate_job')
    assert days == [("2026-03-01", None, 0, 0)] * 2


async def execute(database: str, statement: str) -> list[tuple[object, ...]]:
    if database.startswith("file:"):
        with closing(sqlite3.connect(database.removeprefix("file:"))) as connection, connection:
            return connection.execute(statement).fetchall()
    postgres = await asyncpg.connect(database)
    try:
        return [tuple(row) for row in await postgres.fetch(statement)]
    finally:
        await postgres.close()
