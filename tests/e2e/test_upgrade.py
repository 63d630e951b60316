"""Two releases on one database: beside each other during an upgrade, and the earlier one after it, to go back."""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from mediagate.records import Database, PrismaRecords
from mediagate.records.migration import MIGRATIONS, migrate
from mediagate.testing.batches import a_batch
from mediagate.testing.outputs import a_pipeline
from mediagate.values import Event, EventType, Job, RejudgeAction, Rejudgement, Rejudging, new_id
from mediagate_plugins.webhooks.deliveries import Deliveries
from tests.support import loopback
from tests.support.command import output_of
from tests.support.databases import fresh_database
from tests.support.server import FAST, LEASE, MOUNT, PYTHONPATH, Server
from tests.support.until import wait_until

GATE = "release_gate:gate"
EARLIER, LATER = "earlier", "later"
SETTINGS = FAST | {LEASE: "30", "MEDIAGATE_DRAIN_TIMEOUT_S": "1"}
"""An interrupted job has to be given back: waiting for the end of its lease would take longer than a test may."""
NEXT = "20991231000000_next"
ADDITIONS = """
ALTER TABLE "mediagate_job" ADD COLUMN "next" TEXT;
ALTER TABLE "mediagate_media" ADD COLUMN "next" INTEGER NOT NULL DEFAULT 0;
CREATE TABLE "mediagate_next" ("id" TEXT NOT NULL PRIMARY KEY);
CREATE INDEX "mediagate_job_next_idx" ON "mediagate_job"("next");
"""
"""What a later release may add, for both databases."""


class Site:
    """Processes of two releases that share a database and a folder."""

    def __init__(self, data_dir: Path, database: str, earlier_python: Path) -> None:
        self.data_dir = data_dir
        self.database = database
        self.processes: list[Server] = []
        self._pythons = {EARLIER: earlier_python, LATER: Path(sys.executable)}
        self._env = SETTINGS | {"MEDIAGATE_DATABASE_URL": database}

    def start(self, release: str, command: str) -> Server:
        """Start ``serve``, without a worker, or ``worker``."""
        process = Server(
            GATE,
            self.data_dir,
            options=["--no-worker"],
            python=self._pythons[release],
            MEDIAGATE_TEST_NAME=release,
            **self._env,
        )
        process.log = self.data_dir.parent / f"{release}_{command}.log"
        self.processes.append(process)
        process.start(command=command)
        return process

    def run(self, release: str, *arguments: str) -> str:
        """Run a command of a release, which must succeed, and return what it printed."""
        return output_of(*arguments, data_dir=self.data_dir, python=self._pythons[release], **self._env)

    def migrate_to_later(self, folder: Path) -> None:
        """Apply the migrations of this checkout and one more."""
        shutil.copytree(MIGRATIONS, folder)
        kind = "sqlite" if self.database.startswith("file:") else "postgresql"
        added = folder / kind / NEXT / "migration.sql"
        added.parent.mkdir()
        added.write_text(ADDITIONS)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("mediagate.records.migration.MIGRATIONS", folder)
            assert NEXT in asyncio.run(migrate(self.database))

    def notes(self, file: str) -> list[list[str]]:
        """Return the words of each line that the hooks of both releases have noted."""
        path = self.data_dir / file
        return [line.split() for line in path.read_text().splitlines()] if path.exists() else []

    def logs(self) -> str:
        return "\n".join(f"== {process.log.name}\n{process.log.read_text()[-4000:]}" for process in self.processes)


@contextmanager
def a_site(kind: str, folder: Path, earlier_python: Path) -> Iterator[Site]:
    """A site with a database of its own, which the earlier release has migrated; its processes end with the block."""
    with fresh_database() if kind == "postgresql" else nullcontext(f"file:{folder / 'records.db'}") as database:
        site = Site(folder / "data", database, earlier_python)
        site.data_dir.mkdir()
        site.run(EARLIER, "migrate")
        try:
            yield site
        finally:
            for process in site.processes:
                if process.process is not None and process.process.poll() is None:
                    process.stop()


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def kind(request: pytest.FixtureRequest) -> str:
    """The kind of database."""
    return str(request.param)


