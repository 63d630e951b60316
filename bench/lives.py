"""What a job costs PostgreSQL from upload to notice: ``python -m bench.lives [--jobs N] [--processes N …]``.

No picture is worked on: each process creates, claims, advances, settles (with four variants) and notes jobs, sixteen
at a time. Printed are whole lives per second and CPU time of the clients, and per job: transactions, WAL of the whole
server (give it one of its own), and what stays in tables and indexes. The database is one of its own on the server
that MEDIAGATE_TEST_POSTGRES_URL names (postgresql://postgres@127.0.0.1:5432).
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import sys
import time

import asyncpg

from bench.fleet import scratch_database, together
from mediagate.records import PrismaRecords, Settlement
from mediagate.records.migration import migrate
from mediagate.testing.record_samples import LEASE, a_job, a_media
from mediagate.values import JobStatus, Stage

AT_ONCE = 16
SIZES = """
SELECT relname, pg_table_size(oid) AS rows, pg_indexes_size(oid) AS indexes FROM pg_class
WHERE relname IN ('mediagate_job', 'mediagate_media', 'mediagate_variant') ORDER BY relname
"""


async def live(records: PrismaRecords) -> None:
    """Take one job from its creation to the note that its hooks have run."""
    now = await records.now()
    job = a_job(now)
    await records.create_job(job)
    assert await records.claim(job.id, owner="w", now=now, lease_until=now + LEASE)
    assert await records.advance(job.id, owner="w", lease_until=now + LEASE, stage=Stage.PUBLISH)
    assert await records.advance(job.id, owner="w", lease_until=now + LEASE, stage=Stage.RECORD)
    settlement = Settlement(JobStatus.COMPLETE, a_media(job, removed=(), client_reference_id=None))
    assert await records.settle(job, owner="w", now=now, settlement=settlement)
    await records.mark_notified(job.id, ended_at=now, now=now)


async def work(url: str, jobs: int) -> None:
    """Let this many jobs live, some at a time, once a line comes in."""
    records = PrismaRecords(url)
    await records.open()
    try:
        await records.now()
        print("ready", flush=True)
        sys.stdin.readline()
        left = iter(range(jobs))

        async def worker() -> None:
            for _ in left:
                await live(records)

        await asyncio.gather(*(worker() for _ in range(AT_ONCE)))
    finally:
        await records.close()
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    print(*(usage.ru_utime + usage.ru_stime for usage in spent))


async def figures(url: str) -> tuple[int, int, dict[str, tuple[int, int]]]:
    """Return the database's transactions, the server's WAL position in bytes, and the sizes of tables and indexes."""
    connection = await asyncpg.connect(url)
    try:
        committed = await connection.fetchval(
            "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"
        )
        wal = await connection.fetchval("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint")
        sizes = {row["relname"]: (row["rows"], row["indexes"]) for row in await connection.fetch(SIZES)}
        return committed, wal, sizes
    finally:
        await connection.close()


def measure(url: str, processes: int, jobs: int) -> str:
    """Return a row of the table."""
    said, took = together(["-m", "bench.lives", "--work", url, str(jobs // processes)], processes)
    cpu_s = [sum(map(float, column)) for column in zip(*said, strict=True)]
    return f"{jobs / took:,.0f} | {cpu_s[0] / jobs * 1000:.1f} | {cpu_s[1] / jobs * 1000:.1f}"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="python -m bench.lives")
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--processes", type=int, nargs="*", default=[1, 2, 4])
    parser.add_argument("--work", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        asyncio.run(work(options.work[0], int(options.work[1])))
        return
    with scratch_database() as url:
        asyncio.run(migrate(url))
        commits, wal, _ = asyncio.run(figures(url))
        print("| processes | jobs/s | Python, CPU ms per job | engine, CPU ms per job |\n| --- | --- | --- | --- |")
        for processes in options.processes:
            print(f"| {processes} | {measure(url, processes, options.jobs)} |", flush=True)
        time.sleep(1)  # the server counts transactions up to a second late
        after, wal_after, sizes = asyncio.run(figures(url))
        done = options.jobs * len(options.processes)
        print(
            f"\nper job: {(after - commits) / done:.1f} transactions, {(wal_after - wal) / done / 1024:.1f} KiB of WAL"
        )
        print("\n| table | rows, bytes per job | indexes, bytes per job |\n| --- | --- | --- |")
        for name, (rows, indexes) in sizes.items():
            print(f"| {name} | {rows / done:,.0f} | {indexes / done:,.0f} |")


if __name__ == "__main__":
    main()
