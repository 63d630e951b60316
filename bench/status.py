"""Asking for jobs: how fast finished ones are answered, beside Fastify and Prisma, and what waiting costs the database.

    python -m bench status

The peer reads the same SQLite file through a client that Prisma generates from the same schema, and answers the same
JSON. It runs on Prisma's engine in JavaScript, which needs no binary; ours answers from memory what it read in the
last ten seconds, and that is the point. Each server is one process.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import resource
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from bench.service import MOUNT, serving
from bench.size import Size
from bench.table import Row, alternate
from bench.workshop import PEERS, workshop
from mediagate.records import PrismaRecords
from mediagate.testing.record_samples import a_job
from mediagate.values import utcnow

GATE = """
from mediagate import MediaGate, Source

gate = MediaGate(sources={"photo": Source()}, moderation="off")
"""
COUNTING_GATE = """
from starlette.responses import JSONResponse

from mediagate import RECORDS, MediaGate, Settings, Source
from mediagate.records import PrismaRecords, Records

# The clock is this process's own, or the database's as it was measured a while ago: to read it takes no query.
ASKING = {name for name in vars(Records) if not name.startswith("_")} - {"open", "close", "now"}


class CountingRecords(PrismaRecords):
    queries = 0

    def __getattribute__(self, name):
        if name in ASKING:
            CountingRecords.queries += 1
        return super().__getattribute__(name)


async def queries(request):
    return JSONResponse(CountingRecords.queries)


settings = Settings(worker=False)  # its own questions are not those of clients
gate = MediaGate(sources={"photo": Source()}, settings=settings, moderation="off")
gate.decorate(RECORDS, CountingRecords(settings.records_url, migrate=True))
gate.add_route("/queries", queries, methods=["GET"])
"""
CLIENT = """
generator client {
  provider   = "prisma-client-js"
  output     = "./client"
  engineType = "client"
}
"""
PHOTO = Path(__file__).parents[1] / "tests" / "data" / "formats" / "hopper.jpg"
JOBS = 16
CONNECTIONS = 16
SECONDS = 4
WAITING = 1000
WAIT_S = 5
"""Shorter than the 20 s that a client would wait, so that all ask again three times."""
WATCHED_S = 20


class Server:
    """A server to ask for finished jobs, and the CPU microseconds per answer of each measurement."""

    def __init__(self, pid: int, port: int, jobs: Sequence[str]) -> None:
        self.pid = pid
        self.port = port
        self.paths = [f"{MOUNT}/status/{job_id}" for job_id in jobs]
        self.cpu_us: list[float] = []

    def get(self, path: str) -> object:
        """Return the JSON that it answers."""
        return get(self.port, path)

    def rate(self, seconds: int = SECONDS) -> float:
        """Return how many answers per second it gives."""
        shop = workshop()
        command = [str(shop.node), str(PEERS / "load.mjs"), str(CONNECTIONS), str(seconds)]
        before = _cpu_s(self.pid)
        done = subprocess.run(
            [*command, f"http://127.0.0.1:{self.port}", *self.paths],
            env=shop.environment,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        rate = float(done.stdout)
        self.cpu_us.append((_cpu_s(self.pid) - before) * 1e6 / (rate * seconds))
        return rate


def get(port: int, path: str) -> object:
    """Return the JSON that a server answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", path)
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()


