"""The rounds of a janitor: which sweeps it makes by itself, how often, and what an outage changes."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mediagate import RECORDS, STORAGE, JobStatus, MediaGate, Settings
from mediagate.errors import RecordsUnavailable
from mediagate.intake.spool import PREFIX
from mediagate.jobs import Janitor
from mediagate.jobs import janitor as janitor_module
from mediagate.jobs.expiry import BATCH
from mediagate.jobs.janitor import WORKERS_FIRST_S
from mediagate.parts import Parts
from mediagate.records import MemoryRecords, Settlement, get_job
from mediagate.storage import MARK_KEY as KEY
from mediagate.storage import read_mark
from mediagate.testing.record_samples import a_media, claimed_job
from tests.support.bare_parts import NOW, DatedStorage, SetRecords, bare_parts, keys_of
from tests.support.until import until

pytestmark = pytest.mark.anyio

EVERY_S = 0.2


class Rounds(SetRecords):
    """Records that count the rounds, and can be down."""

    def __init__(self) -> None:
        super().__init__()
        self.rounds: list[float] = []
        self.media_left: list[int] = []
        self.error: Exception | None = None
        self.bug: Exception | None = None

    async def fail_exhausted(self, **how: Any) -> Any:
        self.rounds.append(asyncio.get_running_loop().time())
        self.media_left.append(len(self._media))
        if error := self.error or self.bug:
            raise error
        return await super().fail_exhausted(**how)

    async def oldest_waiting(self) -> datetime | None:
        if self.error is not None:
            raise self.error
        return await super().oldest_waiting()


def with_rounds(records: Rounds) -> Parts:
    return bare_parts(records=records, settings=Settings(janitor_interval_s=EVERY_S))


@asynccontextmanager
async def going_round(parts: Parts, spool_dir: Path = Path("/nonexistent")) -> AsyncIterator[Janitor]:
    janitor = Janitor(parts, spool_dir)
    janitor.start()
    try:
        yield janitor
    finally:
        await janitor.stop()


async def test_janitor_makes_its_first_round_after_half_an_interval_and_then_one_in_each() -> None:
    records = Rounds()
    started = asyncio.get_running_loop().time()
    async with going_round(with_rounds(records)):
        await until(lambda: len(records.rounds) == 3)
    first, second, third = (moment - started for moment in records.rounds)
    assert EVERY_S / 2 <= first < 2 * EVERY_S
    assert EVERY_S <= second - first < WORKERS_FIRST_S
    assert EVERY_S <= third - second < WORKERS_FIRST_S
    await asyncio.sleep(2 * EVERY_S)
    assert len(records.rounds) == 3


async def test_janitor_ends_jobs_and_removes_media_in_a_round() -> None:
    records = Rounds()
    parts = with_rounds(records)
    dead = await claimed_job(records, NOW - timedelta(hours=1), max_attempts=1)
    job = await claimed_job(records, NOW)
    media = a_media(job, expires_at=NOW)
    await records.settle(job, owner="worker", now=NOW, settlement=Settlement(JobStatus.COMPLETE, media))
    async with going_round(parts):
        await until(lambda: len(records.rounds) == 2)
    failed = await get_job(records, dead.id)
    assert failed is not None
    assert (failed.status, failed.code) == (JobStatus.FAILED, "attempts_exhausted")
    assert await records.get_media(media.id) is None


async def test_janitor_marks_the_files_and_removes_those_that_nobody_needs(tmp_path: Path) -> None:
    storage = DatedStorage()
    parts = bare_parts(storage=storage, settings=Settings(janitor_interval_s=EVERY_S))
    await storage.add("media/check/u1/med_x/xs.webp", NOW - timedelta(hours=2))
    spooled = tmp_path / f"{PREFIX}1"
    spooled.write_bytes(b"half")
    old = time.time() - 25 * 3600
    os.utime(spooled, (old, old))

    async def all_gone() -> bool:
        return not await keys_of(parts)

    async with going_round(parts, tmp_path):
        await until(lambda: not spooled.exists())
        await until(all_gone)
    assert await read_mark(parts.storage) is not None


async def test_gate_without_worker_empties_its_spool_and_removes_nothing_else(
    make_gate: Callable[..., MediaGate],
) -> None:
    gate, storage = make_gate(memory=False, worker=False, janitor_interval_s=EVERY_S), DatedStorage()
    gate.decorate(RECORDS, MemoryRecords())
    gate.decorate(STORAGE, storage)
    spool = gate.settings.data_dir / "spool"
    spool.mkdir(parents=True)
    old, new = spool / f"{PREFIX}old", spool / f"{PREFIX}new"
    for file in (old, new):
        file.write_bytes(b"half")
    day_ago = time.time() - 25 * 3600
    os.utime(old, (day_ago, day_ago))
    await storage.add("staging/job_gone", NOW - timedelta(days=3))
    async with gate:
        await until(lambda: not old.exists())
        assert new.exists()
        assert await storage.stat("staging/job_gone") is not None


async def test_janitor_leaves_workers_time_after_an_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(janitor_module, "WORKERS_FIRST_S", 0.6)
    records = Rounds()
    records.error = RecordsUnavailable("down")
    async with going_round(with_rounds(records)):
        await until(lambda: len(records.rounds) == 1)
        await asyncio.sleep(3 * EVERY_S)
        # While they are down no round is made.
        assert len(records.rounds) == 1
        records.error = None
        back = asyncio.get_running_loop().time()
        await until(lambda: len(records.rounds) == 2)
    assert records.rounds[1] - back >= 0.6


async def test_janitor_goes_on_after_a_bug_as_after_an_outage(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(janitor_module, "WORKERS_FIRST_S", 0.6)
    records = Rounds()
    records.bug = RuntimeError("a bug")
    async with going_round(with_rounds(records)):
        await until(lambda: len(records.rounds) == 2)
    assert "round failed" in caplog.text
    assert records.rounds[1] - records.rounds[0] >= 0.6 + EVERY_S


async def test_janitor_removes_a_part_of_many_media_in_each_round(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(janitor_module, "MOST_EXPIRED", 1)
    records = Rounds()
    for _ in range(BATCH + 1):
        job = await claimed_job(records, NOW)
        settlement = Settlement(JobStatus.COMPLETE, a_media(job, expires_at=NOW))
        await records.settle(job, owner="worker", now=NOW, settlement=settlement)
    async with going_round(with_rounds(records)):
        await until(lambda: len(records.rounds) == 3)
    assert records.media_left == [BATCH + 1, 1, 0]


class Marked(DatedStorage):
    """A storage that notes when it was marked."""

    def __init__(self) -> None:
        super().__init__()
        self.marked: list[float] = []

    async def put(self, key: str, body: Any) -> None:
        if key == KEY:
            self.marked.append(asyncio.get_running_loop().time())
        await super().put(key, body)


async def test_janitor_looks_at_the_files_after_half_an_interval_and_then_as_often_as_it_asks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(janitor_module, "FILES_ASK_S", 0.3)
    storage = Marked()
    started = asyncio.get_running_loop().time()
    async with going_round(bare_parts(storage=storage, settings=Settings(janitor_interval_s=EVERY_S))):
        await until(lambda: len(storage.marked) == 2)
    first, second = (moment - started for moment in storage.marked)
    assert EVERY_S / 2 <= first < 2 * EVERY_S
    assert second - first >= 0.3


async def test_janitor_stop_waits_for_the_sweep_that_is_under_way() -> None:
    ended: list[str] = []

    class Slow(SetRecords):
        async def fail_exhausted(self, **how: Any) -> Any:
            ended.append("begun")
            try:
                await asyncio.sleep(10)
            finally:
                await asyncio.sleep(0.05)
                ended.append("ended")

    parts = bare_parts(records=Slow(), settings=Settings(janitor_interval_s=EVERY_S))
    async with going_round(parts) as janitor:
        await until(lambda: ended)
        await janitor.stop()
        assert ended == ["begun", "ended"]


async def test_janitor_stops_when_it_has_not_started_and_when_it_has_stopped() -> None:
    janitor = Janitor(with_rounds(Rounds()), Path("/nonexistent"))
    await janitor.stop()
    janitor.start()
    await janitor.stop()
    await janitor.stop()


async def test_janitor_logs_what_it_swept(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    records = Rounds()
    await claimed_job(records, NOW - timedelta(hours=1), max_attempts=1)
    async with going_round(with_rounds(records)):
        await until(lambda: len(records.rounds) == 3)
    swept = [record.getMessage() for record in caplog.records if record.getMessage().startswith("swept")]
    assert swept == ["swept: failed: 1, finished: 1"]
