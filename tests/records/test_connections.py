"""Number of database connections of a process, and operation behind PgBouncer."""

from __future__ import annotations

import asyncio
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from mediagate import MediaGate, Settings, Source
from mediagate.errors import ConfigError
from mediagate.records import PrismaRecords
from mediagate.records.migration import migrate
from mediagate.testing import check_records
from mediagate.testing.record_samples import a_job
from tests.support.ports import free_port
from tests.support.postgres_cluster import as_user
from tests.support.programs import program

pytestmark = pytest.mark.anyio

COUNT = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


@pytest.mark.parametrize(
    ("options", "connections", "most"), [("", None, 5), ("", 1, 1), ("", 8, 8), ("?connection_limit=3", None, 3)]
)
async def test_records_open_no_more_connections_than_configured(
    postgres_url: str, options: str, connections: int | None, most: int
) -> None:
    records = PrismaRecords(postgres_url + options, migrate=True, connections=connections)
    await records.open()
    watcher = await asyncpg.connect(postgres_url)
    try:
        now = await records.now()
        jobs = [a_job(now) for _ in range(40)]
        writes = [records.create_job(job) for job in jobs]
        asked = asyncio.gather(*writes, *(records.check() for _ in range(60)))
        seen = 0
        while not asked.done():
            seen = max(seen, await watcher.fetchval(COUNT))
        await asked
        seen = max(seen, await watcher.fetchval(COUNT))
        assert seen == most
        assert len(await records.get_jobs([job.id for job in jobs])) == 40
    finally:
        await watcher.close()
        await records.close()


@pytest.mark.parametrize(
    ("options", "connections", "said"),
    [
        ("?connection_limit=4", 5, "remove one of the two"),
        ("?connection_limit=0", None, "whole number from 1"),
        ("?connection_limit=many", None, "whole number from 1"),
    ],
)
def test_records_reject_invalid_connection_limits(options: str, connections: int | None, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        PrismaRecords(f"postgresql://u:hush@localhost/db{options}", connections=connections)
    assert "hush" not in str(caught.value)


async def test_database_connections_setting_reaches_the_records(postgres_url: str, tmp_path: Path) -> None:
    settings = Settings(
        data_dir=tmp_path, database_url=f"{postgres_url}?connection_limit=2", database_connections=3, worker=False
    )
    with pytest.raises(ConfigError, match="database_connections is 3"):
        async with MediaGate(sources={"avatar": Source()}, settings=settings, moderation="off"):
            pass
    with pytest.raises(ConfigError, match="MEDIAGATE_DATABASE_CONNECTIONS"):
        Settings(database_connections=0)


@pytest.fixture
def pgbouncer(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The database behind PgBouncer in transaction mode, with two connections to the server."""
    command = program("pgbouncer", "pgbouncer")
    server, port = urlsplit(postgres_url), free_port()
    name = server.path.strip("/")
    config = tmp_path_factory.mktemp("pgbouncer") / "pgbouncer.ini"
    config.write_text(
        f"[databases]\n{name} = host={server.hostname} port={server.port or 5432} dbname={name} user=postgres\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n"
        "pool_mode = transaction\ndefault_pool_size = 2\n"
    )
    for folder in (config, *config.parents):
        if folder == Path(tempfile.gettempdir()):
            break
        folder.chmod(0o755)
    process = subprocess.Popen(
        [command, config], **as_user(), cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        ready = ["pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]
        for _ in range(100):
            if subprocess.run(ready, check=False).returncode == 0:
                break
            time.sleep(0.05)
        yield f"postgresql://postgres@127.0.0.1:{port}/{name}?pgbouncer=true"
    finally:
        process.kill()
        process.wait()


async def test_records_contract_holds_behind_pgbouncer(postgres_url: str, pgbouncer: str) -> None:
    await migrate(postgres_url)
    one, other = PrismaRecords(pgbouncer), PrismaRecords(pgbouncer)
    await one.open()
    await other.open()
    watcher = await asyncpg.connect(postgres_url)
    try:
        await asyncio.gather(check_records(one), *(other.check() for _ in range(50)))
        assert await watcher.fetchval(COUNT) <= 2
    finally:
        await watcher.close()
        await one.close()
        await other.close()