def _cpu_s(pid: int) -> float:
    of_process = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(of_process[11]) + int(of_process[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def fastify(database: Path, jobs: Sequence[str]) -> Iterator[Server]:
    """Run the peer for the length of a block."""
    shop = workshop()
    # Below the packages, because Prisma looks from its schema upwards for those of its client.
    with TemporaryDirectory(prefix="status-", dir=shop.node_modules.parent) as folder:
        schema = Path(folder) / "schema.prisma"
        before, _, after = (PEERS.parents[1] / "schema.prisma").read_text().partition("generator client {")
        schema.write_text(before + CLIENT + after.partition("}")[2])
        none = shutil.which("true") or "/bin/true"
        subprocess.run(
            [shop.node, shop.node_modules / "prisma" / "build" / "index.js", "generate", "--schema", schema],
            env={**shop.environment, "PRISMA_QUERY_ENGINE_LIBRARY": none, "PRISMA_SCHEMA_ENGINE_BINARY": none},
            check=True,
            stdout=subprocess.DEVNULL,
        )
        process = subprocess.Popen(
            [shop.node, PEERS / "status.mjs", f"{folder}/client", f"file:{database}", MOUNT],
            env=shop.environment,
            stdout=subprocess.PIPE,
        )
        assert process.stdout is not None
        try:
            yield Server(process.pid, int(process.stdout.readline()), jobs)
        finally:
            process.terminate()
            process.wait(30)
            process.stdout.close()


def beside_fastify(folder: Path, size: Size) -> Row:
    """Compare how many finished jobs per second are answered."""
    photo, seconds = PHOTO.read_bytes(), size.of(SECONDS)
    with serving(folder, GATE) as service:
        jobs = [service.upload(photo) for _ in range(size.of(JOBS))]
        for job_id in jobs:
            service.wait(job_id)
        ours = Server(service.process.pid, service.port, jobs)
        with fastify(folder / "data" / "mediagate.db", jobs) as theirs:
            for path in ours.paths:
                assert ours.get(path) == theirs.get(path), "both must answer the same"
            for server in (ours, theirs):
                server.rate(seconds)  # code is loaded and compiled
                server.cpu_us.clear()
            rates = alternate(size.runs, {"ours": partial(ours.rate, seconds), "theirs": partial(theirs.rate, seconds)})
    print(
        f"CPU of the server per GET /status of a finished job: ours {median(ours.cpu_us):.0f} µs, "
        f"Fastify + Prisma {median(theirs.cpu_us):.0f} µs"
    )
    return Row(
        "GET /status of finished jobs, per process",
        "requests/s",
        rates["ours"],
        1.0,
        "higher",
        rates["theirs"],
        "Fastify + Prisma, SQLite",
    )


async def put_jobs(database: Path, count: int) -> list[str]:
    """Record jobs that nobody works on, and return their ids."""
    records = PrismaRecords(f"file:{database}", migrate=True)
    await records.open()
    try:
        jobs = [a_job(utcnow(), source_type="photo") for _ in range(count)]
        for job in jobs:
            await records.create_job(job)
    finally:
        await records.close()
    return [job.id for job in jobs]


async def long_poll(port: int, job_id: str, until: float, wait_s: int) -> None:
    """Ask for a job over one connection until the time has come, each time waiting for it to change."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        while time.monotonic() < until:
            writer.write(f"GET {MOUNT}/status/{job_id}?wait={wait_s} HTTP/1.1\r\nHost: bench\r\n\r\n".encode())
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            assert head.startswith(b"http/1.1 202"), head
            await reader.readexactly(int(head.partition(b"content-length:")[2].split()[0]))
    finally:
        writer.close()


async def queries_per_second(port: int, jobs: Sequence[str], size: Size) -> float:
    """Return how often the database is asked while all these jobs are waited for, each by one client."""
    watched_s, wait_s = size.of(WATCHED_S), size.of(WAIT_S)
    began, before = time.monotonic(), get(port, f"{MOUNT}/queries")
    await asyncio.gather(*(long_poll(port, job_id, began + watched_s, wait_s) for job_id in jobs))
    after, took = get(port, f"{MOUNT}/queries"), time.monotonic() - began
    assert isinstance(before, int) and isinstance(after, int)
    return (after - before) / took


def of_waiting(folder: Path, size: Size) -> Row:
    """Count what a thousand clients that wait cost the database."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    (folder / "data").mkdir()
    jobs = asyncio.run(put_jobs(folder / "data" / "mediagate.db", size.of(WAITING)))
    with serving(folder, COUNTING_GATE) as service:
        counts = [asyncio.run(queries_per_second(service.port, jobs, size)) for _ in range(size.runs)]
    return Row(f"{len(jobs):,} clients long-polling a job each: database queries", "per second", counts, 2, "lower")


def rows(size: Size) -> list[Row]:
    """Measure all."""
    with TemporaryDirectory(prefix="mediagate-bench-") as finished, TemporaryDirectory() as waiting:
        return [beside_fastify(Path(finished), size), of_waiting(Path(waiting), size)]
