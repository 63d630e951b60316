"""Claims use an index even when the statistics are older than the backlog, and on SQLite."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from mediagate.records import PrismaRecords
from mediagate.records.migration import migrate
from mediagate.records.prisma.claims import CLAIM_OLDEST
from mediagate.testing.record_samples import a_job

pytestmark = pytest.mark.anyio

MANY = 20_000
NOW = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.fixture
async def stale(own_postgres_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to a database whose statistics are older than its backlog."""
    records = PrismaRecords(own_postgres_url, migrate=True)
    await records.open()
    await records.create_job(a_job(NOW))
    await records.close()
    connection = await asyncpg.connect(own_postgres_url)
    names = [row[0] for row in await connection.fetch(
        "SELECT column_name FROM information_schema.columns WHERE table_name = 'mediagate_job'"
        " AND column_name NOT IN ('id', 'mediaId', 'status', 'turn')"
    )]  # fmt: skip
    columns = ", ".join(f'"{name}"' for name in names)

    async def fill(status: str) -> None:
        rows = f"(SELECT * FROM mediagate_job LIMIT 1) AS one, generate_series(1, {MANY}) AS n"
        await connection.execute(
            f'INSERT INTO mediagate_job (id, "mediaId", status, turn, {columns}) '
            f"SELECT '{status}' || n, '{status}' || n, '{status}', n, {columns} FROM {rows}"
        )

    try:
        await connection.execute("ALTER TABLE mediagate_job SET (autovacuum_enabled = off)")
        await connection.execute("UPDATE mediagate_job SET status = 'COMPLETE'")
        await fill("COMPLETE")
        await connection.execute("ANALYZE mediagate_job")
        await fill("PENDING")
        yield connection
    finally:
        await connection.close()


def scans(plan: dict[str, Any]) -> list[dict[str, Any]]:
    found = [plan] if "Index" in plan["Node Type"] or plan["Node Type"] == "Seq Scan" else []
    return [*found, *(scan for below in plan.get("Plans", ()) for scan in scans(below))]


async def test_claim_with_stale_statistics_does_not_sort_the_backlog(stale: asyncpg.Connection) -> None:
    until = NOW.replace(tzinfo=None) + timedelta(hours=1)
    statement = f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {CLAIM_OLDEST.format(table='mediagate_job')}"
    (told,) = await stale.fetchrow(statement, until, "w", until + timedelta(minutes=1), 5, [])
    touched = sum(scan["Actual Rows"] * scan["Actual Loops"] for scan in scans(json.loads(told)[0]["Plan"]))
    assert 5 <= touched <= 30, told


async def test_sqlite_claim_queries_use_an_index(tmp_path: Path) -> None:
    path = tmp_path / "records.db"
    await migrate(f"file:{path}")
    # The statements that Prisma writes for claimable() and oldest_waiting().
    for condition, order, index in (
        ('"attemptsLeft" > ? AND status = ? AND ("availableAt" <= ? OR ("availableAt" >= ? AND "availableAt" <= ?))',
         'priority, turn, "availableAt"', "mediagate_job_status_priority_turn_availableAt_idx"),
        ('status = ? AND attempts = ? AND "availableAt" < ?', '"availableAt"',
         "mediagate_job_status_attempts_availableAt_idx"),
        ('status = ? AND attempts = ? AND "availableAt" >= ?', '"availableAt"',
         "mediagate_job_status_attempts_availableAt_idx"),
    ):  # fmt: skip
        with closing(sqlite3.connect(path)) as database:
            plan = database.execute(
                f"EXPLAIN QUERY PLAN SELECT * FROM mediagate_job WHERE {condition} ORDER BY {order} LIMIT ? OFFSET ?",
                (0, "PENDING", *[0] * (condition.count("?") - 2), 5, 0),
            ).fetchall()
        assert [row[3].split(" (")[0] for row in plan] == [f"SEARCH mediagate_job USING INDEX {index}"]
