"""Shared by all tests: where the real pictures are, and gates on memory parts with real image processes."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import RedisError

from mediagate import RECORDS, STORAGE, MediaGate, Settings, Source
from mediagate.records import MemoryRecords
from mediagate.storage import MemoryStorage
from tests.support.postgres_database import fresh_database

DATA = Path(__file__).parent / "data"


@pytest.fixture
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
    """Make a gate that keeps records and files in memory, with moderation off unless told."""
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
            settings=Settings(data_dir=tmp_path / f"gate{made}", **{"image_processes": 1, **settings}),
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
    with fresh_database() as url:
        yield url


@pytest.fixture
def own_postgres_url() -> Iterator[str]:
    """A database for one test, which sees no rows of others."""
    with fresh_database() as url:
        yield url