@dataclass(frozen=True)
class Upgraded:
    """A site after an upgrade: the jobs that were accepted, and what was seen on the way."""

    accepted: list[str]
    held: str
    """A job that the earlier worker had begun when it was asked to end."""
    exit_code: int
    """Of that worker."""
    begun: list[list[str]]
    ended: list[list[str]]
    statuses: dict[str, Any]
    """By job, from the later web process, when the earlier one had ended."""
    seen_by_earlier: dict[str, Any]
    media: list[str]
    logs: str


@pytest.fixture(scope="module")
def upgraded(kind: str, tmp_path_factory: pytest.TempPathFactory, release_python: Path, photo: bytes) -> Upgraded:
    folder = tmp_path_factory.mktemp("upgrade")
    with a_site(kind, folder, release_python) as site:
        earlier, worker = site.start(EARLIER, "serve"), site.start(EARLIER, "worker")
        held = accepted_by(earlier, photo, source_id="held")
        wait_until(lambda: [EARLIER, held, "held"] in site.notes("begun"), site.logs())
        site.migrate_to_later(folder / "migrations")
        later = site.start(LATER, "serve")
        site.start(LATER, "worker")
        jobs = [held]

        def both_work() -> bool:
            jobs.extend(accepted_by(web, photo) for web in (earlier, later))
            counts = Counter(name for name, *_ in site.notes("begun"))
            return min(counts[EARLIER], counts[LATER]) > 4

        wait_until(both_work, "both workers should begin jobs")
        jobs += [accepted_by(web, photo) for _ in range(10) for web in (earlier, later)]
        exit_code = worker.stop()
        (site.data_dir / "go").touch()
        jobs += [accepted_by(web, photo) for web in (earlier, later)]
        by_earlier = {job: earlier.settled(job).json() for job in jobs}
        assert earlier.stop() in (0, -15)
        jobs.append(accepted_by(later, photo))
        by_later = {job: later.settled(job).json() for job in jobs}
        wait_until(lambda: len(site.notes("ended")) >= len(jobs), "each job's end should be noted")
        return Upgraded(
            jobs, held, exit_code, site.notes("begun"), site.notes("ended"), by_later, by_earlier,
            list(media_ids(later)), site.logs(),
        )  # fmt: skip


def accepted_by(web: Server, photo: bytes, **options: str) -> str:
    answer = web.upload("a.jpg", photo, **options)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["jobId"])


def media_ids(web: Server) -> Iterator[str]:
    """Yield the ids of all media."""
    cursor = ""
    while True:
        page = loopback.get(f"{web.url}/media?sourceType=avatar{cursor}", timeout=30).json()
        yield from (media["id"] for media in page["items"])
        if not page.get("nextCursor"):
            return
        cursor = f"&cursor={page['nextCursor']}"


def test_earlier_processes_run_the_code_of_the_wheel(release_python: Path) -> None:
    """Nothing that finds the gates of the tests leads to the checkout."""
    program = "import mediagate, mediagate_plugins as plugins; print(mediagate.__file__, plugins.__file__)"
    env = {**os.environ, "PYTHONPATH": PYTHONPATH}
    done = subprocess.run([release_python, "-c", program], env=env, capture_output=True, text=True, check=True)
    assert all(path.startswith(str(release_python.parents[1])) for path in done.stdout.split())


def test_upgrade_completes_each_accepted_job_in_its_first_attempt(upgraded: Upgraded) -> None:
    assert len(upgraded.accepted) > 25
    ends = {job: (status["status"], status["attempts"]) for job, status in upgraded.statuses.items()}
    assert ends == dict.fromkeys(upgraded.accepted, ("COMPLETE", 1)), upgraded.logs


def test_upgrade_ends_each_job_once_and_publishes_one_media_for_it(upgraded: Upgraded) -> None:
    assert Counter(job for _, job, _ in upgraded.ended) == dict.fromkeys(upgraded.accepted, 1)
    assert sorted(upgraded.media) == sorted(status["media"]["id"] for status in upgraded.statuses.values())


