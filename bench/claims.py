"""What it costs many workers to get jobs from one database: ``python -m bench.claims [--jobs N] [--workers N]``.

Each worker is a process of its own and claims until nothing is left, three jobs at a time, without working on any. Two
ways: one statement that passes over what others claim at that moment, as the worker does on PostgreSQL, and asking for
the oldest ids and then claiming one after the other, as it does on SQLite. A claim that came too late counts as wasted.
The database is one of its own on the server that MEDIAGATE_TEST_POSTGRES_URL names (postgresql://postgres@127.0.0.1:5432).
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import sys
import time

import asyncpg

from bench.fleet import scratch_database, together
from mediagate.records import PrismaRecords
from mediagate.records.migration import migrate
from mediagate.testing.record_samples import LEASE, a_job

AT_A_TIME = 3
WAYS = {"one statement": "at_once", "ids first, then each": "by_id"}


async def claim_all(url: str, way: str) -> tuple[int, int, float]:
    """Claim until nothing is left; returns how many jobs, how many claims were wasted, the longest wait (seconds)."""
    records = PrismaRecords(url)
    await records.open()
    print("ready", flush=True)
    sys.stdin.readline()
    owner, claimed, wasted, longest = secrets.token_hex(4), 0, 0, 0.0
    try:
        while True:
            began = time.monotonic()
            now = await records.now()
            if way == "at_once":
                got = len(await records.claim_oldest(owner=owner, now=now, lease_until=now + LEASE, limit=AT_A_TIME))
                found = got
            else:
                ids = await records.claimable(now=now, limit=AT_A_TIME)
                jobs = [await records.claim(i, owner=owner, now=now, lease_until=now + LEASE) for i in ids]
                got, found = sum(job is not None for job in jobs), len(ids)
                wasted += found - got
            longest = max(longest, time.monotonic() - began)
            claimed += got
            if not found:
                return claimed, wasted, longest
    finally:
        await records.close()


async def fill(url: str, jobs: int) -> None:
    """Leave this many jobs waiting and no others."""
    await migrate(url)
    records = PrismaRecords(url)
    await records.open()
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("TRUNCATE mediagate_job CASCADE")
        await records.create_job(a_job(await records.now()))
        columns = [row[0] for row in await connection.fetch(
            "SELECT column_name FROM information_schema.columns WHERE table_name = 'mediagate_job'"
            " AND column_name NOT IN ('id', 'mediaId')"
        )]  # fmt: skip
        names = ", ".join(f'"{name}"' for name in columns)
        await connection.execute(
            f'INSERT INTO mediagate_job (id, "mediaId", {names}) '
            f'SELECT id || n, "mediaId" || n, {names} FROM mediagate_job, generate_series(2, {jobs}) AS n'
        )
        await connection.execute("VACUUM ANALYZE mediagate_job")
    finally:
        await connection.close()
        await records.close()


def measure(url: str, way: str, workers: int, jobs: int) -> str:
    """Return a row of the table."""
    asyncio.run(fill(url, jobs))
    said, took = together(["-m", "bench.claims", "--claim", way, url], workers)
    claimed, wasted = (sum(int(one[n]) for one in said) for n in (0, 1))
    assert claimed == jobs, f"{claimed} claims of {jobs} jobs"
    longest = max(float(one[2]) for one in said)
    return f"{jobs / took:,.0f} | {wasted:,} | {1000 * longest:,.0f}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.claims")
    parser.add_argument("--jobs", type=int, default=3000)
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2, 8])
    parser.add_argument("--claim", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.claim:
        print(*asyncio.run(claim_all(options.claim[1], options.claim[0])))
        return
    with scratch_database() as url:
        print("| claimers | way | jobs/s | claims wasted | longest wait, ms |\n| --- | --- | --- | --- | --- |")
        for workers in options.workers:
            for words, way in WAYS.items():
                print(f"| {workers} | {words} | {measure(url, way, workers, options.jobs)} |", flush=True)


if __name__ == "__main__":
    main()
