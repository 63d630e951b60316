"""A small production on loopback, in which a random process is killed every few seconds: is anything lost?

    python -m bench.cluster --queue procrastinate --photos 500 --kill-every 3

Two web processes, two workers with the model open_nsfw, a PostgreSQL, an S3 gateway (Ceph RGW) and, for Celery, a
RabbitMQ of their own; all run ``examples/production_gate.py``. Clients upload mixed photos with one API key, each under
an Idempotency-Key, and try again as a client should; then they poll either web process until their job has ended. Exits
with 1 when a photo was lost, doubled or stuck, or a file is left over or missing.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import random
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any

import asyncpg
import boto3
import httpx

from bench import photos
from bench.topology import (
    RESTART_S,
    Killer,
    Supervised,
    answers,
    below,
    free_port,
    mediagate,
    postgres,
    rabbitmq,
    until,
)
from mediagate.storage import MARK_KEY as KEY
from tests.support.rgw import Gateway, running_gateway

ROOT = Path(__file__).parents[1]
GATE = "examples.production_gate:gate"
MOUNT = "/image-pipeline"
BUCKET = "media"
CLIENTS = 8
TERMINAL = ("COMPLETE", "REJECTED", "FAILED", "CANCELLED")
PATIENCE_S = 900.0
"""How long one photo may take from its first byte to its end, all outages included."""
FAST = {
    "MEDIAGATE_LEASE_S": "6",
    "MEDIAGATE_JANITOR_INTERVAL_S": "2",
    "MEDIAGATE_RETRY_BACKOFF_S": "0.5",
    "MEDIAGATE_MAX_ATTEMPTS": "6",
    "MEDIAGATE_ORPHAN_GRACE_S": "60",
}
"""Production has minutes between two crashes, this has seconds."""
AT_ONCE = {"MEDIAGATE_ORPHAN_GRACE_S": "0", "MEDIAGATE_STAGING_TTL_S": "0.1"}
"""For the janitor at the end, when no upload is under way: what it leaves then is an orphan."""
WIDE = {"LIMITS_PER_KEY": "1000000/hour,1000 jobs", "LIMITS_PER_ADDRESS": "1000000/hour"}
"""Limits that are counted, and never met: all clients have one key and one address."""


@dataclass(slots=True)
class Outcome:
    """What became of the photos."""

    waits_s: list[float] = field(default_factory=list)
    """From the 202 to the end, as the client saw it."""
    ends: Counter[str] = field(default_factory=Counter)
    jobs: dict[str, str] = field(default_factory=dict)
    """Job id by Idempotency-Key."""
    codes: Counter[str] = field(default_factory=Counter)
    """Of what failed."""
    lost: list[str] = field(default_factory=list)
    lock: Lock = field(default_factory=Lock)


class Client:
    """Uploads photos and polls for them, at whichever web process answers."""

    def __init__(self, ports: Sequence[int], key: str, seed: int) -> None:
        self._ports = list(ports)
        self._random = random.Random(seed)
        self._http = httpx.Client(timeout=30, headers={"X-API-Key": key})

    def through(self, photo: Path, outcome: Outcome) -> None:
        """Take a photo from upload to the end of its job."""
        key = str(uuid.uuid4())
        end = time.monotonic() + PATIENCE_S
        form = {"sourceType": "photo", "sourceId": "bench"}
        accepted = self._ask(
            end, "POST", "/upload", 202, data=form, files={"file": photo.read_bytes()}, headers={"Idempotency-Key": key}
        )
        if accepted is None:
            raise RuntimeError("an upload was not accepted in time")
        job_id, since = accepted["jobId"], time.monotonic()
        with outcome.lock:
            outcome.jobs[key] = job_id
        while time.monotonic() < end:
            status = self._ask(end, "GET", f"/status/{job_id}?http=200&wait=5", 200)
            if status is None:
                break
            if status["status"] in TERMINAL:
                with outcome.lock:
                    outcome.ends[status["status"]] += 1
                    outcome.waits_s.append(time.monotonic() - since)
                    if status["status"] == "FAILED":
                        outcome.codes[status["code"]] += 1
                return
        with outcome.lock:
            outcome.lost.append(job_id)

    def _ask(self, end: float, method: str, path: str, wanted: int, **request: Any) -> dict[str, str] | None:
        """Ask until the answer is the one that is wanted; ``None`` for 404, and when it takes too long."""
        while time.monotonic() < end:
            pause_s = 0.2
            try:
                url = f"http://127.0.0.1:{self._random.choice(self._ports)}{MOUNT}{path}"
                answer = self._http.request(method, url, **request)
            except httpx.TransportError:
                time.sleep(pause_s)
                continue
            if answer.status_code == wanted:
                found: dict[str, str] = answer.json()
                return found
            if answer.status_code == 404:
                return None
            if answer.status_code not in (409, 429, 500, 502, 503):
                raise RuntimeError(f"{method} {path}: {answer.status_code} {answer.text}")
            time.sleep(min(2.0, float(answer.headers.get("Retry-After", pause_s))))
        return None


class Reviver:
    """Starts the gateway again when it died."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._stopping = threading.Event()
        self._guard = threading.Thread(target=self._keep_alive, daemon=True)
        self._guard.start()

    def stop(self) -> None:
        """Leave it dead from now on."""
        self._stopping.set()
        self._guard.join()

    def _keep_alive(self) -> None:
        while not self._stopping.wait(RESTART_S):
            if self._gateway.pid is None:
                self._gateway.start_gateway()