def test_workers_of_both_releases_end_jobs_during_an_upgrade(upgraded: Upgraded) -> None:
    counts = Counter(name for name, *_ in upgraded.ended)
    assert min(counts[EARLIER], counts[LATER]) >= 3


def test_earlier_worker_gives_its_interrupted_job_to_the_later_one(upgraded: Upgraded) -> None:
    assert upgraded.exit_code == 0, upgraded.logs
    assert [name for name, job, _ in upgraded.begun if job == upgraded.held] == [EARLIER, LATER]
    assert [LATER, upgraded.held, "COMPLETE"] in upgraded.ended


def test_earlier_web_process_answers_about_jobs_of_both(upgraded: Upgraded) -> None:
    for job, status in upgraded.seen_by_earlier.items():
        assert status["status"] == "COMPLETE"
        assert status["media"]["id"] == upgraded.statuses[job]["media"]["id"]


@pytest.fixture(scope="module")
def webs(kind: str, tmp_path_factory: pytest.TempPathFactory, release_python: Path) -> Iterator[dict[str, Server]]:
    """A web process of each release, and a worker of the later one."""
    folder = tmp_path_factory.mktemp("webs")
    with a_site(kind, folder, release_python) as site:
        servers = {EARLIER: site.start(EARLIER, "serve")}
        site.migrate_to_later(folder / "migrations")
        servers[LATER] = site.start(LATER, "serve")
        site.start(LATER, "worker")
        yield servers


@pytest.fixture(params=itertools.permutations((EARLIER, LATER)), ids="-".join)
def first_and_second(request: pytest.FixtureRequest, webs: dict[str, Server]) -> tuple[Server, Server]:
    """The two web processes, in either order."""
    first, second = request.param
    return webs[first], webs[second]


def test_idempotency_key_holds_across_releases(first_and_second: tuple[Server, Server], photo: bytes) -> None:
    first, second = first_and_second
    key = {"Idempotency-Key": f"key-{first.port}"}
    assert accepted_by(first, photo, **key) == accepted_by(second, photo, **key)


def test_direct_upload_passes_through_both_releases(first_and_second: tuple[Server, Server], photo: bytes) -> None:
    first, second = first_and_second
    declaration = {"sourceType": "avatar", "sourceId": "user-1", "contentType": "image/jpeg", "size": len(photo)}
    target = loopback.post(f"{first.url}/uploads", json=declaration, timeout=30).json()
    content = f"{second.url}{target['url'].removeprefix(MOUNT)}"
    assert loopback.put(content, content=photo, headers=target["headers"], timeout=30).status_code == 204
    done = loopback.post(f"{first.url}{target['completeUrl'].removeprefix(MOUNT)}", timeout=30)
    assert second.settled(done.json()["jobId"]).json()["status"] == "COMPLETE"


def test_url_of_a_private_file_is_valid_in_both_releases(first_and_second: tuple[Server, Server], photo: bytes) -> None:
    first, second = first_and_second
    status = first.settled(accepted_by(first, photo, source_type="document")).json()
    url = status["media"]["urls"]["xs"].removeprefix(MOUNT)
    assert loopback.get(f"{second.url}{url}", timeout=30).status_code == 200
    assert loopback.get(f"{second.url}{url.partition('?')[0]}", timeout=30).status_code == 404


def test_earlier_release_serves_and_deletes_files_of_further_formats(webs: dict[str, Server], photo: bytes) -> None:
    earlier, later = webs[EARLIER], webs[LATER]
    media = later.settled(accepted_by(later, photo, source_id="formats")).json()["media"]
    assert [file["name"] for file in media["variants"]] == ["xs", "xs.jpeg"]
    seen = loopback.get(f"{earlier.url}/media/{media['id']}", timeout=30).json()
    assert set(seen["urls"]) == {"xs", "xs.jpeg"}
    urls = [f"{earlier.url}{url.removeprefix(MOUNT)}" for url in seen["urls"].values()]
    assert [loopback.get(url, timeout=30).headers["Content-Type"] for url in urls] == ["image/webp", "image/jpeg"]
    assert loopback.delete(f"{earlier.url}/media/{media['id']}", timeout=30).status_code == 204
    assert [loopback.get(url, timeout=30).status_code for url in urls] == [404, 404]


