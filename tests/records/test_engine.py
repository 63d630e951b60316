"""The query engine restarts after a crash and ends with its parent; an engine of the user is used if configured."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from mediagate.errors import RecordsUnavailable
from mediagate.records import PrismaRecords, Settlement, get_job, get_state
from mediagate.records.client import __file__ as client_file
from mediagate.records.engine import PROGRAM
from mediagate.records.migration import migrate
from mediagate.records.permissions import permissions_for
from mediagate.records.runtime import Runtime, find_runtime
from mediagate.testing.record_samples import LEASE, a_job, a_media, claimed_job
from mediagate.values import JobStatus, utcnow
from tests.support.ports import free_port
from tests.support.runtimes import packaged

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.usefixtures("each_runtime")]

PASSWORD = "s3cr3t-pa55word"


def children(parent: int) -> list[int]:
    """Return the engine processes of a parent."""
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(parent)], capture_output=True, text=True, check=False)
    own = [int(pid) for pid in found.stdout.split()]
    return [pid for pid in own if b"query-engine" in command_line(pid)]


def command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"file:{tmp_path / 'records.db'}"


@pytest.fixture
async def records(url: str) -> AsyncIterator[PrismaRecords]:
    records = PrismaRecords(url, migrate=True)
    await records.open()
    yield records
    await records.close()


async def test_killed_engine_restarts_for_the_next_query(records: PrismaRecords) -> None:
    job = a_job(utcnow())
    await records.create_job(job)
    for _ in range(3):
        (engine,) = children(os.getpid())
        os.kill(engine, signal.SIGKILL)
        found = await get_job(records, job.id)
        assert found is not None and found.id == job.id
        assert children(os.getpid()) != [engine]


async def test_concurrent_queries_start_one_engine(records: PrismaRecords) -> None:
    (engine,) = children(os.getpid())
    os.kill(engine, signal.SIGKILL)
    assert await asyncio.gather(*(records.queue_depth() for _ in range(40))) == [0] * 40
    assert len(children(os.getpid())) == 1


async def test_engine_restart_is_retried_after_a_failure(
    records: PrismaRecords, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = tmp_path / "node"
    broken.write_text("#!/bin/sh\nexit 3\n")
    broken.chmod(0o755)
    (engine,) = children(os.getpid())
    with monkeypatch.context() as patch:
        patch.setattr("mediagate.records.engine.find_runtime", lambda: Runtime("node", broken, (24, 0, 0), "PATH"))
        os.kill(engine, signal.SIGKILL)
        for _ in range(2):
            with pytest.raises(RecordsUnavailable):
                await records.queue_depth()
    assert await records.queue_depth() == 0


async def test_engine_restarts_after_the_working_directory_was_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "release"
    folder.mkdir()
    monkeypatch.chdir(folder)
    records = PrismaRecords("file:../records.db", migrate=True)
    await records.open()
    try:
        folder.rmdir()
        (engine,) = children(os.getpid())
        os.kill(engine, signal.SIGKILL)
        assert await records.queue_depth() == 0
    finally:
        await records.close()


async def test_engine_runs_inside_a_project_of_es_modules(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "package.json").write_text('{"type": "module"}')
    copy = shutil.copytree(PROGRAM.parent, tmp_path / "site-packages" / "query_engine")
    monkeypatch.setattr("mediagate.records.engine.PROGRAM", copy / PROGRAM.name)
    records = PrismaRecords(url, migrate=True)
    await records.open()
    try:
        assert await records.queue_depth() == 0
    finally:
        await records.close()


def test_engine_ends_when_its_parent_died_before_it_ran(url: str, tmp_path: Path) -> None:
    folder = tmp_path / "engine"
    folder.mkdir()
    schema, socket = Path(client_file).with_name("schema.prisma"), folder / "socket"
    env = {
        **os.environ,
        "PRISMA_DML_PATH": str(schema),
        "MEDIAGATE_ENGINE_SOCKET": str(socket),
        "MEDIAGATE_ENGINE_PARENT": str(os.getppid()),  # not this process, as if init had taken it over
        "OVERWRITE_DATASOURCES": json.dumps([{"name": "db", "url": url}]),
    }
    permissions = permissions_for(url, program=PROGRAM, schema=schema, socket=socket, env=env)
    engine = find_runtime().start(PROGRAM, permissions, env, folder)
    try:
        assert engine.wait(60) == 0
    finally:
        engine.kill()
    assert not folder.exists()


async def test_records_close_is_idempotent_and_leaves_nothing(url: str, monkeypatch: Any, tmp_path: Path) -> None:
    def folders() -> list[int]:
        return [path.stat().st_mode for path in tmp_path.glob("mediagate-*")]

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    records = PrismaRecords(url, migrate=True)
    await records.open()
    assert [mode & 0o777 for mode in folders()] == [0o700]
    await records.close()
    await records.close()
    assert children(os.getpid()) == []
    assert folders() == []
    with pytest.raises(RecordsUnavailable):
        await records.queue_depth()
    await records.open()
    assert await records.queue_depth() == 0
    await records.close()


PARENT = """
import anyio, sys
from mediagate.records import PrismaRecords
async def main():
    records = PrismaRecords(sys.argv[1], migrate=True)
    await records.open()
    await records.queue_depth()
    print("open", flush=True)
    await anyio.sleep(60)
