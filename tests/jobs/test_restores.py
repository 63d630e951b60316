"""A restored database dump removes none of the files that are newer than it."""

from __future__ import annotations

import shutil
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import anyio
import asyncpg
import pytest

from mediagate import MediaGate, Settings, Source
from mediagate.cli.doctor import examine
from tests.support.forked import SHARED

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

TWO_DAYS = timedelta(days=2)
Copy = Callable[[str, str], Awaitable[None]]


async def copy_sqlite(source: str, target: str) -> None:
    """Copy a closed database."""

    def copy() -> None:
        for end in ("-wal", "-shm"):
            Path(target.removeprefix("file:") + end).unlink(missing_ok=True)
        shutil.copy(source.removeprefix("file:"), target.removeprefix("file:"))

    await anyio.to_thread.run_sync(copy)


async def copy_postgres(source: str, target: str) -> None:
    """Replace a database by a copy of another."""
    names = [urlsplit(url).path[1:] for url in (source, target)]
    connection = await asyncpg.connect(urlunsplit(urlsplit(source)._replace(path="/postgres")))
    try:
        await connection.execute(f"DROP DATABASE IF EXISTS {names[1]} WITH (FORCE)")
        await connection.execute(f"CREATE DATABASE {names[1]} TEMPLATE {names[0]}")
    finally:
        await connection.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str, Copy]:
    """The URLs of a database and of its dump, and the function that copies one to the other."""
    if request.param == "sqlite":
        return f"file:{tmp_path}/live.db", f"file:{tmp_path}/dump.db", copy_sqlite
    url = str(request.getfixturevalue("own_postgres_url"))
    dump = urlunsplit(urlsplit(url)._replace(path=urlsplit(url).path + "_dump"))
    request.addfinalizer(lambda: anyio.run(drop, dump))
    return url, dump, copy_postgres


async def drop(url: str) -> None:
    connection = await asyncpg.connect(urlunsplit(urlsplit(url)._replace(path="/postgres")))
    try:
        await connection.execute(f"DROP DATABASE IF EXISTS {urlsplit(url).path[1:]} WITH (FORCE)")
    finally:
        await connection.close()


async def files(gate: MediaGate) -> set[str]:
    storage = gate.parts.storage
    return {info.key for root in ("media/", "originals/") async for info in storage.list(root)}


async def test_restored_dump_removes_no_newer_files(
    database: tuple[str, str, Copy], tmp_path: Path, photo: bytes
) -> None:
    live, dump, copy = database

    def gate(*, worker: bool = True) -> MediaGate:
        settings = Settings(
            data_dir=tmp_path / "data", database_url=live, migrate=True, image_processes=1, worker=worker,
            orphan_grace_s=0, staging_ttl_s=1,
        )  # fmt: skip
        made = MediaGate(sources={"avatar": Source()}, settings=settings, moderation="off")
        made.fork_server = SHARED
        return made

    async def complete(gate: MediaGate, name: str) -> None:
        job = await gate.upload(photo, source_type="avatar", source_id=name)
        await gate.wait(job.job_id, timeout_s=60)

    async with gate() as today:
        await complete(today, "known")
    async with gate(worker=False) as today:
        waiting = await today.upload(photo, source_type="avatar", source_id="waiting")
    await copy(live, dump)
    async with gate() as today:
        await today.wait(waiting.job_id, timeout_s=60)
        await complete(today, "unknown")
        kept = await files(today)
    assert len({key.split("/")[2] for key in kept}) == 3

    await copy(dump, live)
    async with gate() as restored:
        # The dump has it waiting, and its quarantined file is gone; its published picture must stay.
        await restored.wait(waiting.job_id, timeout_s=60)
        await complete(restored, "new")
        for _ in range(2):
            later = await restored.parts.records.now() + TWO_DAYS
            found = await restored.runtime.janitor.sweep_files(dry_run=False, now=later)
            assert found.orphans == []
            assert found.doubt is not None
        assert kept <= await files(restored)
    told = {finding.part: finding async for finding in examine(restored)}
    assert not told["storage"].ok
    assert "older than the storage" in told["storage"].text
