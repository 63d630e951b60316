"""The queues of Celery and Procrastinate on a real RabbitMQ and PostgreSQL, in one process."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest

from mediagate import JobStatus, MediaGate, Queue, Settings, Source
from mediagate.cli.doctor import examine
from mediagate.errors import ConfigError, RecordsUnavailable
from mediagate_plugins.celery_queue import CELERY_QUEUE, celery_queue
from mediagate_plugins.procrastinate_queue import PROCRASTINATE_QUEUE, procrastinate_queue
from mediagate_plugins.procrastinate_queue import queue as procrastinate_queue_module
from tests.support.queue_site import BROKER, Site, a_database, a_site

pytestmark = pytest.mark.anyio

MakeGate = Callable[..., MediaGate]


@contextlib.asynccontextmanager
async def a_queue(site: Site, *, takes: bool, address: str | None = None) -> AsyncIterator[Queue]:
    """The queue of another process: of a worker (``takes``) or of a process that takes uploads."""
    gate = MediaGate(
        sources={"avatar": Source()},
        settings=Settings(data_dir=site.data_dir, database_url=site.database, image_processes=1, lease_s=600),
        moderation="off",
    )
    if site.engine == "celery":
        gate.register(celery_queue, broker=address or BROKER, queue=site.queue)
    else:
        gate.register(procrastinate_queue, queue=site.queue, database_url=address)
    async with gate.assembled():
        queue: Any = gate[CELERY_QUEUE] if site.engine == "celery" else gate[PROCRASTINATE_QUEUE]
        async with queue.opened(worker=takes) if site.engine == "celery" else queue.opened(worker=takes, migrate=True):
            yield queue


async def soon(queue: Queue, *, timeout_s: float = 30) -> str:
    return await asyncio.wait_for(queue.take(), timeout_s)


@pytest.mark.parametrize("engine", ["procrastinate", "celery"])
async def test_queue_redelivers_ids_that_were_taken_and_not_done(engine: str, tmp_path: Path) -> None:
    async with a_site(engine, "mediagate", tmp_path, takes_uploads=False) as site, a_queue(site, takes=False) as sent:
        async with a_queue(site, takes=True) as queue:
            await sent.dispatch("job_done")
            assert await soon(queue) == "job_done"
            await sent.dispatch("job_kept")
            assert await soon(queue) == "job_kept"
            await queue.done("job_done")
        async with a_queue(site, takes=True) as other:
            assert await soon(other) == "job_kept", "its worker is gone"
            await other.done("job_kept")
            await sent.dispatch("job_last")
            assert await soon(other) == "job_last", "job_done was not redelivered"
            await other.done("job_last")
        assert await site.waiting() == 0


async def test_procrastinate_notifies_a_waiting_worker_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(procrastinate_queue_module, "FETCH_S", 600.0)
    async with (
        a_site("procrastinate", "mediagate", tmp_path, takes_uploads=False) as site,
        a_queue(site, takes=False) as sent,
        a_queue(site, takes=True) as queue,
    ):
        waiting = asyncio.create_task(queue.take())

        async def listens() -> bool:
            rows = await site.query(f"SELECT pid FROM pg_stat_activity WHERE query LIKE 'LISTEN%{site.queue}%'")
            return bool(rows)

        await site.until(listens)
        await sent.dispatch("job_a")
        assert await asyncio.wait_for(waiting, 30) == "job_a"


async def test_procrastinate_redelivers_ids_taken_by_a_dead_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(procrastinate_queue_module, "HEARTBEAT_S", 0.2)
    monkeypatch.setattr(procrastinate_queue_module, "FETCH_S", 0.2)
    monkeypatch.setattr(procrastinate_queue_module, "STALLED_S", 2.0)
    async with (
        a_site("procrastinate", "mediagate", tmp_path, takes_uploads=False) as site,
        a_queue(site, takes=False) as sent,
        a_queue(site, takes=True) as queue,
    ):
        await sent.dispatch("job_a")
        assert await soon(queue) == "job_a"
        # A killed worker sends no heartbeat: its row grows old.
        await site.query("INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - interval '1 hour')")
        await site.query("UPDATE procrastinate_jobs SET worker_id = (SELECT max(id) FROM procrastinate_workers)")
        assert await soon(queue) == "job_a"
        await queue.done("job_a")
        # A worker that was taken for dead after a long sleep registers again.
        await site.query("DELETE FROM procrastinate_workers")
        await sent.dispatch("job_b")
        taken = None
        with contextlib.suppress(Exception):
            taken = await queue.take()
        assert (taken or await soon(queue)) == "job_b"


@pytest.mark.parametrize("engine", ["procrastinate", "celery"])
async def test_doctor_reports_how_many_ids_wait_in_the_queue(engine: str, tmp_path: Path) -> None:
    async with a_site(engine, "mediagate", tmp_path, takes_uploads=False) as site, a_queue(site, takes=False) as queue:
        look: Any = queue
        if engine == "celery":
            assert f"queue '{site.queue}' does not exist yet" in await look.check()
        await queue.dispatch("job_a")
        await queue.dispatch("job_b")
        assert f"queue '{site.queue}', 2 waiting" in await look.check()
        settings = Settings(data_dir=tmp_path, database_url=site.database)
        gate = MediaGate(sources={"avatar": Source()}, settings=settings, moderation="off")
        if engine == "celery":
            gate.register(celery_queue, broker=BROKER, queue=site.queue)
        else:
            gate.register(procrastinate_queue, queue=site.queue)
        findings = {finding.part: finding async for finding in examine(gate)}
        assert findings["queue"].ok and "2 waiting" in findings["queue"].text


@pytest.mark.parametrize("address", ["amqp://guest:geheim@127.0.0.1:5672//", "amqp://guest:geheim@127.0.0.1:1//"])
@pytest.mark.slow
async def test_doctor_reports_a_broker_that_cannot_be_used(address: str, tmp_path: Path) -> None:
    gate = MediaGate(sources={"avatar": Source()}, settings=Settings(data_dir=tmp_path), moderation="off")
    gate.register(celery_queue, broker=address)
    findings = {finding.part: finding async for finding in examine(gate)}
    assert not findings["queue"].ok
    assert "check that RabbitMQ is running there" in findings["queue"].text
    assert "geheim" not in findings["queue"].text


async def test_doctor_reports_missing_tables_of_procrastinate(tmp_path: Path) -> None:
    async with a_database() as url:
        settings = Settings(data_dir=tmp_path, database_url=url)
        gate = MediaGate(sources={"avatar": Source()}, settings=settings, moderation="off")
        gate.register(procrastinate_queue)
        findings = {finding.part: finding async for finding in examine(gate)}
        assert not findings["queue"].ok
        assert "mediagate procrastinate migrate" in findings["queue"].text


@pytest.mark.parametrize("engine", ["procrastinate", "celery"])
async def test_queue_discards_foreign_messages(engine: str, tmp_path: Path) -> None:
    async with a_site(engine, "mediagate", tmp_path, takes_uploads=False) as site, a_queue(site, takes=False) as sent:
        if engine == "celery":
            from celery import Celery

            foreign = Celery(broker=BROKER, set_as_current=False)
            foreign.conf.task_default_queue = site.queue
            await asyncio.to_thread(foreign.send_task, "other.task", args=["job_x"])
            await asyncio.to_thread(foreign.send_task, "mediagate.attempt", args=[{"not": "an id"}])
            await asyncio.to_thread(foreign.close)
        else:
            await site.query(
                "INSERT INTO procrastinate_jobs (queue_name, task_name, args) "
                f"VALUES ('{site.queue}', 'other.task', '{{\"job_id\": \"job_x\"}}'), "
                f"('{site.queue}', 'mediagate.attempt', '{{\"job_id\": 7}}')"
            )
        await sent.dispatch("job_a")
        async with a_queue(site, takes=True) as queue:
            assert await soon(queue) == "job_a"
            await queue.done("job_a")
        assert await site.waiting() == 0


class Cable:
    """A TCP proxy to a real server whose connections a test can break."""

    def __init__(self, host: str, port: int) -> None:
        self._there = (host, port)
        self._ends: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> int:
        self._server = await asyncio.start_server(self._join, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def __aexit__(self, *exc: object) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()

    def cut(self) -> None:
        for end in self._ends:
            end.transport.abort()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, onwards = await asyncio.open_connection(*self._there)
        self._ends |= {writer, onwards}
        await asyncio.gather(_pass(reader, onwards), _pass(there, writer), return_exceptions=True)


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


async def patiently(queue: Queue) -> str:
    """Take an id as a worker does: retry after each error."""
    while True:
        try:
            return await queue.take()
        except Exception:
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("engine", ["procrastinate", "celery"])
async def test_queue_reconnects_after_its_connection_breaks(engine: str, tmp_path: Path) -> None:
    async with a_site(engine, "mediagate", tmp_path, takes_uploads=False) as site:
        address = urlsplit(BROKER if engine == "celery" else site.database)
        cable = Cable(address.hostname or "", address.port or (5672 if engine == "celery" else 5432))
        async with cable as port:
            through = address._replace(netloc=f"{address.netloc.rpartition('@')[0]}@127.0.0.1:{port}").geturl()
            async with (
                a_queue(site, takes=False, address=through) as sent,
                a_queue(site, takes=True, address=through) as queue,
            ):
                await sent.dispatch("job_a")
                assert await soon(queue) == "job_a"
                cable.cut()
                with contextlib.suppress(Exception):
                    await queue.done("job_a")
                async with asyncio.timeout(60):
                    while True:
                        with contextlib.suppress(Exception):
                            await sent.dispatch("job_b")
                            break
                    while (job_id := await patiently(queue)) != "job_b":
                        assert job_id == "job_a", "the broker did not get the acknowledgement"
                        await queue.done(job_id)
                    await queue.done("job_b")


@pytest.mark.parametrize("down", ["refused", "silent"])
@pytest.mark.slow
async def test_broker_that_is_down_delays_no_upload(
    down: str, make_gate: MakeGate, photo: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        if down == "silent":
            listening.listen(50)  # accepts connections and never answers
        address = f"amqp://guest:geheim@127.0.0.1:{listening.getsockname()[1]}"
        gate = make_gate(lease_s=3)
        gate.register(celery_queue, broker=address)
        with caplog.at_level(logging.INFO):
            async with gate:
                for _ in range(3):
                    began = time.monotonic()
                    status = await gate.upload(photo, source_type="avatar", source_id="u1")
                    took = time.monotonic() - began
                    assert took < 1.0 + 2.0, "the broker's timeout is longer (with slack for a loaded machine)"
                    assert (await gate.wait(status.job_id, timeout_s=60)).status is JobStatus.COMPLETE
                await gate.check()
                assert "geheim" not in repr(gate[CELERY_QUEUE])
        assert "geheim" not in caplog.text


async def test_queues_with_wrong_options_stop_the_boot_with_advice(make_gate: MakeGate, tmp_path: Path) -> None:
    gate = make_gate()
    gate.register(procrastinate_queue)
    with pytest.raises(ConfigError, match="needs PostgreSQL"):
        await gate.open()
    for address in ("postgresql://u:geheim@127.0.0.1:notaport/x", "postgresql://u:geheim@[127.0.0.1/x"):
        gate = make_gate()
        gate.register(procrastinate_queue, database_url=address)
        with pytest.raises(ConfigError, match="is malformed") as told:
            await gate.open()
        assert "geheim" not in str(told.value)
    gate = make_gate()
    gate.register(celery_queue, broker="redis://127.0.0.1")
    with pytest.raises(ConfigError, match="RabbitMQ"):
        await gate.open()
    gate = make_gate()
    gate.register(procrastinate_queue, database_url="postgresql://postgres@127.0.0.1:1/x")
    with pytest.raises(RecordsUnavailable, match="does not answer"):
        await gate.open()


async def test_procrastinate_tables_are_required_or_created_by_migrate(make_gate: MakeGate) -> None:
    async with a_database() as database:
        gate = make_gate()
        gate.register(procrastinate_queue, database_url=database)
        with pytest.raises(ConfigError, match="mediagate procrastinate migrate"):
            await gate.open()
        # Several processes migrate concurrently, in a schema that Prisma's URL option names.
        connection = await asyncpg.connect(database)
        await connection.execute('CREATE SCHEMA "of its own"')
        await connection.close()
        inside = f"{database}?schema=of%20its%20own&connection_limit=3"
        gates = [make_gate(migrate=True, worker=False) for _ in range(3)]
        for gate in gates:
            gate.register(procrastinate_queue, database_url=inside)
        await asyncio.gather(*(gate.open() for gate in gates))
        await gates[0][PROCRASTINATE_QUEUE].dispatch("job_a")
        await asyncio.gather(*(gate.close() for gate in gates))
        connection = await asyncpg.connect(database)
        rows = await connection.fetch('SELECT * FROM "of its own".procrastinate_jobs')
        await connection.close()
        assert len(rows) == 1
