"""A site with a queue: a gate that takes uploads in this process, workers in others, one database, one broker."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import amqp
import asyncpg

from mediagate import MediaGate, Settings, Source, VariantSpec
from mediagate.records.migration import migrate
from mediagate_plugins.celery_queue import celery_queue
from mediagate_plugins.procrastinate_queue import procrastinate_queue
from tests.support.databases import fresh_database
from tests.support.forked import SHARED
from tests.support.load import stretched
from tests.support.server import GATES, PYTHONPATH
from tests.support.services import need

POSTGRES = os.environ.get("MEDIAGATE_TEST_POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432")
BROKER = os.environ.get("MEDIAGATE_TEST_AMQP_URL", "amqp://guest:guest@127.0.0.1:5672")
FAST = {
    "MEDIAGATE_JANITOR_INTERVAL_S": "0.4",
    "MEDIAGATE_RETRY_BACKOFF_S": "0.1",
    "MEDIAGATE_IMAGE_PROCESSES": "1",
    "MEDIAGATE_DRAIN_TIMEOUT_S": "5",
}
DEADLINE_S = 120.0
READY = (b"mediagate: working", b" ready.", b"Starting worker")
"""What each of the commands says."""
BIN = Path(sys.executable).parent
COMMANDS = {
    "mediagate": [str(BIN / "mediagate"), "worker", "queue_gate:gate"],
    "celery": [str(BIN / "celery"), "--app=queue_gate", "worker", "--loglevel=INFO"],
    "procrastinate": [str(BIN / "procrastinate"), "--verbose", "--app=queue_gate.app", "worker"],
}
NOTES = """
CREATE TABLE noted (id bigserial PRIMARY KEY, job_id text, status text);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN INSERT INTO noted (job_id, status) VALUES (NEW.id, NEW.status); RETURN NULL; END $$;
CREATE TRIGGER note AFTER UPDATE ON mediagate_job FOR EACH ROW
WHEN (OLD.status IS DISTINCT FROM NEW.status AND NEW.status NOT IN ('PENDING', 'PROCESSING')) EXECUTE FUNCTION note();
"""
"""The database itself notes each time that a job ends."""


class Worker:
    """A worker process that a test can kill, stop and start again."""

    def __init__(self, command: list[str], env: dict[str, str], log: Path) -> None:
        self._command, self._env, self.log = command, env, log
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._began_at = log.tell()
            self.process = subprocess.Popen(
                self._command, env=self._env, cwd=GATES, stdout=log, stderr=log, start_new_session=True
            )

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def works(self) -> bool:
        """Whether the process has got so far that it takes jobs, and ends in order when it is asked to."""
        said = self.log.read_bytes()[self._began_at :]
        return any(word in said for word in READY)

    def ended(self) -> bool:
        return self.process is None or self.process.poll() is not None

    def send(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        """Kill -9 the process alone; what it had started ends by itself."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(30)

    def stop(self) -> int:
        """Ask the process to end (SIGTERM) and return its exit code."""
        self.send(signal.SIGTERM)
        assert self.process is not None
        return self.process.wait(60)


