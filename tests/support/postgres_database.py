"""Databases for tests on the PostgreSQL server that MEDIAGATE_TEST_POSTGRES_URL names."""

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


@contextmanager
def fresh_database() -> Iterator[str]:
    """Create a database for the length of a block; yields its URL, and skips the test when there is no server."""
    server = os.environ.get("MEDIAGATE_TEST_POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432")
    name = f"mediagate_test_{secrets.token_hex(6)}"

    async def execute(statement: str) -> None:
        connection = await asyncpg.connect(urlunsplit(urlsplit(server)._replace(path="/postgres")), timeout=5)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    def run(statement: str) -> None:
        # In a thread of its own, because an event loop may be running in this one.
        with ThreadPoolExecutor(1) as thread:
            thread.submit(lambda: asyncio.run(execute(statement))).result()

    try:
        run(f"CREATE DATABASE {name}")
    except (OSError, asyncpg.PostgresError) as exc:
        pytest.skip(f"no PostgreSQL for the test ({exc}): name one in MEDIAGATE_TEST_POSTGRES_URL")
    try:
        yield urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
    finally:
        run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
