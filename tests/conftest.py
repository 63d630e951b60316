"""Shared by all tests: where the real pictures are, and gates on memory parts with real image processes."""

import os
import secrets
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import RedisError

from mediagate import RECORDS, STORAGE, MediaGate, Settings, Source
from mediagate.records import MemoryRecords
from mediagate.records.runtime import find_runtime
from mediagate.storage import MemoryStorage
from tests.support.databases import fresh_database
from tests.support.forked import SHARED, SharedForkServer
from tests.support.leftovers import Session
from tests.support.rgw import Gateway, missing, running_gateway
from tests.support.runtimes import first_on_path, runtime_of
from tests.support.s3_server import S3Server
from tests.support.scheduling import LONG, FileScheduling
from tests.support.services import need
from tests.support.wheels import RELEASES, build_wheel, install_wheel

DATA = Path(__file__).parent / "data"
SESSION = pytest.StashKey[Session]()
LEFT = pytest.StashKey[list[str]]()


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


@pytest.fixture(scope="session", autouse=True)
def fork_server() -> Iterator[SharedForkServer]:
    """The parent of the image processes of all gates; pools of tests use it without this fixture."""
    yield SHARED
    SHARED.end()


@pytest.fixture
def make_gate(tmp_path: Path, fork_server: SharedForkServer) -> Callable[..., MediaGate]:
    """Make a gate that keeps records and files in memory; moderation is off by default."""
    return _gates_in(tmp_path, fork_server)


@pytest.fixture(scope="module")
def make_shared_gate(
    tmp_path_factory: pytest.TempPathFactory, fork_server: SharedForkServer
) -> Callable[..., MediaGate]:
    """Make a gate, as ``make_gate`` does, that the tests of a module share."""
    return _gates_in(tmp_path_factory.mktemp("shared"), fork_server)


def _gates_in(folder: Path, server: SharedForkServer) -> Callable[..., MediaGate]:
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
        gate.fork_server = server
        if memory:
            gate.decorate(RECORDS, MemoryRecords())
            gate.decorate(STORAGE, MemoryStorage())
        return gate

    return make


def pytest_configure(config: pytest.Config) -> None:
    """Begin a session, in the process that the others are started by."""
    if not hasattr(config, "workerinput"):
        config.stash[SESSION] = Session()


@pytest.fixture(scope="module", autouse=True)
def runtime(request: pytest.FixtureRequest) -> Iterator[None]:
    """The query engines of this process, and of those that tests start, run on the runtime of the test's file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", first_on_path(runtime_of(request.node.nodeid)))
        find_runtime.cache_clear()
        yield
    find_runtime.cache_clear()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest, in their random order, so that all processes end together."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONG))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> FileScheduling:
    """Distribute whole files."""
    return FileScheduling(config, log)


def pytest_xdist_auto_num_workers() -> int:
    """Start more processes than there are cores, since some always wait; services need CPU too."""
    return len(os.sched_getaffinity(0)) + (2 if os.environ.get("MEDIAGATE_TEST_FAST") else 1)


def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """Where nothing may be skipped (CI), a skip is a failure that gives the reason of the skip."""
    if os.environ.get("MEDIAGATE_TEST_NO_SKIPS") and call.excinfo and call.excinfo.errisinstance(pytest.skip.Exception):
        call.excinfo = pytest.ExceptionInfo.from_exception(AssertionError(f"skipped in CI: {call.excinfo.value}"))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a session that left something behind."""
    if SESSION in session.config.stash and (left := session.config.stash[SESSION].leftovers()):
        session.config.stash[LEFT] = left
        session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print a line for each reason why tests were skipped, and one for each thing that was left behind."""
    reasons = Counter(report.longrepr[2] for report in terminalreporter.stats.get("skipped", ()))
    for reason, tests in reasons.items():
        terminalreporter.write_line(f"SKIPPED {tests} tests: {reason.removeprefix('Skipped: ')}")
    for line in config.stash.get(LEFT, []):
        terminalreporter.write_line(f"LEFT BEHIND {line}", red=True)


@pytest.fixture(scope="session")
def built_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def release_wheel(request: pytest.FixtureRequest) -> Path:
    """The wheel of the newest release; before the first one, of this checkout."""
    wheels = list(RELEASES.glob("*.whl"))
    return wheels[0] if wheels else request.getfixturevalue("built_wheel")


@pytest.fixture(scope="session")
def release_python(release_wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment that has the newest release instead of this checkout."""
    return install_wheel(release_wheel, tmp_path_factory.mktemp("release") / "venv")


@pytest.fixture(scope="session")
def redis_url() -> str:
    """The Redis that MEDIAGATE_TEST_REDIS_URL names; tests remove the keys that they make."""
    need("Redis")
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


@pytest.fixture(scope="module")
def module_postgres_url() -> Iterator[str]:
    """A database for one module, for a fixture that several of its tests share."""
    with fresh_database() as url:
        yield url


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """The server that MEDIAGATE_TEST_S3_URL names (its keys in AWS_ACCESS_KEY_ID, …), else a Ceph gateway of ours."""
    need("the S3 server")
    if url := os.environ.get("MEDIAGATE_TEST_S3_URL"):
        yield S3Server(url, os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])
        return
    if problem := missing():
        pytest.skip(f"no S3 server for the test ({problem}), and MEDIAGATE_TEST_S3_URL names none")
    with running_gateway() as gateway:
        yield S3Server(gateway.url, gateway.access_key, gateway.secret_key, gateway)


@pytest.fixture(scope="session")
def s3_gateway(s3_server: S3Server) -> Gateway:
    """The S3 server as a process that can be killed and stopped."""
    if s3_server.gateway is None:
        pytest.skip("the server that MEDIAGATE_TEST_S3_URL names is not ours to kill")
    return s3_server.gateway


@pytest.fixture(scope="session")
def s3(s3_server: S3Server) -> Iterator[Any]:
    """A plain client of boto3."""
    client = s3_server.client()
    yield client
    client.close()


@pytest.fixture
def make_bucket(s3: Any) -> Iterator[Callable[[], str]]:
    """Make buckets that are deleted after the test."""
    made = []

    def make() -> str:
        name = f"mediagate-test-{secrets.token_hex(6)}"
        s3.create_bucket(Bucket=name)
        made.append(name)
        return name

    yield make
    for name in made:
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=name):
            if found := page.get("Contents"):
                s3.delete_objects(Bucket=name, Delete={"Objects": [{"Key": item["Key"]} for item in found]})
        for upload in s3.list_multipart_uploads(Bucket=name).get("Uploads", ()):
            s3.abort_multipart_upload(Bucket=name, Key=upload["Key"], UploadId=upload["UploadId"])
        s3.delete_bucket(Bucket=name)


@pytest.fixture
def bucket(make_bucket: Callable[[], str]) -> str:
    return make_bucket()
