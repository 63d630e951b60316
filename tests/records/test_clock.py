"""The database's time in a process whose own clocks are wrong, change or stand still."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mediagate.errors import RecordsUnavailable
from mediagate.records import MemoryRecords, PrismaRecords
from mediagate.records.clock import ASK_AGAIN_S, MEASURE_EVERY_S, DatabaseClock
from mediagate.records.migration import migrate
from mediagate.values import utcnow
from tests.support.faketime import faketime

pytestmark = pytest.mark.anyio

DAYS_2 = 2 * 24 * 3600
START_MS = 1_800_000_000_000
ASKED = """
import asyncio, json, os, sys, time
from datetime import UTC, timedelta
import asyncpg
from mediagate.records import PrismaRecords

async def main(url):
    del os.environ["LD_PRELOAD"]  # the engine asks no clock
    records = PrismaRecords(url)
    await records.open()
    connection = await asyncpg.connect(url)

    async def database():
        return await connection.fetchval("SELECT clock_timestamp()")

    try:
        while sys.stdin.readline():
            before, now, after = await database(), await records.now(), await database()
            off = max(before - now, now - after, timedelta())
            print(json.dumps([time.time(), before.timestamp(), off.total_seconds()]), flush=True)
    finally:
        await connection.close()
        await records.close()

asyncio.run(main(sys.argv[1]))
"""


async def test_records_now_follows_the_clock_of_the_database(postgres_url: str, tmp_path: Path) -> None:
    await migrate(postgres_url)
    turned = tmp_path / "turned"
    turned.write_text("+0")
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", ASKED, postgres_url,
        stdin=pipe, stdout=pipe, stderr=pipe,
        env={
            **os.environ,
            "LD_PRELOAD": str(faketime()),
            "FAKETIME_TIMESTAMP_FILE": str(turned),
            "FAKETIME_NO_CACHE": "1",
        },
    )  # fmt: skip
    assert process.stdin is not None and process.stdout is not None
    try:
        for offset, ahead in (("+2d", DAYS_2), ("-2d", -DAYS_2), ("+0", 0), ("+3600", 3600)):
            turned.write_text(offset)
            process.stdin.write(b"\n")
            async with asyncio.timeout(60):
                line = await process.stdout.readline()
            assert line, (await process.stderr.read()).decode() if process.stderr else ""
            own, database, off = json.loads(line)
            assert own - database == pytest.approx(ahead, abs=30), "the test must have turned this process's clock"
            assert off < 0.5
        process.stdin.close()
        assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_records_now_without_a_server_is_local_time(tmp_path: Path) -> None:
    for records in (MemoryRecords(), PrismaRecords(f"file:{tmp_path / 'records.db'}")):
        assert abs(await records.now() - utcnow()) < timedelta(seconds=5)


class Machine:
    """Clocks that a test controls: the two of this machine, and the database's."""

    def __init__(self) -> None:
        self.wall_s, self.monotonic_s, self.database_ms = 50_000.0, 1000.0, float(START_MS)
        self.answer_s = [0.0, 0.0]
        """Seconds that a query and its answer take on the network."""
        self.asked = 0
        self.away = False

    def time(self) -> float:
        return self.wall_s

    def monotonic(self) -> float:
        return self.monotonic_s

    def passes(self, seconds: float) -> None:
        self.wall_s += seconds
        self.monotonic_s += seconds
        self.database_ms += seconds * 1000

    async def ask(self) -> int:
        self.asked += 1
        if self.away:
            raise RecordsUnavailable("the database does not answer")
        self.passes(self.answer_s[0])
        told = int(self.database_ms)
        self.passes(self.answer_s[1])
        return told

    async def off_ms(self, clock: DatabaseClock) -> float:
        """Return by how much the clock is ahead of the database's."""
        return ((await clock.now()) - datetime.fromtimestamp(0, UTC)) / timedelta(milliseconds=1) - self.database_ms


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine()
    monkeypatch.setattr("mediagate.records.clock.time", machine)
    return machine


async def test_database_clock_is_measured_rarely(machine: Machine) -> None:
    clock = DatabaseClock(machine.ask)
    for _ in range(round(MEASURE_EVERY_S * 10)):
        assert abs(await machine.off_ms(clock)) <= 2
        machine.passes(0.2)
    assert machine.asked == 3


async def test_database_clock_stays_exact_after_a_slow_answer(machine: Machine) -> None:
    clock = DatabaseClock(machine.ask)
    assert abs(await machine.off_ms(clock)) <= 2
    for slow in ([4.0, 0.0], [0.0, 4.0]):
        machine.answer_s = slow
        machine.passes(MEASURE_EVERY_S)
        # The drift that the two clocks may have since, and no more.
        assert abs(await machine.off_ms(clock)) <= 25


async def test_database_clock_notices_a_pause_of_the_machine(machine: Machine) -> None:
    clock = DatabaseClock(machine.ask)
    await clock.now()
    machine.database_ms += 600_000  # its clocks stood still, then its wall clock was corrected
    machine.wall_s += 600
    assert abs(await machine.off_ms(clock)) <= 2
    machine.database_ms += 600_000  # not corrected this time
    machine.passes(MEASURE_EVERY_S)
    assert abs(await machine.off_ms(clock)) <= 2


async def test_database_clock_follows_a_step_of_the_database_time(machine: Machine) -> None:
    clock = DatabaseClock(machine.ask)
    for step in (3_600_000, -7_200_000):
        await clock.now()
        machine.database_ms += step
        machine.passes(MEASURE_EVERY_S)
        assert abs(await machine.off_ms(clock)) <= 2


async def test_database_clock_runs_on_while_the_database_is_unavailable(machine: Machine) -> None:
    clock = DatabaseClock(machine.ask)
    machine.away = True
    with pytest.raises(RecordsUnavailable):
        await clock.now()
    machine.away = False
    await clock.now()
    machine.away = True
    machine.passes(MEASURE_EVERY_S)
    asked = machine.asked
    for _ in range(5):
        assert abs(await machine.off_ms(clock)) <= 2
    assert machine.asked == asked + 1, "it must not be queried again at once"
    machine.passes(ASK_AGAIN_S)
    assert abs(await machine.off_ms(clock)) <= 2
    assert machine.asked == asked + 2


async def test_database_clock_never_steps_back_by_a_small_correction(machine: Machine) -> None:
    clock = DatabaseClock(machine.ask)
    before = await clock.now()
    machine.database_ms -= 300
    machine.passes(MEASURE_EVERY_S / 100)
    for _ in range(20):
        now = await clock.now()
        assert now >= before
        before = now
        machine.passes(MEASURE_EVERY_S / 7)
    assert abs(await machine.off_ms(clock)) <= 2


async def test_database_clock_measures_once_for_concurrent_calls(machine: Machine) -> None:
    clock = DatabaseClock(machine.ask)
    await asyncio.gather(*(clock.now() for _ in range(50)))
    assert machine.asked == 2