@dataclass(frozen=True, slots=True)
class Cluster:
    """All that runs, and what of it can be killed."""

    env: Mapping[str, str]
    key: str
    """The clients' API key."""
    database: str
    ports: Sequence[int]
    web: Sequence[Supervised]
    workers: Sequence[Supervised]
    postmaster: Supervised
    broker: Supervised | None
    gateway: Gateway

    def targets(self) -> dict[str, Callable[[], list[int]]]:
        """Return, by kind, how to find the processes that may be killed now."""

        def own(of: Sequence[Supervised]) -> list[int]:
            return [process.pid for process in of if process.pid is not None]

        def inside(of: Sequence[Supervised], word: str) -> list[int]:
            return [pid for parent in own(of) for pid, command in below(parent).items() if word in command]

        def image_processes() -> list[int]:
            return [
                image
                for worker in own(self.workers)
                for server, command in below(worker).items()
                if "mediagate.images.process" in command
                for image in below(server)
            ]

        broker = [self.broker] if self.broker is not None else []
        return {
            "web": lambda: own(self.web),
            "worker": lambda: own(self.workers),
            "image process": image_processes,
            "Prisma engine": lambda: inside([*self.web, *self.workers], "query-engine"),
            "gateway": lambda: [self.gateway.pid] if self.gateway.pid is not None else [],
            "postmaster": lambda: own([self.postmaster]),
            **({"broker": lambda: inside(broker, "beam.smp")} if broker else {}),
        }


def tool(*arguments: str, env: Mapping[str, str]) -> str:
    """Run a command of mediagate to its end, and return what it prints."""
    command = [str(Path(sys.executable).with_name("mediagate")), *arguments]
    done = subprocess.run(command, env={**os.environ, **env}, check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"mediagate {' '.join(arguments)} failed:\n{done.stderr}")
    return done.stdout.strip()


def until_ready(port: int) -> None:
    """Wait until a web process takes uploads."""
    until(lambda: answers(f"http://127.0.0.1:{port}{MOUNT}/readyz"), "a web process")


@contextmanager
def running(folder: Path, queue: str) -> Iterator[Cluster]:
    """Start all, wait until it answers, and end it with the block."""
    with ExitStack() as stack:

        def stopped_at_the_end(process: Supervised) -> Supervised:
            stack.callback(process.stop)
            return process

        postmaster, database = postgres(folder)
        stopped_at_the_end(postmaster)
        s3 = stack.enter_context(running_gateway())
        reviver = Reviver(s3)
        stack.callback(reviver.stop)
        bucket(s3.url, s3.access_key, s3.secret_key).create_bucket(Bucket=BUCKET)
        env = {
            **FAST,
            **WIDE,
            "MEDIAGATE_GATE": GATE,
            "PYTHONPATH": str(ROOT),
            "MEDIAGATE_DATABASE_URL": database,
            "MEDIAGATE_DATA_DIR": str(folder / "data"),
            "AWS_ACCESS_KEY_ID": s3.access_key,
            "AWS_SECRET_ACCESS_KEY": s3.secret_key,
            "S3_ENDPOINT_URL": s3.url,
            "AWS_DEFAULT_REGION": "us-east-1",
            "S3_BUCKET": BUCKET,
            "QUEUE": queue,
        }
        broker = None
        if queue == "celery":
            mapper, broker, env["BROKER_URL"] = rabbitmq(folder)
            stopped_at_the_end(mapper)
            stopped_at_the_end(broker)
        tool("migrate", env=env)
        if queue == "procrastinate":
            tool("procrastinate", "migrate", env=env)
        key = tool("keys", "create", "--owner", "bench", env=env)
        ports = [free_port(), free_port()]
        web = [
            stopped_at_the_end(mediagate(f"web-{n}", ["serve", "--no-worker", "--port", str(port)], env, folder))
            for n, port in enumerate(ports)
        ]
        workers = [stopped_at_the_end(mediagate(f"worker-{n}", ["worker"], env, folder)) for n in range(2)]
        for port in ports:
            until_ready(port)
        yield Cluster(env, key, database, ports, web, workers, postmaster, broker, s3)