def test_earlier_release_continues_on_the_database_of_a_later_one(
    kind: str, tmp_path: Path, release_python: Path, photo: bytes
) -> None:
    with a_site(kind, tmp_path, release_python) as site:
        site.migrate_to_later(tmp_path / "migrations")
        later = site.start(LATER, "serve")
        jobs = [accepted_by(later, photo) for _ in range(3)]
        assert later.stop() in (0, -15)
        earlier = site.start(EARLIER, "serve")
        site.start(EARLIER, "worker")
        jobs.append(accepted_by(earlier, photo))
        assert {earlier.settled(job).json()["status"] for job in jobs} == {"COMPLETE"}, site.logs()
        assert {name for name, *_ in site.notes("ended")} == {EARLIER}
        assert "already up to date" in site.run(EARLIER, "migrate")
        site.run(EARLIER, "doctor", GATE)


@pytest.fixture(scope="module")
def earlier_alone(
    kind: str, tmp_path_factory: pytest.TempPathFactory, release_python: Path
) -> Iterator[tuple[Site, Server]]:
    """A database that a later release has migrated, with processes of the earlier one alone."""
    folder = tmp_path_factory.mktemp("earlier")
    with a_site(kind, folder, release_python) as site:
        site.migrate_to_later(folder / "migrations")
        web = site.start(EARLIER, "serve")
        site.start(EARLIER, "worker")
        yield site, web


def completed(site: Site, web: Server, photo: bytes, *, count: int) -> list[str]:
    """Upload photos and wait until their jobs have ended, with their hooks; return the ids."""
    jobs = [accepted_by(web, photo) for _ in range(count)]
    assert {web.settled(job).json()["status"] for job in jobs} == {"COMPLETE"}, site.logs()
    wait_until(lambda: {job for _, job, _ in site.notes("ended")} >= set(jobs), "each job's end should be noted")
    return jobs


def test_earlier_worker_leaves_published_pictures_to_be_judged_again_alone(
    earlier_alone: tuple[Site, Server], photo: bytes
) -> None:
    site, earlier = earlier_alone
    job, _ = completed(site, earlier, photo, count=2)
    begun = asyncio.run(a_pass(site.database, job))
    # Its lease has expired: a worker that knew it would claim it at once.
    completed(site, earlier, photo, count=5)
    assert asyncio.run(a_pass(site.database, job)) == begun


async def a_pass(database: str, job_id: str) -> tuple[Rejudging, Rejudgement]:
    """Return an open pass and the re-judgement in it of a worker that died; both are made if missing."""
    records = PrismaRecords(database)
    await records.open()
    try:
        now = await records.now()
        new = Rejudging("rej_1", "avatar", RejudgeAction.REJECT, now, now, 60_000)
        rejudging, passes = await records.rejudgements.begin(new), records.rejudgements
        if not rejudging.claims:
            media = (await records.changed({job_id: None}))[job_id].media
            assert media is not None
            one = Rejudgement("rej_1.1", rejudging.id, job_id, media.id, now, lease_owner="dead", lease_until=now)
            assert await passes.draw(rejudging, media, now=now, next_at=now, claimed=one)
            (rejudging,) = await passes.get_rejudgings()
        (found,) = await passes.list_rejudgements(limit=9)
        return rejudging, found
    finally:
        await records.close()


def test_earlier_worker_leaves_pipelines_alone(earlier_alone: tuple[Site, Server], photo: bytes) -> None:
    site, earlier = earlier_alone
    before = asyncio.run(some_pipelines(site.database))
    completed(site, earlier, photo, count=5)
    site.run(EARLIER, "janitor", GATE)
    # They are listed without an error, too.
    listed = loopback.get(f"{earlier.url}/jobs", timeout=30).json()["items"]
    seen = {job["jobId"]: job["status"] for job in listed if job["jobId"] in before}
    assert seen == {job.id: job.status for job in before.values()}
    assert asyncio.run(get_pipelines(site.database, before)) == before
    assert asyncio.run(claimed_pipelines(site.database)) == set(before)


