"""A service whose clock is two days off, beside one whose clock is right, on one PostgreSQL database."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path

import asyncpg
import httpx
import pytest

from mediagate import MediaGate, Settings, Source
from mediagate.records import get_job, get_state
from mediagate.records.migration import migrate
from mediagate.values import JobStatus, Stage
from mediagate_plugins.api_keys import API_KEYS, api_keys
from tests.support.server import PYTHONPATH, running

pytestmark = pytest.mark.anyio

GATE = "plain_gate:gate"
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


def faketime() -> Path:
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    if not found:
        pytest.skip("no libfaketime in /usr/lib/*/faketime: install Debian's package faketime")
    return found[0]


@pytest.fixture
async def database(postgres_url: str) -> str:
    connection = await asyncpg.connect(postgres_url)
    try:
        await connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    finally:
        await connection.close()
    await migrate(postgres_url)
    return postgres_url


async def until(condition: Callable[[], Awaitable[bool]], what: str) -> None:
    """Wait until an async condition holds."""
    end = time.monotonic() + 60
    while not await condition():
        assert time.monotonic() < end, what
        await asyncio.sleep(0.1)


@pytest.mark.parametrize("offset", ["+2d", "-2d"])
async def test_it_neither_steals_nor_starves(offset: str, database: str, tmp_path: Path, photo: bytes) -> None:
    shared = tmp_path / "data"
    settings = Settings(data_dir=shared, database_url=database, worker=False)
    right = MediaGate(sources={"avatar": Source()}, settings=settings, moderation="off")
    async with right:
        records = right.parts.records
        began = await records.now()
        held, died, waiting = [
            (await right.upload(photo, source_type="avatar", source_id="u1")).job_id for _ in range(3)
        ]
        now = await records.now()
        assert await records.claim(held, owner="other", now=now, lease_until=now + 10 * MINUTE)
        assert await records.claim(died, owner="dead", now=now, lease_until=now)
        await right.parts.storage.put("media/avatar/u1/med_fresh/xs.webp", b"a moment ago")
        await right.parts.storage.put("media/avatar/u1/med_stale/xs.webp", b"a day ago")
        stale = next(shared.rglob("med_stale/xs.webp"))
        os.utime(stale, (time.time() - 24 * 3600,) * 2)

        with running(
            GATE, shared,
            LD_PRELOAD=str(faketime()), FAKETIME=offset, NO_FAKE_STAT="1",
            MEDIAGATE_DATABASE_URL=database, MEDIAGATE_IMAGE_PROCESSES="1", MEDIAGATE_JANITOR_INTERVAL_S="0.5",
        ) as wrong:  # fmt: skip
            sent = wrong.upload("a.jpg", photo)
            assert sent.status_code == 202, f"{sent.text}\n{wrong.log.read_text()[-4000:]}"
            own = sent.json()["jobId"]
            for job_id in (waiting, died, own):
                assert (await right.wait(job_id, timeout_s=60)).status is JobStatus.COMPLETE, job_id

            async def swept() -> bool:
                return await right.parts.storage.stat("media/avatar/u1/med_stale/xs.webp") is None

            await until(swept, "its janitor must have looked through the files")
            assert await right.parts.storage.stat("media/avatar/u1/med_fresh/xs.webp") is not None
            job = await get_job(records, held)
            assert job is not None
            assert (job.status, job.stage, job.lease_owner) == (JobStatus.PROCESSING, Stage.MODERATE, "other")
            # Also what it says of itself: whoever looks has the right time.
            page = await right.list_media("avatar", "user-1")
            job = await get_job(records, own)
            assert job is not None
            assert [media.id for media in page.items] == [job.media_id]
        ended = await records.now()
        for job_id in (waiting, died, own):
            state = await get_state(records, job_id)
            assert state is not None and state.media is not None
            moments: list[datetime | None] = [
                state.job.created_at, state.job.started_at, state.media.created_at, state.job.finished_at,
            ]  # fmt: skip
            assert moments == sorted(moments, key=lambda moment: moment or began)
            assert all(moment is not None and began - MINUTE < moment < ended + MINUTE for moment in moments)


@pytest.mark.parametrize("offset", ["+2d", "-2d"])
async def test_keys_live_by_the_databases_clock(offset: str, database: str, tmp_path: Path) -> None:
    wrong = {
        "LD_PRELOAD": str(faketime()), "FAKETIME": offset, "NO_FAKE_STAT": "1", "MEDIAGATE_DATABASE_URL": database,
    }  # fmt: skip

    def command(*arguments: str) -> str:
        return subprocess.run(
            [sys.executable, "-m", "mediagate.cli", "keys", *arguments],
            env={**os.environ, **wrong, "PYTHONPATH": PYTHONPATH, "MEDIAGATE_DATA_DIR": str(tmp_path / "command")},
            capture_output=True, text=True, timeout=120, check=True,
        ).stdout.strip()  # fmt: skip

    settings = Settings(data_dir=tmp_path / "right", database_url=database, worker=False)
    gate = MediaGate(sources={"avatar": Source()}, settings=settings, moderation="off")
    gate.register(api_keys, cache_s=0)
    async with gate:
        keys, began = gate[API_KEYS], await gate.parts.records.now()
        text = await asyncio.to_thread(command, "create", "keys_gate:gate", "--owner", "skewed", "--expires-days", "1")
        [made] = await keys.list(owner="skewed")
        assert made.expires_at is not None
        assert began - MINUTE < made.created_at < began + MINUTE
        assert began + DAY - MINUTE < made.expires_at < began + DAY + MINUTE
        assert await keys.check(text) is not None
        ending = await keys.create(owner="skewed", expires_in=timedelta(seconds=2))
        with running("keys_gate:gate", tmp_path / "wrong", **wrong, MEDIAGATE_WORKER="false") as service:

            async def status(key: str) -> int:
                headers = {"X-API-Key": key}
                answer = await asyncio.to_thread(httpx.get, f"{service.url}/jobs", headers=headers, timeout=30)
                return answer.status_code

            assert await status(text) == 200

            async def ended() -> bool:
                return await keys.check(ending.text) is None

            await until(ended, "a key must end when it was said to")
            assert await status(ending.text) == 401, "it ended for all at once"
            assert "live" in (await asyncio.to_thread(command, "list", "keys_gate:gate")).splitlines()[0]
            other = await keys.create(owner="revoked")
            assert await status(other.text) == 200
            await asyncio.to_thread(command, "revoke", other.key.id, "keys_gate:gate")
        [revoked] = await keys.list(owner="revoked")
        for moment in (revoked.last_used_at, revoked.revoked_at):
            assert moment is not None and began - MINUTE < moment < began + 3 * MINUTE
