"""Shared by all tests: where the real pictures are, and gates on memory parts with real image processes."""

import asyncio
import os
import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
from redis import Redis
from redis.exceptions import RedisError

from mediagate import RECORDS, STORAGE, MediaGate, Settings, Source
from mediagate.records import MemoryRecords
from mediagate.storage import MemoryStorage

DATA = Path(__file__).parent / "data"


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real pictures; its README names their licences."""
    return DATA


@pytest.fixture(scope="session")
def photo() -> bytes:
    """A small real photo."""
    return (DATA / "formats" / "hopper.jpg").read_bytes()


@pytest.fixture
def make_gate(tmp_path: Path) -> Callable[..., MediaGate]:
    """Make a gate that keeps records and files in memory; moderation is off by default."""
    return _gates_in(tmp_path)


@pytest.fixture(scope="module")
def make_shared_gate(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., MediaGate]:
    """Make a gate, as ``make_gate`` does, that the tests of a module share."""
    return _gates_in(tmp_path_factory.mktemp("shared"))


def _gates_in(folder: Path) -> Callable[..., MediaGate]:
    made = 0

    def make(
        *,
        sources: dict[str, Source] | None = None,
        moderation: Any = "off",
        memory: bool = True,
        **settings: Any,
    ) -> MediaGate:
        nonlocal made
        made += 1
        gate = MediaGate(
            sources=sources or {"avatar": Source(), "post": Source()},
            settings=Settings(data_dir=folder / f"gate{made}", **{"image_processes": 1, **settings}),
            moderation=moderation,
        )
        if memory:
            gate.decorate(RECORDS, MemoryRecords())
            gate.decorate(STORAGE, MemoryStorage())
        return gate

    return make


def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """Where nothing may be skipped (CI), a skip is a failure that gives the reason of the skip."""
    if os.environ.get("MEDIAGATE_TEST_NO_SKIPS") and call.excinfo and call.excinfo.errisinstance(pytest.skip.Exception):
        call.excinfo = pytest.ExceptionInfo.from_exception(AssertionError(f"skipped in CI: {call.excinfo.value}"))


@pytest.fixture(scope="session")
def redis_url() -> str:
    """The Redis that MEDIAGATE_TEST_REDIS_URL names; tests remove the keys that they make."""
    url = os.environ.get("MEDIAGATE_TEST_REDIS_URL", "redis://127.0.0.1:6379/13")
    try:
        with Redis.from_url(url, socket_connect_timeout=5) as redis:
            redis.ping()
    except RedisError as exc:
        pytest.skip(f"no Redis for the test ({exc}): name one in MEDIAGATE_TEST_REDIS_URL")
    return url


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A database for the whole session, dropped at the end, on the server that MEDIAGATE_TEST_POSTGRES_URL names."""
    with _fresh_database() as url:
        yield url


@pytest.fixture
def own_postgres_url() -> Iterator[str]:
    """A database for one test, which sees no rows of others."""
    with _fresh_database() as url:
        yield url


@pytest.fixture(scope="module")
def module_postgres_url() -> Iterator[str]:
    """A database for one module, for a fixture that several of its tests share."""
    with _fresh_database() as url:
        yield url


@contextmanager
def _fresh_database() -> Iterator[str]:
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
    yield urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
    run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
