"""``/readyz``: 503 while uploads cannot be accepted, and one shared check for concurrent callers."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import httpx
import pytest

from mediagate import QUEUE, RECORDS, STORAGE, MediaGate
from mediagate.api import readiness
from mediagate.errors import StorageUnavailable
from mediagate.queue import InProcessQueue, Queue
from mediagate.records import MemoryRecords
from mediagate.storage import FilesystemStorage, MemoryStorage, ObjectInfo
from tests.support.full_disk import largest_file
from tests.support.mounted import client_of
from tests.support.server import children

pytestmark = pytest.mark.anyio

MakeGate = Callable[..., MediaGate]


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the checks again on each call."""
    monkeypatch.setattr(readiness, "ASK_EVERY_S", 0.0)


async def code(client: httpx.AsyncClient) -> tuple[int, str]:
    answer = await client.get("/readyz")
    return answer.status_code, answer.json().get("code", "")


class Away(MemoryStorage):
    """A storage that cannot be reached."""

    async def stat(self, key: str) -> ObjectInfo | None:
        raise StorageUnavailable("the bucket is away")


class Asked(MemoryRecords):
    """Counts checks and blocks each until ``go_on`` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.checks = 0
        self.under_way, self.go_on = asyncio.Event(), asyncio.Event()

    async def check(self) -> str:
        self.checks += 1
        self.under_way.set()
        await self.go_on.wait()
        return await super().check()


async def test_readyz_runs_one_check_a_second_for_all_callers(make_gate: MakeGate) -> None:
    gate, records = make_gate(memory=False, worker=False), Asked()
    gate.decorate(RECORDS, records)
    gate.decorate(STORAGE, MemoryStorage())
    async with client_of(gate) as client:
        asking = [asyncio.create_task(code(client)) for _ in range(20)]
        await records.under_way.wait()
        asking[0].cancel()
        records.go_on.set()
        assert await asyncio.gather(*asking[1:]) == [(200, "")] * 19
        assert await code(client) == (200, "")
        assert records.checks == 1, "the result is cached for a second"
        await asyncio.sleep(readiness.ASK_EVERY_S)
        assert await code(client) == (200, "")
        assert records.checks == 2


@pytest.mark.slow
async def test_readyz_answers_503_while_the_sqlite_file_is_locked(make_gate: MakeGate, always: None) -> None:
    gate = make_gate(memory=False, worker=False)
    async with client_of(gate) as client:
        assert await code(client) == (200, "")
        other = sqlite3.connect(gate.settings.data_dir / "mediagate.db", isolation_level=None)
        try:
            other.execute("BEGIN IMMEDIATE")
            assert await code(client) == (503, "records_unavailable")
            other.execute("ROLLBACK")
        finally:
            other.close()
        assert await code(client) == (200, "")


@pytest.mark.parametrize("size", [0, 10_000])
async def test_readyz_answers_503_while_the_storage_disk_is_full(
    make_gate: MakeGate, tmp_path: Path, always: None, size: int
) -> None:
    gate = make_gate(memory=False, worker=False)
    gate.decorate(RECORDS, MemoryRecords())
    gate.decorate(STORAGE, FilesystemStorage(tmp_path / "files"))
    async with client_of(gate) as client:
        assert await code(client) == (200, "")
        with largest_file(size):
            assert await code(client) == (503, "storage_unavailable")
        assert await code(client) == (200, "")
        assert [path.name for path in (tmp_path / "files").rglob("*") if path.is_file()] == ["database.json"]


async def test_readyz_answers_503_while_the_spool_disk_is_full(make_gate: MakeGate, always: None) -> None:
    gate = make_gate(worker=False)
    async with client_of(gate) as client:
        with largest_file(10_000):
            assert await code(client) == (503, "storage_unavailable")
        assert await code(client) == (200, "")
        assert list(gate.runtime.spool_dir.iterdir()) == []


async def test_readyz_recreates_missing_spool_and_answers_503_if_it_is_a_file(
    make_gate: MakeGate, always: None
) -> None:
    gate = make_gate(worker=False)
    async with client_of(gate) as client:
        shutil.rmtree(gate.runtime.spool_dir)
        assert await code(client) == (200, ""), "the folder is recreated"
        shutil.rmtree(gate.runtime.spool_dir)
        gate.runtime.spool_dir.write_bytes(b"in the way")
        assert await code(client) == (503, "storage_unavailable")


async def test_readyz_calls_stat_of_a_storage_without_probe(make_gate: MakeGate, always: None) -> None:
    gate = make_gate(memory=False, worker=False)
    gate.decorate(RECORDS, MemoryRecords())
    gate.decorate(STORAGE, Away())
    async with client_of(gate) as client:
        assert await code(client) == (503, "storage_unavailable")


async def test_readyz_answers_503_when_a_check_hangs(make_gate: MakeGate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "PATIENCE_S", 0.05)
    gate = make_gate(memory=False, worker=False)
    gate.decorate(RECORDS, Asked())
    gate.decorate(STORAGE, MemoryStorage())
    async with client_of(gate) as client:
        assert await code(client) == (503, "unavailable")


async def test_gate_closes_during_a_readyz_check(make_gate: MakeGate) -> None:
    gate, records = make_gate(memory=False, worker=False), Asked()
    gate.decorate(RECORDS, records)
    gate.decorate(STORAGE, MemoryStorage())
    async with client_of(gate) as client:
        asking = asyncio.create_task(code(client))
        await records.under_way.wait()
        asking.cancel()


async def test_readyz_answers_503_when_the_worker_has_stopped(make_gate: MakeGate, always: None) -> None:
    gate = make_gate()
    async with client_of(gate) as client:
        assert await code(client) == (200, "")
        await gate.runtime.worker.stop(drain_s=0)
        assert await code(client) == (503, "unavailable")


async def test_healthz_answers_200_whatever_else_fails(make_gate: MakeGate, always: None) -> None:
    gate = make_gate(memory=False, worker=False)
    gate.decorate(RECORDS, MemoryRecords())
    gate.decorate(STORAGE, Away())
    async with client_of(gate) as client:
        assert await code(client) == (503, "storage_unavailable")
        gate.withdraw()
        answer = await client.get("/healthz")
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


@contextmanager
def stopped_image_processes() -> Iterator[list[int]]:
    """Stop (SIGSTOP) the fork server and the image processes of this process for the length of a block."""
    command = b"mediagate.images.process"
    found = [pid for pid in children(os.getpid()) if command in Path(f"/proc/{pid}/cmdline").read_bytes()]
    for pid in found:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield found
    finally:
        for pid in found:
            os.kill(pid, signal.SIGCONT)


async def test_readyz_ignores_the_queue_and_the_image_processes(make_gate: MakeGate, always: None) -> None:
    class Broken(InProcessQueue):
        async def dispatch(self, job_id: str) -> None:
            raise RuntimeError("the broker is away")

        async def take(self) -> str:
            raise RuntimeError("the broker is away")

    gate = make_gate()
    gate.decorate(QUEUE, cast(Queue, Broken()))
    async with client_of(gate) as client:
        with stopped_image_processes() as stopped:
            assert len(stopped) > 1
            assert await code(client) == (200, "")
