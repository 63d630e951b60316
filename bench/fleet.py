"""Many processes on one database: a fresh one for the length of a run, and processes that begin at the same moment."""

from __future__ import annotations

import asyncio
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit

import asyncpg


@contextmanager
def scratch_database() -> Iterator[str]:
    """Make a database for the length of a block and yield its URL."""
    server = os.environ.get("MEDIAGATE_TEST_POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432")
    name = f"mediagate_bench_{secrets.token_hex(4)}"

    async def execute(statement: str) -> None:
        connection = await asyncpg.connect(urlunsplit(urlsplit(server)._replace(path="/postgres")))
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    asyncio.run(execute(f"CREATE DATABASE {name}"))
    try:
        yield urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
    finally:
        asyncio.run(execute(f"DROP DATABASE {name} WITH (FORCE)"))


def together(arguments: Sequence[str], count: int) -> tuple[list[list[str]], float]:
    """Run so many Python processes; return the words that each printed, and the seconds that all took.

    Each says ``ready``, and begins when it reads a line.
    """
    pipe = subprocess.PIPE
    command = [sys.executable, *arguments]
    started = [subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) for _ in range(count)]
    for process in started:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
    began = time.monotonic()
    for process in started:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [process.communicate()[0].split() for process in started]
    return said, time.monotonic() - began
