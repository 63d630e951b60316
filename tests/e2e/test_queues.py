"""Workers fed by a real queue: no crash of a worker loses or repeats a job.

Each engine runs both ways: with ``mediagate worker`` and with its own worker command.
"""

from __future__ import annotations

import signal
from pathlib import Path
from random import Random

import anyio
import pytest

from tests.support.queue_site import COMMANDS, Site, a_site, supervised
from tests.support.server import GATES

pytestmark = pytest.mark.anyio

ENGINES = ["procrastinate", "celery"]
WAYS = [(engine, way) for engine in ENGINES for way in ("mediagate", "engine")]
OWN_WAY = [("procrastinate", "mediagate"), ("celery", "engine")]
OTHER_WAY = [("procrastinate", "engine"), ("celery", "mediagate")]


@pytest.mark.parametrize(("engine", "way"), WAYS)
async def test_queue_completes_each_job_once_when_workers_are_killed(
    engine: str, way: str, tmp_path: Path, photo: bytes
) -> None:
    random = Random(f"{engine} {way}")
    async with a_site(engine, way, tmp_path, attempts=10) as site:
        site.start_worker()
        site.start_worker()
        ids = [await site.upload(photo) for _ in range(60)]
        for count in (5, 20, 35):
            await site.until_ended(count)
            await anyio.sleep(random.uniform(0, 0.1))  # any moment of an attempt
            worker = random.choice(site.workers)
            worker.kill()
            worker.start()
        await site.until_ended(60)
        ends = await site.ended()
        site.assert_each_ended_once(ends, 60)
        assert set(ends) == set(ids)
        media = await site.query("SELECT id FROM mediagate_media")
        assert len(media) == 60
        await site.until(lambda: {line.split()[0] for line in site.notes("told")} == set(ids))
        for worker in site.workers:
            await site.until(worker.works)
            assert worker.stop() in (0, -signal.SIGTERM), site.logs()


@pytest.mark.parametrize(("engine", "way"), OTHER_WAY)
async def test_poison_picture_fails_after_three_runs_and_affects_no_other_job(
    engine: str, way: str, tmp_path: Path, photo: bytes
) -> None:
    async with a_site(engine, way, tmp_path) as site:
        ids = [await site.upload(photo, "poison" if n == 2 else "good") for n in range(10)]
        worker = site.start_worker()

        async def all_ended() -> bool:
            for _ in supervised([worker]):
                pass
            return len(await site.ended()) == len(ids)

        await site.until(all_ended)
        site.assert_each_ended_once(await site.ended(), len(ids), **{ids[2]: ["FAILED"]})
        status = await site.gate.get_status(ids[2])
        assert (status.job.code, status.job.attempts) == ("attempts_exhausted", 3)
        assert site.notes("poisoned") == [ids[2]] * 3


@pytest.mark.parametrize(("engine", "way"), OWN_WAY)
async def test_job_runs_once_when_the_queue_repeats_or_loses_its_id(
    engine: str, way: str, tmp_path: Path, photo: bytes
) -> None:
    async with a_site(engine, way, tmp_path) as site:
        ids = []
        for _ in range(30):
            ids.append(await site.upload(photo))
            for _ in range(2):
                await site.gate.parts.queue.dispatch(ids[-1])

        async def sent() -> bool:
            return await site.waiting() >= 90

        await site.until(sent)
        site.start_worker()
        site.start_worker(*(["--pool=solo"] if way == "engine" else []))
        await site.until_ended(5)
        await site.purge()
        await site.until_ended(30)
        site.assert_each_ended_once(await site.ended(), 30)
        attempts = await site.query("SELECT attempts FROM mediagate_job")
        assert [row["attempts"] for row in attempts] == [1] * 30


@pytest.mark.parametrize(("engine", "way"), WAYS[::3])
async def test_worker_stopped_beyond_its_lease_changes_no_row(
    engine: str, way: str, tmp_path: Path, photo: bytes
) -> None:
    async with a_site(engine, way, tmp_path) as site:
        workers = [site.start_worker(), site.start_worker()]
        job_id = await site.upload(photo, "held")
        await site.until(lambda: site.notes("held"))
        zombie = next(w for w in workers if str(w.pid) == site.notes("held")[0])
        zombie.send(signal.SIGSTOP)
        (site.data_dir / "go").touch()
        await site.until_ended(1)
        await site.until(lambda: site.notes("told"))
        before = await _rows(site)
        zombie.send(signal.SIGCONT)
        await site.until(lambda: "lease lost" in zombie.log.read_text())
        assert await _rows(site) == before
        assert site.notes("told") == [f"{job_id} COMPLETE"]


async def _rows(site: Site) -> list[object]:
    tables = ("mediagate_job", "mediagate_media", "mediagate_variant", "noted")
    return [await site.query(f"SELECT * FROM {table} ORDER BY 1") for table in tables]


async def test_celery_worker_refuses_a_process_pool(tmp_path: Path) -> None:
    async with a_site("celery", "engine", tmp_path, takes_uploads=False) as site:
        worker = site.start_worker("--pool=processes")
        await site.until(worker.ended)
        assert "use --pool=threads" in worker.log.read_text()


async def test_celery_worker_ends_when_the_gate_cannot_open(tmp_path: Path) -> None:
    async with a_site("celery", "engine", tmp_path, takes_uploads=False) as site:
        site.env |= {"MEDIAGATE_DATABASE_URL": "postgresql://u:geheim@127.0.0.1:1/x", "MEDIAGATE_MIGRATE": "true"}
        worker = site.start_worker()
        await site.until(worker.ended)
        assert "mediagate: cannot reach PostgreSQL" in worker.log.read_text()
        assert "geheim" not in worker.log.read_text()


async def test_procrastinate_migrate_creates_its_tables_once(tmp_path: Path) -> None:
    async with a_site("procrastinate", "mediagate", tmp_path, takes_uploads=False) as site:
        command = [COMMANDS["mediagate"][0], "procrastinate", "migrate", "queue_gate:gate"]
        for said in ("created", "nothing to create"):
            done = await anyio.run_process(command, env=site.env, cwd=GATES, check=False)
            assert said in done.stdout.decode(), done.stderr.decode()
        assert await site.waiting() == 0
