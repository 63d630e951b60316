"""Databases of tests on the PostgreSQL server that MEDIAGATE_TEST_POSTGRES_URL names."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from tests.support.services import need

SERVER = os.environ.get("MEDIAGATE_TEST_POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432")


@contextmanager
def fresh_database() -> Iterator[str]:
    """Make an empty database for a block and yield its URL; skips the test where there is no server."""
    need("PostgreSQL")
    name = f"{_prefix()}_{secrets.token_hex(6)}"
    try:
        _run(f"CREATE DATABASE {name}")
    except (OSError, asyncpg.PostgresError) as exc:
        pytest.skip(f"no PostgreSQL for the test ({exc}): name one in MEDIAGATE_TEST_POSTGRES_URL")
    try:
        yield urlunsplit(urlsplit(SERVER)._replace(path=f"/{name}"))
    finally:
        _run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def left_databases() -> list[str]:
    """Return the databases of this session that are still there; none where there is no server."""
    try:
        return _run(f"SELECT datname FROM pg_database WHERE datname LIKE '{_prefix()}%'")
    except (OSError, asyncpg.PostgresError):
        return []


def _prefix() -> str:
    """Return what the names of all databases of this session begin with."""
    return f"mediagate_test_{os.environ.get('MEDIAGATE_TEST_SESSION', '')}"


def _run(statement: str) -> list[str]:
    async def fetch() -> list[str]:
        connection = await asyncpg.connect(urlunsplit(urlsplit(SERVER)._replace(path="/postgres")), timeout=5)
        try:
            return [str(row[0]) for row in await connection.fetch(statement)]
        finally:
            await connection.close()

    # In a thread of its own, because an event loop may be running in this one.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(fetch())).result()