class Site:
    """Uploads go through ``gate``; ``engine`` is the queue's, ``way`` who runs the workers: mediagate or the engine."""

    def __init__(self, engine: str, way: str, data_dir: Path, database: str, queue: str, attempts: int) -> None:
        self.engine, self.way, self.data_dir, self.database, self.queue = engine, way, data_dir, database, queue
        self.workers: list[Worker] = []
        self.gate = MediaGate(
            sources={"avatar": Source(variants={"xs": VariantSpec(width=64)}, original="delete")},
            settings=Settings(
                data_dir=data_dir, database_url=database, worker=False, migrate=True, max_attempts=attempts
            ),
            moderation="off",
        )
        self.gate.fork_server = SHARED
        if engine == "celery":
            self.gate.register(celery_queue, broker=BROKER, queue=queue)
        else:
            self.gate.register(procrastinate_queue, queue=queue)

        self.env = {
            **os.environ,
            **FAST,
            "MEDIAGATE_LEASE_S": str(stretched(2)),
            "PYTHONPATH": PYTHONPATH,
            "MEDIAGATE_DATA_DIR": str(data_dir),
            "MEDIAGATE_DATABASE_URL": database,
            "MEDIAGATE_TEST_ENGINE": engine,
            "MEDIAGATE_TEST_QUEUE": queue,
            "MEDIAGATE_TEST_BROKER": BROKER,
        }

    def start_worker(self, *options: str) -> Worker:
        command = COMMANDS["mediagate" if self.way == "mediagate" else self.engine]
        worker = Worker([*command, *options], self.env, self.data_dir.parent / f"worker{len(self.workers)}.log")
        self.workers.append(worker)
        return worker

    async def upload(self, photo: bytes, source_id: str = "good") -> str:
        return (await self.gate.upload(photo, source_type="avatar", source_id=source_id)).job_id

    async def query(self, sql: str) -> list[dict[str, Any]]:
        connection = await asyncpg.connect(self.database)
        try:
            return [dict(row) for row in await connection.fetch(sql)]
        finally:
            await connection.close()

    async def ended(self) -> dict[str, list[str]]:
        """Return, by job, each end that the database has noted."""
        ends: dict[str, list[str]] = {}
        for row in await self.query("SELECT job_id, status FROM noted ORDER BY id"):
            ends.setdefault(row["job_id"], []).append(row["status"])
        return ends

    async def until(self, reached: Callable[[], Any]) -> None:
        """Wait until something is so; fails with the workers' logs."""
        end = time.monotonic() + DEADLINE_S
        while True:
            found = reached()
            if asyncio.iscoroutine(found):
                found = await found
            if found:
                return
            assert time.monotonic() < end, self.logs()
            await asyncio.sleep(0.1)

    async def until_ended(self, count: int) -> None:
        async def enough() -> bool:
            return len(await self.ended()) >= count

        await self.until(enough)

    def logs(self) -> str:
        return "\n".join(f"== {w.log.name}\n{w.log.read_text()[-6000:]}" for w in self.workers)

    def notes(self, file: str) -> list[str]:
        path = self.data_dir / file
        return path.read_text().splitlines() if path.exists() else []

    async def purge(self) -> None:
        """Lose what the queue holds."""
        if self.engine == "celery":
            await asyncio.to_thread(_with_broker, lambda channel: channel.queue_purge(self.queue))
        else:
            # Procrastinate's status of a job that waits.
            await self.query("DELETE FROM procrastinate_jobs WHERE status = 'todo'")

    async def waiting(self) -> int:
        """Return how many ids the queue holds that no worker has taken."""
        if self.engine == "celery":
            declared = await asyncio.to_thread(
                _with_broker, lambda channel: channel.queue_declare(self.queue, passive=True)
            )
            return int(declared.message_count)
        # Procrastinate's status of a job that waits.
        rows = await self.query("SELECT count(*) AS n FROM procrastinate_jobs WHERE status = 'todo'")
        return int(rows[0]["n"])

    def assert_each_ended_once(self, ends: dict[str, list[str]], count: int, **others: list[str]) -> None:
        """Each of ``count`` jobs is noted as COMPLETE exactly once, but for the others named."""
        expected = Counter(tuple(others.get(job_id, ["COMPLETE"])) for job_id in ends)
        assert Counter(tuple(e) for e in ends.values()) == expected, self.logs()
        assert len(ends) == count


def _with_broker(use: Callable[[Any], Any]) -> Any:
    address = urlsplit(BROKER)
    with amqp.Connection(
        host=f"{address.hostname}:{address.port or 5672}", userid=address.username, password=address.password
    ) as connection:
        return use(connection.channel())


@contextlib.asynccontextmanager
async def a_database() -> AsyncIterator[str]:
    """A migrated database of its own, which notes each end of a job; dropped at the end."""
    with fresh_database() as url:
        await migrate(url)
        connection = await asyncpg.connect(url, timeout=10)
        try:
            await connection.execute(NOTES)
        finally:
            await connection.close()
        yield url


@contextlib.asynccontextmanager
async def a_site(
    engine: str, way: str, tmp_path: Path, *, attempts: int = 3, takes_uploads: bool = True
) -> AsyncIterator[Site]:
    """A site without workers, its gate open if it takes uploads; everything it made is gone afterwards."""
    queue = f"mediagate_test_{secrets.token_hex(6)}"
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    need("a broker")
    async with a_database() as database:
        site = Site(engine, way, data_dir, database, queue, attempts)
        try:
            async with site.gate if takes_uploads else contextlib.nullcontext():
                yield site
        finally:
            for worker in site.workers:
                if not worker.ended():
                    worker.send(signal.SIGCONT)
                    worker.kill()
            if engine == "celery":
                with contextlib.suppress(amqp.NotFound):
                    await asyncio.to_thread(_with_broker, lambda channel: channel.queue_delete(queue))
                await asyncio.to_thread(_with_broker, lambda channel: channel.exchange_delete(queue))


def supervised(workers: list[Worker]) -> Iterator[Worker]:
    """Start again, as a service manager would, each worker that has ended; yields those."""
    for worker in workers:
        if worker.ended():
            worker.start()
            yield worker
