"""A service whose clock is two days off, beside a gate whose clock is right, on one PostgreSQL database."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import asyncpg
import pytest

from mediagate import Job, JobState, MediaGate, Settings, Source
from mediagate.records import get_job, get_state
from mediagate.records.migration import migrate
from mediagate.values import JobStatus, Stage
from mediagate_plugins.api_keys import API_KEYS, ApiKey, api_keys
from tests.support import loopback
from tests.support.command import output_of
from tests.support.faketime import faketime
from tests.support.forked import SHARED
from tests.support.server import running

GATE = "plain_gate:gate"
KEYS_GATE = "keys_gate:gate"
OFFSETS = ["+2d", "-2d"]
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
FRESH, STALE = (f"media/avatar/u1/med_{name}/xs.webp" for name in ("fresh", "stale"))


async def empty(database: str) -> None:
    """Leave nothing in a database but the tables of mediagate."""
    connection = await asyncpg.connect(database)
    try:
        await connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    finally:
        await connection.close()
    await migrate(database)


def wrong_clock(offset: str, database: str) -> dict[str, str]:
    """Return the environment of a process on the database whose clock is off."""
    return {
        "LD_PRELOAD": str(faketime()), "FAKETIME": offset, "NO_FAKE_STAT": "1", "MEDIAGATE_DATABASE_URL": database,
    }  # fmt: skip


async def until(condition: Callable[[], Awaitable[bool]], what: str) -> None:
    """Wait until an async condition holds."""
    end = time.monotonic() + 60
    while not await condition():
        assert time.monotonic() < end, what
        await asyncio.sleep(0.1)


def make_a_day_old(folder: Path, name: str) -> None:
    os.utime(next(folder.rglob(name)), (time.time() - 24 * 3600,) * 2)


@dataclass(frozen=True)
class Worked:
    """Work of a service with a wrong clock, as seen by a gate with the right clock."""

    began: datetime
    ended: datetime
    states: dict[str, JobState]
    """By job: waiting when the service started, abandoned by a dead worker, and uploaded to the service itself."""
    leased: Job
    """A job that another worker held all the time."""
    fresh_file_kept: bool
    listed: list[str]
    """Ids of the media that were uploaded to the service."""


@pytest.fixture(scope="module", params=OFFSETS)
def worked(
    request: pytest.FixtureRequest, postgres_url: str, tmp_path_factory: pytest.TempPathFactory, photo: bytes
) -> Worked:
    return asyncio.run(work(request.param, postgres_url, tmp_path_factory.mktemp("worked") / "data", photo))


async def work(offset: str, database: str, shared: Path, photo: bytes) -> Worked:
    """Run a service with a wrong clock until it has worked through jobs and files of a gate with the right clock."""
    await empty(database)
    settings = Settings(data_dir=shared, database_url=database, worker=False)
    right = MediaGate(sources={"avatar": Source()}, settings=settings, moderation="off")
    right.fork_server = SHARED
    async with right:
        records, storage = right.parts.records, right.parts.storage
        began = await records.now()
        leased, abandoned, waiting = [
            (await right.upload(photo, source_type="avatar", source_id="u1")).job_id for _ in range(3)
        ]
        now = await records.now()
        assert await records.claim(leased, owner="other", now=now, lease_until=now + 10 * MINUTE)
        assert await records.claim(abandoned, owner="dead", now=now, lease_until=now)
        await storage.put(FRESH, b"a moment ago")
        await storage.put(STALE, b"a day ago")
        make_a_day_old(shared, "med_stale/xs.webp")

        env = wrong_clock(offset, database)
        # libfaketime sets the clock of the spool folder too, by which the service tells how old its own files are.
        env |= {"MEDIAGATE_STAGING_TTL_S": str(3 * 24 * 3600), "MEDIAGATE_JANITOR_INTERVAL_S": "0.5"}
        with running(GATE, shared, **env, MEDIAGATE_IMAGE_PROCESSES="1") as wrong:
            sent = wrong.upload("a.jpg", photo)
            assert sent.status_code == 202, f"{sent.text}\n{wrong.log.read_text()[-4000:]}"
            jobs = {"waiting": waiting, "abandoned": abandoned, "own": sent.json()["jobId"]}
            for job_id in jobs.values():
                await right.wait(job_id, timeout_s=60)

            async def swept() -> bool:
                return await storage.stat(STALE) is None

            await until(swept, "the janitor of the service must sweep the files")
            fresh_file_kept = await storage.stat(FRESH) is not None
            job = await get_job(records, leased)
            assert job is not None
            page = await right.list_media("avatar", "user-1")
        states = {name: await get_state(records, job_id) for name, job_id in jobs.items()}
        return Worked(
            began=began,
            ended=await records.now(),
            states={name: state for name, state in states.items() if state is not None},
            leased=job,
            fresh_file_kept=fresh_file_kept,
            listed=[media.id for media in page.items],
        )


def test_skewed_service_completes_waiting_abandoned_and_own_jobs(worked: Worked) -> None:
    ends = {name: state.job.status for name, state in worked.states.items()}
    assert ends == dict.fromkeys(("waiting", "abandoned", "own"), JobStatus.COMPLETE)


def test_skewed_service_leaves_the_lease_of_another_worker(worked: Worked) -> None:
    job = worked.leased
    assert (job.status, job.stage, job.lease_owner) == (JobStatus.PROCESSING, Stage.MODERATE, "other")


def test_skewed_janitor_keeps_fresh_files(worked: Worked) -> None:
    assert worked.fresh_file_kept


def test_media_of_a_skewed_service_are_listed_by_another_gate(worked: Worked) -> None:
    assert worked.listed == [worked.states["own"].job.media_id]


def test_skewed_service_records_the_time_of_the_database(worked: Worked) -> None:
    assert len(worked.states) == 3
    for state in worked.states.values():
        assert state.media is not None
        moments: list[datetime | None] = [
            state.job.created_at, state.job.started_at, state.media.created_at, state.job.finished_at,
        ]  # fmt: skip
        assert moments == sorted(moments, key=lambda moment: moment or worked.began)
        for moment in moments:
            assert moment is not None and worked.began - MINUTE < moment < worked.ended + MINUTE


@dataclass(frozen=True)
class Used:
    """API keys that processes with a wrong clock created, checked and revoked."""

    began: datetime
    created: ApiKey
    """Created by the command, for a day."""
    created_is_valid: bool
    statuses: dict[str, int]
    """Answers of the service by key: created, expired, and not yet revoked."""
    listing: str
    revoked: ApiKey


@pytest.fixture(scope="module", params=OFFSETS)
def used(request: pytest.FixtureRequest, postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Used:
    return asyncio.run(use(request.param, postgres_url, tmp_path_factory.mktemp("used")))


async def use(offset: str, database: str, folder: Path) -> Used:
    """Create, use, expire and revoke keys, with a command and a service whose clocks are wrong."""
    await empty(database)
    env = wrong_clock(offset, database)

    async def command(*arguments: str) -> str:
        return await asyncio.to_thread(output_of, "keys", *arguments, data_dir=folder / "command", **env)

    settings = Settings(data_dir=folder / "right", database_url=database, worker=False)
    gate = MediaGate(sources={"avatar": Source()}, settings=settings, moderation="off")
    gate.fork_server = SHARED
    gate.register(api_keys, cache_s=0)
    async with gate:
        keys, began = gate[API_KEYS], await gate.parts.records.now()
        text = await command("create", KEYS_GATE, "--owner", "skewed", "--expires-days", "1")
        [created] = await keys.list(owner="skewed")
        created_is_valid = await keys.check(text) is not None
        ending = await keys.create(owner="skewed", expires_in=timedelta(seconds=2))
        with running(KEYS_GATE, folder / "wrong", **env, MEDIAGATE_WORKER="false") as service:

            async def status(key: str) -> int:
                headers = {"X-API-Key": key}
                answer = await asyncio.to_thread(loopback.get, f"{service.url}/jobs", headers=headers, timeout=30)
                return answer.status_code

            statuses = {"created": await status(text)}

            async def ended() -> bool:
                return await keys.check(ending.text) is None

            await until(ended, "a key must expire at its time")
            statuses["expired"] = await status(ending.text)
            listing = await command("list", KEYS_GATE)
            other = await keys.create(owner="revoked")
            statuses["not yet revoked"] = await status(other.text)
            await command("revoke", other.key.id, KEYS_GATE)
        [revoked] = await keys.list(owner="revoked")
    return Used(began, created, created_is_valid, statuses, listing, revoked)


def test_key_created_with_a_skewed_clock_has_the_time_of_the_database(used: Used) -> None:
    assert used.created.expires_at is not None
    assert used.began - MINUTE < used.created.created_at < used.began + MINUTE
    assert used.began + DAY - MINUTE < used.created.expires_at < used.began + DAY + MINUTE


def test_key_created_with_a_skewed_clock_is_valid(used: Used) -> None:
    assert used.created_is_valid
    assert used.statuses["created"] == 200
    assert "live" in used.listing.splitlines()[0]


def test_skewed_service_refuses_a_key_from_its_expiry_on(used: Used) -> None:
    assert used.statuses["expired"] == 401


def test_skewed_processes_note_use_and_revocation_in_the_time_of_the_database(used: Used) -> None:
    assert used.statuses["not yet revoked"] == 200
    for moment in (used.revoked.last_used_at, used.revoked.revoked_at):
        assert moment is not None and used.began - MINUTE < moment < used.began + 3 * MINUTE