async def recorded(database: str) -> tuple[Counter[str], set[str], set[str]]:
    """Return jobs by status, their ids, and the keys of all published files, as the database has them."""
    connection = await asyncpg.connect(database)
    try:
        jobs = await connection.fetch("SELECT id, status FROM mediagate_job")
        media = await connection.fetch('SELECT "originalKey" AS key FROM mediagate_media')
        variants = await connection.fetch("SELECT key FROM mediagate_variant")
    finally:
        await connection.close()
    keys = {row["key"] for row in [*media, *variants] if row["key"]}
    return Counter(row["status"] for row in jobs), {row["id"] for row in jobs}, keys


def bucket(url: str, access_key: str, secret_key: str) -> Any:
    """Return boto3's client for the gateway."""
    return boto3.client(
        "s3",
        endpoint_url=url,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        region_name="us-east-1",
    )


def stored(gateway: Gateway) -> set[str]:
    """Return the keys of all objects in the bucket but the mark of the database."""
    s3 = bucket(gateway.url, gateway.access_key, gateway.secret_key)
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
    return {found["Key"] for page in pages for found in page.get("Contents", ())} - {KEY}


def run(queue: str, count: int, kill_every_s: float, seed: int) -> bool:
    """Let it run, print what became of the photos, and return whether nothing was lost."""
    some = photos.mixed(min(count, 100))
    files = list(itertools.islice(itertools.cycle(some), count))
    outcome = Outcome()
    with TemporaryDirectory(prefix="mediagate-cluster-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL runs as another user, and has a folder of its own in it
        with running(folder, queue) as cluster:
            killer = Killer(cluster.targets(), kill_every_s, seed)
            started = time.monotonic()
            killer.start()
            with ThreadPoolExecutor(CLIENTS) as clients:
                own = [Client(cluster.ports, cluster.key, seed + n) for n in range(CLIENTS)]
                done = [clients.submit(own[n % CLIENTS].through, file, outcome) for n, file in enumerate(files)]
                for each in done:
                    each.result()
            took_s = time.monotonic() - started
            killer.stop()
            for port in cluster.ports:
                until_ready(port)
            time.sleep(1)  # files are as old as that
            tool("janitor", env={**cluster.env, **AT_ONCE})
            statuses, jobs, keys = asyncio.run(recorded(cluster.database))
            left = stored(cluster.gateway)
    known = set(outcome.jobs.values())
    stuck = sum(number for status, number in statuses.items() if status not in TERMINAL)
    faults = {
        "lost": len(outcome.lost) + len(known - jobs),
        "doubled": len(jobs - known) + len(outcome.jobs) - len(known),
        "stuck": stuck,
        "orphan files": len(left - keys),
        "missing files": len(keys - left),
    }
    waits = quantiles(outcome.waits_s, n=100) if len(outcome.waits_s) > 1 else [0.0] * 99
    killed = ", ".join(f"{number} {kind}" for kind, number in killer.killed.items())
    print(f"\n### {count} photos, {queue}, a kill every {kill_every_s:g} s (seed {seed})\n\n| | |\n| --- | --- |")
    lines = {
        "killed": killed,
        "accepted": len(outcome.jobs),
        **{status.lower(): outcome.ends[status] for status in TERMINAL},
        "failed with": ", ".join(f"{number} {code}" for code, number in outcome.codes.items()) or "-",
        **faults,
        "p50 / p95 / p99 from 202 to the end, s": f"{waits[49]:.1f} / {waits[94]:.1f} / {waits[98]:.1f}",
        "images/s": f"{count / took_s:.2f}",
    }
    for what, figure in lines.items():
        print(f"| {what} | {figure} |")
    return not any(faults.values())


def main() -> int:
    """Run it for each queue that was asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench.cluster", description="Kill and count.")
    parser.add_argument("--queue", action="append", choices=("procrastinate", "celery"), help="both without one")
    parser.add_argument("--photos", type=int, default=500)
    parser.add_argument("--kill-every", type=float, default=3.0, metavar="S")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    queues = options.queue or ["procrastinate", "celery"]
    held = [run(queue, options.photos, options.kill_every, options.seed) for queue in queues]
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
