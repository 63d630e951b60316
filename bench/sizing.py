"""How large a deployment is: memory, CPU time, disk, connections and open files of each kind of process.

    python -m bench.sizing --photos 40

A web process and a worker with one image process run ``examples/production_gate.py`` with its model, on a PostgreSQL
and an S3 gateway (Ceph RGW) of their own. Photos are uploaded one after the other, so that each figure is
that of a process which works on one. Run it as root, who may read the memory of all processes, on an idle machine.
"""

from __future__ import annotations

import argparse
import asyncio
import platform
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from os import getloadavg
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import httpx

from bench import photos
from bench.accounts import Account, account, connections, machine
from bench.cluster import BUCKET, GATE, MOUNT, ROOT, WIDE, bucket, tool, until_ready
from bench.size import SMALLEST, Size, add_smallest
from bench.topology import Supervised, answers, below, free_port, mediagate, postgres, until
from tests.support.rgw import running_gateway

SAMPLE_S = 0.1
UNENDED = ("PENDING", "PROCESSING")
WEB = ("web process", "web: fork server", "web: header readers", "web: query engine")
WORKER = ("worker", "worker: fork server", "worker: header readers", "worker: image process", "worker: query engine")
DATABASE = "PostgreSQL"
GROWTH = """
SELECT sum(pg_total_relation_size(c.oid))::bigint AS bytes, pg_current_wal_lsn() - '0/0'::pg_lsn AS wal
FROM pg_class c WHERE c.relkind = 'r' AND (c.relname LIKE 'mediagate%' OR c.relname LIKE 'procrastinate%')
"""


@dataclass(slots=True)
class Peaks:
    """The most that was seen at once."""

    worker_mb: float = 0.0
    web_mb: float = 0.0
    connections: dict[str, int] = field(default_factory=dict)
    files: dict[str, int] = field(default_factory=dict)


