"""Two processes that write to one SQLite file at once: nobody is told that it is locked, and nothing is lost."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from mediagate.records import PrismaRecords

pytestmark = pytest.mark.anyio

WRITER = """
import asyncio, sys, time
from mediagate.media import JobStatus, utcnow
from mediagate.records import PrismaRecords, Settlement
from mediagate.testing.record_samples import a_media, claimed_job

async def main(url, seconds):
    records = PrismaRecords(url, migrate=True)
    await records.open()
    done, until = 0, time.monotonic() + seconds

    async def work():
        nonlocal done
        while time.monotonic() < until:
            job = await claimed_job(records, utcnow(), source_type=sys.argv[3])
            settlement = Settlement(JobStatus.COMPLETE, a_media(job))
            assert await records.settle(job.id, owner="worker", now=utcnow(), settlement=settlement)
            assert (await records.get_state(job.id)).media is not None
            done += 1

    try:
        await asyncio.gather(*(work() for _ in range(4)))
    finally:
        await records.close()
    print(done)

asyncio.run(main(sys.argv[1], float(sys.argv[2])))
"""


async def test_both_write_for_a_while(tmp_path: Path) -> None:
    url = f"file:{tmp_path / 'records.db'}"
    pipe = asyncio.subprocess.PIPE
    names = ["one", "two"]
    started = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", WRITER, url, "3", name, stdout=pipe, stderr=pipe)
        for name in names
    ]
    said = await asyncio.gather(*(process.communicate() for process in started))
    assert [process.returncode for process in started] == [0, 0], b"".join(err for _, err in said).decode()[-3000:]
    assert not [err for _, err in said if b"locked" in err]
    records = PrismaRecords(url)
    await records.open()
    try:
        for name, (out, _) in zip(names, said, strict=True):
            page = await records.list_media(name, None, limit=10_000)
            assert len(page.items) == int(out) > 0
        assert await records.queue_depth() == 0
    finally:
        await records.close()
