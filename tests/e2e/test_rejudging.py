"""Judging published pictures again while workers and the command that waits for them are killed (kill -9)."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from anyio.from_thread import start_blocking_portal

from mediagate import RECORDS, JobState, JobStatus, Rejudging
from mediagate.jobs import worker
from tests.support import loopback
from tests.support.channel_model import BLUE, RED, plain
from tests.support.databases import fresh_database
from tests.support.forked import SharedForkServer
from tests.support.load import stretched
from tests.support.rejudging import FASTEST, Place, ended, place_on_disk
from tests.support.server import FAST, PYTHONPATH, Server
from tests.support.until import until, wait_until

GATE = "rejudged_gate:gate"
POINTS = (
    "rejudgements.draw:before",
    "storage.get:before",
    "rejudgements.end:before",
    "storage.delete:before",
    "storage.delete:after",
)
"""Every step of a re-judgement that ends with taking a picture down, in order."""


@dataclass
class Site:
    """A database and a folder, on which services run one after the other."""

    place: Place
    env: dict[str, str]
    services: list[Server] = field(default_factory=list)

    def start(self, *, command: str = "serve", wait: bool = True, **env: str) -> Server:
        service = Server(GATE, self.place.data_dir, **self.env | env)
        self.services.append(service)
        service.start(command=command, wait=wait)
        return service

    def rejudge(self, *options: str) -> subprocess.Popen[str]:
        """Start the command, which waits for the workers."""
        data_dir = str(self.place.data_dir)
        return subprocess.Popen(
            [sys.executable, "-m", "mediagate.cli", "moderation", "rejudge", GATE, "--source", "avatar", *options],
            env={**os.environ, "PYTHONPATH": PYTHONPATH, "MEDIAGATE_DATA_DIR": data_dir, **self.env},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def files(self) -> set[str]:
        """Return the ids of the media that have published files."""
        return {path.parent.name for path in (self.place.data_dir / "files" / "media").rglob("*.webp")}

    def told(self) -> Counter[str]:
        """Return what the hooks of the services have noted."""
        path = self.place.data_dir / "told"
        return Counter(path.read_text().splitlines()) if path.exists() else Counter()


@contextmanager
def a_site(kind: str, folder: Path, server: SharedForkServer) -> Iterator[Site]:
    with fresh_database() if kind == "postgresql" else nullcontext(f"file:{folder / 'records.db'}") as database:
        place = place_on_disk(folder, server, database=database)
        site = Site(place, FAST | {"MEDIAGATE_DATABASE_URL": database, "MEDIAGATE_TEST_MODEL": str(place.model)})
        try:
            yield site
        finally:
            for service in site.services:
                if service.process is not None and service.process.poll() is None:
                    service.stop()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_pass_survives_kills_of_the_command_and_the_service(
    kind: str, tmp_path: Path, fork_server: SharedForkServer
) -> None:
    pictures = [plain(RED if n % 2 else BLUE, (100 + n, 80)) for n in range(12)]
    with a_site(kind, tmp_path, fork_server) as site, start_blocking_portal() as portal:
        jobs = [status.job_id for status in portal.call(lambda: site.place.publish(*pictures))]
        reader = site.place.gate(worker=False)

        def passes() -> list[Rejudging]:
            return list(portal.call(reader.get_rejudgings))

        with portal.wrap_async_context_manager(reader):
            command = site.rejudge("--action", "reject", "--rate", "120")
            service = site.start(command="worker")
            wait_until(lambda: [one for one in passes() if one.fell], "a picture should fall")
            command.kill()
            command.communicate()
            service.kill()
            (begun,) = passes()
            assert begun.judged < len(jobs), "the pass is in the middle"
            done = site.rejudge("--action", "reject", "--rate", "6000")
            service = site.start()
            said, errors = done.communicate(timeout=240)
            assert done.returncode == 0, errors
            assert passes() == [], "there is one pass, and it is closed"
        lines = said.splitlines()
        assert lines[-1] == "avatar: 12 judged, 6 passed, 6 fell"
        assert {line.split(": ")[0] for line in lines[:-1]} == {f"REJECTED {job}" for job in jobs[1::2]}
        answers = {job: loopback.get(f"{service.url}/status/{job}", timeout=30) for job in jobs}
        assert [answers[job].status_code for job in jobs] == [200, 400] * 6
        for job in jobs[1::2]:
            assert answers[job].json()["moderationDetails"]["flags"] == ["red"]
        published = {answers[job].json()["media"]["id"] for job in jobs[::2]}
        wait_until(lambda: site.files() == published, "the files of the others should go")
        wait_until(
            lambda: (
                {line for line in site.told() if line.endswith("REJECTED")} == {f"{j} REJECTED" for j in jobs[1::2]}
            ),
            "the hooks should run",
        )


@pytest.mark.parametrize("point", POINTS)
def test_take_down_survives_a_kill_between_any_two_steps(
    point: str, tmp_path: Path, fork_server: SharedForkServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "LOOK_S", 0.02)
    with a_site("sqlite", tmp_path, fork_server) as site:
        job, begun = asyncio.run(published_and_begun(site.place))
        # Only the process that dies has the short lease.
        site.start(command="worker", CRASH_AT=point, MEDIAGATE_LEASE_S="0.5").wait_dead(60)
        told: list[str] = []

        async def ends(state: JobState) -> None:
            told.append(f"{state.job.id} {state.job.status}")

        async def finish() -> None:
            gate = site.place.gate(janitor_interval_s=0.2, lease_s=stretched(1))
            gate.add_hook("on_end", ends)
            async with gate:
                (done,) = await ended(gate, begun)
                assert (done.judged, done.fell) == (1, 1)
                found = (await gate[RECORDS].get_jobs([job]))[job]
                assert (found.status, found.attempts) == (JobStatus.REJECTED, 1)
                await until(lambda: told, timeout_s=60)

        asyncio.run(finish())
        assert site.files() == set()
        assert told == [f"{job} REJECTED"]
        assert f"{job} REJECTED" not in site.told(), "the hooks of the process that died had not run"


async def published_and_begun(place: Place) -> tuple[str, Rejudging]:
    """Publish a red picture and begin the pass that takes it down; return its job and the pass."""
    (red,) = await place.publish(plain(RED))
    async with place.gate(worker=False) as gate:
        (begun,) = await gate.rejudge("avatar", action="reject", rate=FASTEST)
    return red.job_id, begun