class Deployment:
    """The running processes."""

    def __init__(self, web: Supervised, worker: Supervised, server: Supervised, database: str, s3: Any) -> None:
        self.web, self.worker, self.server, self.database, self.s3 = web, worker, server, database, s3
        self.image_process: int | None = None

    def kinds(self) -> dict[str, list[int]]:
        """Return the ids of all processes by kind."""
        found: dict[str, list[int]] = {}
        for parent, names in ((self.web, WEB), (self.worker, WORKER)):
            assert parent.pid is not None
            found[names[0]] = [parent.pid]
            for pid, command in below(parent.pid).items():
                if "query-engine" in command:
                    found[names[-1]] = [pid]
                elif "mediagate.images.process" in command and _parent(pid) == parent.pid:
                    found[names[1]] = [pid]
                elif pid == self.image_process:
                    found[WORKER[3]] = [pid]
                elif "mediagate.images.process" in command:
                    found.setdefault(names[2], []).append(pid)
        assert self.server.pid is not None
        found[DATABASE] = [self.server.pid, *below(self.server.pid)]
        return found

    def find_image_process(self) -> None:
        """Remember which process renders: of those that the worker has forked, the one that has used the most time."""
        forked = {pid: found.cpu_s for pid in self.kinds()[WORKER[2]] if (found := account(pid))}
        self.image_process = max(forked, key=lambda pid: forked[pid])

    def accounts(self, kinds: Mapping[str, list[int]] | None = None) -> dict[str, list[Account]]:
        """Return the accounts of all processes by kind, or of these."""
        kinds = self.kinds() if kinds is None else kinds
        return {kind: [found for pid in pids if (found := account(pid))] for kind, pids in kinds.items()}

    def cpu_s(self) -> dict[str, float]:
        return {kind: sum(each.cpu_s for each in found) for kind, found in self.accounts().items()}

    async def growth(self) -> tuple[int, int]:
        """Return the bytes of all tables with their indexes, and those of the WAL so far."""
        connection = await asyncpg.connect(self.database)
        try:
            row = await connection.fetchrow(GROWTH)
        finally:
            await connection.close()
        return int(row["bytes"]), int(row["wal"])

    def stored(self, prefix: str) -> int:
        """Return the bytes of all objects below a prefix of the bucket."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        return sum(each["Size"] for page in pages for each in page.get("Contents", ()))


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


@contextmanager
def deployed(folder: Path) -> Iterator[tuple[Deployment, Callable[[Path, str], bool]]]:
    """Run a deployment for the length of a block; yields it, and what publishes a photo as a source type."""
    with ExitStack() as stack:
        server, database = postgres(folder)
        stack.callback(server.stop)
        gateway = stack.enter_context(running_gateway())
        s3 = bucket(gateway.url, gateway.access_key, gateway.secret_key)
        s3.create_bucket(Bucket=BUCKET)
        env = {
            **WIDE,
            "MEDIAGATE_GATE": GATE,
            "PYTHONPATH": str(ROOT),
            "MEDIAGATE_DATABASE_URL": database,
            "MEDIAGATE_DATA_DIR": str(folder / "data"),
            "MEDIAGATE_IMAGE_PROCESSES": "1",
            "AWS_ACCESS_KEY_ID": gateway.access_key,
            "AWS_SECRET_ACCESS_KEY": gateway.secret_key,
            "S3_ENDPOINT_URL": gateway.url,
            "AWS_DEFAULT_REGION": "us-east-1",
            "S3_BUCKET": BUCKET,
            "QUEUE": "procrastinate",
        }
        tool("migrate", env=env)
        tool("procrastinate", "migrate", env=env)
        key = tool("keys", "create", "--owner", "bench", env=env)
        port, health = free_port(), free_port()
        web = mediagate("web", ["serve", "--no-worker", "--port", str(port)], env, folder)
        stack.callback(web.stop)
        worker = mediagate("worker", ["worker", "--port", str(health)], env, folder)
        stack.callback(worker.stop)
        until_ready(port)
        until(lambda: answers(f"http://127.0.0.1:{health}/readyz"), "a worker")
        url = f"http://127.0.0.1:{port}{MOUNT}"
        client = stack.enter_context(httpx.Client(timeout=120, headers={"X-API-Key": key}))

        def publish(photo: Path, source: str) -> bool:
            form = {"sourceType": source, "sourceId": "bench"}
            sent = client.post(f"{url}/upload", data=form, files={"file": photo.read_bytes()})
            job_id = sent.raise_for_status().json()["jobId"]
            while (status := client.get(f"{url}/status/{job_id}?wait=60&http=200").json()["status"]) in UNENDED:
                pass
            if status not in ("COMPLETE", "REJECTED"):
                raise RuntimeError(f"{photo.name}: {status}")
            return bool(status == "COMPLETE")

        yield Deployment(web, worker, server, database, s3), publish


@contextmanager
def watched(deployment: Deployment, peaks: Peaks) -> Iterator[None]:
    """Note the most that processes hold at once during a block."""
    stopping = threading.Event()
    port = urlsplit(deployment.database).port or 5432

    def look() -> None:
        while not stopping.wait(SAMPLE_S):
            kinds = deployment.kinds()
            found = deployment.accounts(kinds)
            totals = [sum(each.share_mb for kind in names for each in found.get(kind, ())) for names in (WEB, WORKER)]
            peaks.web_mb, peaks.worker_mb = max(peaks.web_mb, totals[0]), max(peaks.worker_mb, totals[1])
            for names in (WEB, WORKER):
                pids = [pid for kind in names for pid in kinds.get(kind, ())]
                peaks.connections[names[0]] = max(peaks.connections.get(names[0], 0), connections(pids, port))
            for kind, accounts in found.items():
                peaks.files[kind] = max([peaks.files.get(kind, 0), *(each.files for each in accounts)])

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()


def run(size: Size) -> None:
    """Measure, and print the tables."""
    warm, small = photos.of_kind("avatar-jpeg", 1), photos.of_kind("avatar-jpeg", size.photos)
    camera = photos.of_kind("12mp-upright", size.photos)
    large = [photos.twenty()] * size.of(5)
    load = getloadavg()[0]
    peaks, costs, bytes_of = Peaks(), {}, {}
    with TemporaryDirectory(prefix="mediagate-sizing-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL runs as another user, and has a folder of its own in it
        with deployed(folder) as (deployment, publish):
            publish(warm[0], "photo")
            deployment.find_image_process()
            rest = deployment.accounts()
            for what, files in (("500 x 500", small), ("12 MP", camera), ("20 MP", large)):
                with watched(deployment, peaks):
                    costs[what] = _cost(deployment, publish, files)
                bytes_of[what] = _bytes(deployment, publish, files)
                if what == "12 MP":
                    middle = deployment.accounts()
            end = deployment.accounts()
    _print_machine(load)
    _print_memory(rest, middle, end, peaks)
    _print_costs(costs)
    _print_bytes(bytes_of)
    _print_files(rest, peaks)


def _cost(deployment: Deployment, publish: Callable[[Path, str], bool], files: Sequence[Path]) -> dict[str, float]:
    """Return CPU seconds by kind for each photo, of which the model must allow all."""
    before = deployment.cpu_s()
    for file in files:
        if not publish(file, "photo"):
            raise RuntimeError(f"{file.name}: the model rejects it")
    after = deployment.cpu_s()
    return {kind: (used - before.get(kind, 0.0)) / len(files) for kind, used in after.items()}


def _bytes(deployment: Deployment, publish: Callable[[Path, str], bool], files: Sequence[Path]) -> dict[str, float]:
    """Return the bytes that each published photo leaves, when its original is kept."""
    tables, wal = asyncio.run(deployment.growth())
    variants, originals = deployment.stored("media/"), deployment.stored("originals/")
    published = [file for file in files if publish(file, "avatar")]
    now = asyncio.run(deployment.growth())
    if len(published) < len(files):
        print(f"{len(files) - len(published)} of {len(files)} photos were rejected: {files[0].name} and the like")
    grown = {
        "upload": sum(file.stat().st_size for file in published),
        "five variants": deployment.stored("media/") - variants,
        "original": deployment.stored("originals/") - originals,
        "database": now[0] - tables,
        "WAL": now[1] - wal,
    }
    return {what: each / len(published) for what, each in grown.items()}


def _print_machine(load: float) -> None:
    print("\n| | |\n| --- | --- |")
    for what, found in {
        **machine(),
        "Python": platform.python_version(),
        "load before and after": f"{load:.1f}, {getloadavg()[0]:.1f}",
    }.items():
        print(f"| {what} | {found} |")


def _print_memory(
    rest: Mapping[str, list[Account]],
    middle: Mapping[str, list[Account]],
    end: Mapping[str, list[Account]],
    peaks: Peaks,
) -> None:
    print("\n| MB | processes | resident | share | peak, 12 MP | peak, 20 MP |\n| --- | --- | --- | --- | --- | --- |")
    for kind in (*WEB, *WORKER):
        found = rest[kind]
        resident, share = (max(getattr(each, name) for each in found) for name in ("resident_mb", "share_mb"))
        tops = [max(each.peak_mb for each in accounts[kind]) for accounts in (middle, end)]
        print(f"| {kind} | {len(found)} | {resident:.0f} | {share:.0f} | {tops[0]:.0f} | {tops[1]:.0f} |")
    for kinds, top in ((WEB, peaks.web_mb), (WORKER, peaks.worker_mb)):
        total = sum(each.share_mb for kind in kinds for each in rest[kind])
        print(f"| all of a {kinds[0]} | | | {total:.0f} | | {top:.0f} |")


def _print_costs(costs: Mapping[str, Mapping[str, float]]) -> None:
    print(f"\n| CPU s per upload | {' | '.join(costs)} |\n| --- |{' --- |' * len(costs)}")
    for kind in (*WEB, *WORKER, DATABASE):
        print(f"| {kind} | {' | '.join(f'{each.get(kind, 0.0):.3f}' for each in costs.values())} |")
    print(f"| all | {' | '.join(f'{sum(each.values()):.2f}' for each in costs.values())} |")


def _print_bytes(bytes_of: Mapping[str, Mapping[str, float]]) -> None:
    print(f"\n| kB per upload | {' | '.join(bytes_of)} |\n| --- |{' --- |' * len(bytes_of)}")
    for what in next(iter(bytes_of.values())):
        print(f"| {what} | {' | '.join(f'{each[what] / 1000:,.1f}' for each in bytes_of.values())} |")


def _print_files(rest: Mapping[str, list[Account]], peaks: Peaks) -> None:
    print("\n| | open files at rest | at most | connections to PostgreSQL at most |\n| --- | --- | --- | --- |")
    for kind in (*WEB, *WORKER):
        most = peaks.connections.get(kind, "")
        print(f"| {kind} | {max(each.files for each in rest[kind])} | {peaks.files.get(kind, 0)} | {most} |")


def main() -> None:
    """Measure once."""
    parser = argparse.ArgumentParser(prog="python -m bench.sizing", description="Measure what a deployment needs.")
    parser.add_argument("--photos", type=int, default=20, help="of each kind but the largest (20)")
    add_smallest(parser)
    options = parser.parse_args()
    run(SMALLEST if options.smallest else Size(photos=options.photos))


if __name__ == "__main__":
    main()