async def some_pipelines(database: str) -> dict[str, Job]:
    """Record pipelines that a worker which knew them would claim or fail at once, and return them."""
    async with opened(database) as records:
        now = await records.now()
        waiting, lapsed, spent = jobs = [
            a_pipeline(now, source_type="avatar", max_attempts=attempts) for attempts in (3, 3, 1)
        ]
        for job in jobs:
            await records.create_job(job)
        for job in (lapsed, spent):
            assert await records.claim(job.id, owner="dead", now=now, lease_until=now) is not None
        return dict(await records.get_jobs([job.id for job in (waiting, lapsed, spent)]))


async def get_pipelines(database: str, job_ids: Iterable[str]) -> dict[str, Job]:
    async with opened(database) as records:
        return dict(await records.get_jobs(list(job_ids)))


async def claimed_pipelines(database: str) -> set[str]:
    """Claim and fail what can be, and return the ids."""
    async with opened(database) as records:
        now = await records.now()
        claimed = await records.claim_oldest(owner="w", now=now, lease_until=now + timedelta(minutes=1), limit=9)
        return {job.id for job in claimed} | set(await records.fail_exhausted(now=now, limit=9))


@asynccontextmanager
async def opened(database: str) -> AsyncIterator[PrismaRecords]:
    """Open the records of this checkout for the length of a block."""
    records = PrismaRecords(database)
    await records.open()
    try:
        yield records
    finally:
        await records.close()


EARLIER_WEBHOOKS = """
import asyncio, sys
from datetime import timedelta

from mediagate.records import Database, PrismaRecords
from mediagate_plugins.webhooks.deliveries import Deliveries


async def look(url):
    records = PrismaRecords(url)
    await records.open()
    now = await records.now() + timedelta(minutes=1)
    deliveries = Deliveries(Database.of(records, "test"), ["app"], callbacks=True)
    due = await deliveries.due(["app"], callbacks=True, excluded=[], now=now, limit=9)
    found = await deliveries.find(status=None, job_id=None, event_id=None, limit=9)
    print(len(await records.outbox(limit=9)), len(due), len(found))
    await records.close()


asyncio.run(look(sys.argv[1]))
"""
"""What a sender of the earlier release finds: in the outbox, due, and in the list of deliveries."""


def test_earlier_sender_leaves_the_events_of_batches_alone(kind: str, tmp_path: Path, release_python: Path) -> None:
    with a_site(kind, tmp_path, release_python) as site:
        site.migrate_to_later(tmp_path / "migrations")
        for passed_on, wanted in ((False, "0 0 0"), (True, "0 0 1")):
            asyncio.run(an_ended_batch(site.database, passed_on=passed_on))
            done = subprocess.run(
                [release_python, "-c", EARLIER_WEBHOOKS, site.database], capture_output=True, text=True, check=False
            )
            assert (done.stdout.strip(), done.returncode) == (wanted, 0), done.stderr


async def an_ended_batch(database: str, *, passed_on: bool) -> None:
    """Record a batch whose end has been reported, and with ``passed_on`` the deliveries of all such events."""
    async with opened(database) as records:
        now = await records.now()
        batch, jobs = a_batch(now)
        await records.batches.create(batch, jobs)
        for job in jobs:
            await records.cancel(job.id, now=now)
        event = Event(new_id("evt"), EventType.BATCH_COMPLETED, batch.id, now, "{}")
        assert await records.batches.report(batch.id, now=now, events_of=lambda _: (event,))
        if passed_on:
            deliveries = Deliveries(Database.of(records, "test"), ["app"], callbacks=True)
            await deliveries.add({event: {"app": None}}, now)
            await records.passed_on([event.id], now=now)
            (due,) = await deliveries.due(["app"], callbacks=False, excluded=[], now=now, limit=9)
            assert (due.endpoint, due.event) == ("app", event)