anyio.run(main)
"""


def test_engine_does_not_outlive_a_killed_parent(url: str, tmp_path: Path) -> None:
    folder = tmp_path / "tmp"
    folder.mkdir()
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, url], stdout=subprocess.PIPE, env={**os.environ, "TMPDIR": str(folder)}
    ) as parent:
        try:
            assert parent.stdout is not None and parent.stdout.readline() == b"open\n"
            (engine,) = children(parent.pid)
        finally:
            parent.kill()
    until = time.monotonic() + 10
    while b"query-engine" in command_line(engine):
        assert time.monotonic() < until, "the engine still runs"
        time.sleep(0.05)
    assert list(folder.iterdir()) == []


async def test_records_settle_fifty_concurrent_jobs(records: PrismaRecords) -> None:
    now = utcnow()

    async def one(_: int) -> str:
        job = await claimed_job(records, now)
        settlement = Settlement(JobStatus.COMPLETE, a_media(job))
        assert await records.settle(job, owner="worker", now=now, settlement=settlement)
        return job.id

    ids = await asyncio.gather(*map(one, range(50)))
    assert {job.status for job in (await records.get_jobs(ids)).values()} == {JobStatus.COMPLETE}
    page = await records.list_media("check", None, limit=100)
    assert {m.job_id for m in page.items} == set(ids)


async def test_cancelled_settlement_blocks_no_other_query(records: PrismaRecords) -> None:
    now = utcnow()
    for wait in (0.0, 0.001, 0.002, 0.004):
        job = await claimed_job(records, now)
        settlement = Settlement(JobStatus.COMPLETE, a_media(job))
        with anyio.move_on_after(wait):
            await records.settle(job, owner="worker", now=now, settlement=settlement)
        with anyio.fail_after(2):
            await records.create_job(a_job(now))
        state = await get_state(records, job.id)
        assert state is not None
        assert (state.job.status is JobStatus.COMPLETE) == (state.media is not None)


async def test_unavailable_database_is_reported_without_the_password(caplog: pytest.LogCaptureFixture) -> None:
    url = f"postgresql://somebody:{PASSWORD}@127.0.0.1:{free_port()}/nowhere?connect_timeout=2"
    records = PrismaRecords(url)
    with caplog.at_level(logging.DEBUG):
        await records.open()
        try:
            for query in (records.queue_depth, records.check):
                with pytest.raises(RecordsUnavailable) as caught:
                    await query()
                assert PASSWORD not in repr(caught.value) + str(caught.value.__cause__)
            with pytest.raises(RecordsUnavailable):
                await records.create_job(a_job(utcnow()))
            with pytest.raises(RecordsUnavailable):
                await records.release("job_x", owner="w", available_at=utcnow() + LEASE)
        finally:
            await records.close()
        for records in (PrismaRecords(url, migrate=True), PrismaRecords(url)):
            with pytest.raises(RecordsUnavailable, match="PostgreSQL") as caught:
                await (records.lacks() if caplog.records else records.open())
            assert PASSWORD not in str(caught.value) + repr(records)
        with pytest.raises(RecordsUnavailable, match="PostgreSQL"):
            await PrismaRecords(url, migrate=True).open()
    assert caplog.records
    formatter = logging.Formatter()
    assert not [text for r in caplog.records if PASSWORD in (text := formatter.format(r))]


async def test_unusable_sqlite_file_is_named_in_the_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(RecordsUnavailable, match=r"records\.db"):
        await PrismaRecords(f"file:{tmp_path / 'file' / 'records.db'}", migrate=True).open()
    (tmp_path / "records.db").write_bytes(b"certainly no database" * 100)
    with pytest.raises(RecordsUnavailable, match=r"records\.db"):
        await PrismaRecords(f"file:{tmp_path / 'records.db'}", migrate=True).open()


async def test_native_engine_from_the_environment_is_used(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, started = tmp_path / "query-engine-native", tmp_path / "started"
    engine.write_text(f'#!/bin/sh\necho "$@" >>{started}\nexec {packaged("node")} {PROGRAM} "$@"\n')
    engine.chmod(0o755)
    monkeypatch.setenv("PRISMA_QUERY_ENGINE_BINARY", str(engine))
    records = PrismaRecords(url, migrate=True)
    await records.open()
    try:
        job = a_job(utcnow())
        await records.create_job(job)
        assert await get_job(records, job.id)
        assert started.read_text().splitlines()[-1].startswith("-p ")
        (process,) = children(os.getpid())
        os.kill(process, signal.SIGKILL)
        assert await get_job(records, job.id)
        assert started.read_text().count("-p ") == 2
    finally:
        await records.close()
    assert children(os.getpid()) == []


@pytest.fixture
def own_engine(url: str) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """An engine that the host runs itself, on a TCP port."""
    port = free_port()
    schema = Path(client_file).parent / "schema.prisma"
    with subprocess.Popen(
        [packaged("node"), PROGRAM, "-p", str(port)],
        env={**os.environ, "PRISMA_DML_PATH": str(schema), "MEDIAGATE_DATABASE_URL": url},
    ) as engine:
        try:
            until = time.monotonic() + 20
            while True:
                with socket.socket() as client:
                    if client.connect_ex(("127.0.0.1", port)) == 0:
                        break
                assert time.monotonic() < until and engine.poll() is None
                time.sleep(0.05)
            yield f"http://127.0.0.1:{port}/", engine
        finally:
            engine.kill()


async def test_engine_run_by_the_host_is_used_and_left_running(
    url: str, own_engine: tuple[str, subprocess.Popen[bytes]]
) -> None:
    engine_url, engine = own_engine
    await migrate(url)
    for _ in range(2):
        records = PrismaRecords(url, engine_url=engine_url)
        await records.open()
        job = await claimed_job(records, utcnow())
        settlement = Settlement(JobStatus.COMPLETE, a_media(job))
        assert await records.settle(job, owner="worker", now=utcnow(), settlement=settlement)
        assert await records.get_media(job.media_id) == a_media(job)
        assert len(children(os.getpid())) == 1  # the host's; records started none
        await records.close()
        assert engine.poll() is None
    records = PrismaRecords(url, engine_url=engine_url)
    await records.open()
    engine.kill()
    engine.wait()
    with pytest.raises(RecordsUnavailable):
        await records.queue_depth()
    await records.close()
    with pytest.raises(RecordsUnavailable):
        await PrismaRecords(url, engine_url=engine_url).open()
