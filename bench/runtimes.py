"""The query engine on each JavaScript runtime: ``python -m bench.runtimes [--jobs N] [--runs N]``.

By turns, on a new SQLite file and on a new PostgreSQL database (on the server that MEDIAGATE_TEST_POSTGRES_URL names,
postgresql://postgres@127.0.0.1:5432): seconds from opening the records to the first answer; then the whole lives of
jobs (``bench.lives``), sixteen at a time; CPU time of the engine for these; its resident memory at the start and at the
end. Medians of the runs.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path
from statistics import median

from bench.accounts import account
from bench.fleet import scratch_database
from bench.lives import AT_ONCE, live
from mediagate.records import PrismaRecords
from mediagate.records.migration import migrate
from mediagate.records.runtime import find_runtime
from tests.support.runtimes import RUNTIMES, first_on_path


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one engine."""

    start_ms: float
    jobs_per_s: float
    cpu_ms_per_job: float
    resident_mb_at_start: float
    resident_mb_at_end: float


@contextmanager
def database(kind: str) -> Iterator[str]:
    """Make an empty database for the length of a block and yield its URL."""
    if kind == "PostgreSQL":
        with scratch_database() as url:
            yield url
        return
    with tempfile.TemporaryDirectory() as folder:
        yield f"file:{Path(folder) / 'records.db'}"


async def measure(url: str, jobs: int) -> Figures:
    """Start an engine and let this many jobs live."""
    await migrate(url)
    records = PrismaRecords(url)
    began = time.perf_counter()
    await records.open()
    try:
        await records.now()
        await records.queue_depth()
        started = time.perf_counter()
        before = account(_engine())
        left = iter(range(jobs))

        async def worker() -> None:
            for _ in left:
                await live(records)

        await asyncio.gather(*(worker() for _ in range(AT_ONCE)))
        took = time.perf_counter() - started
        after = account(_engine())
    finally:
        await records.close()
    assert before and after
    cpu_ms = (after.cpu_s - before.cpu_s) * 1000
    return Figures((started - began) * 1000, jobs / took, cpu_ms / jobs, before.resident_mb, after.resident_mb)


def _engine() -> int:
    """Return the process of the engine, the only child of this one."""
    (pid,) = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return int(pid)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.runtimes")
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    path = os.environ["PATH"]
    print("| database | runtime | start, ms | jobs/s | engine, CPU ms per job | MB at start | MB at end |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for kind in ("SQLite", "PostgreSQL"):
        taken: dict[str, list[Figures]] = {}
        for _ in range(options.runs):
            for name in RUNTIMES:
                os.environ["PATH"] = first_on_path(name)
                find_runtime.cache_clear()
                found = find_runtime()
                shown = f"{found.name.title()} {'.'.join(map(str, found.version))}"
                with database(kind) as url:
                    taken.setdefault(shown, []).append(asyncio.run(measure(url, options.jobs)))
                os.environ["PATH"] = path
        for shown, runs in taken.items():
            columns = [median(column) for column in zip(*map(astuple, runs), strict=True)]
            print(f"| {kind} | {shown} | " + " | ".join(f"{value:,.3g}" for value in columns) + " |", flush=True)


if __name__ == "__main__":
    main()
