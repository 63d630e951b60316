"""Two processes write to one SQLite file concurrently: neither starves, sees a lock error or loses a row."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from mediagate.records import PrismaRecords
from mediagate.records.migration import migrate

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.usefixtures("each_runtime")]

JOBS = 60
WRITER = """
import asyncio, sys
from mediagate.values import JobStatus, utcnow
from mediagate.records import PrismaRecords, Settlement, get_state
from mediagate.testing.record_samples import a_media, claimed_job

async def main(url, name, jobs):
    records = PrismaRecords(url)
    await records.open()
    print("open", flush=True)
    sys.stdin.readline()
    left = iter(range(jobs))

    async def work():
        for _ in left:
            job = await claimed_job(records, utcnow(), source_type=name)
            settlement = Settlement(JobStatus.COMPLETE, a_media(job))
            assert await records.settle(job, owner="worker", now=utcnow(), settlement=settlement)
            assert (await get_state(records, job.id)).media is not None

    try:
        await asyncio.gather(*(work() for _ in range(4)))
        print(len((await records.list_media("one" if name == "two" else "two", None, limit=1000)).items))
    finally:
        await records.close()

asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
"""


async def test_sqlite_writers_in_two_processes_share_fairly(tmp_path: Path) -> None:
    url = f"file:{tmp_path / 'records.db'}"
    await migrate(url)
    pipe = asyncio.subprocess.PIPE
    names = ["one", "two"]
    started = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", WRITER, url, name, str(JOBS), stdin=pipe, stdout=pipe, stderr=pipe
        )
        for name in names
    ]
    for process in started:
        assert process.stdout is not None and await process.stdout.readline() == b"open\n"
    said = await asyncio.gather(*(process.communicate(b"go\n") for process in started))
    assert [process.returncode for process in started] == [0, 0], b"".join(err for _, err in said).decode()[-3000:]
    assert not [err for _, err in said if b"locked" in err]
    # Jobs of the other process when this one finished: at least a fair share.
    assert min(int(out) for out, _ in said) >= JOBS // 4
    records = PrismaRecords(url)
    await records.open()
    try:
        for name in names:
            assert len((await records.list_media(name, None, limit=1000)).items) == JOBS
        assert await records.queue_depth() == 0
    finally:
        await records.close()
