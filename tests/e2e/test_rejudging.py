"""Judging published pictures again, by the command, while workers and the command itself are killed (kill -9)."""

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

import httpx
import pytest

from mediagate.records import PrismaRecords
from mediagate.values import Rejudging
from tests.support.channel_model import BLUE, RED, channel_model, plain
from tests.support.command import mediagate
from tests.support.databases import fresh_database
from tests.support.server import FAST, PYTHONPATH, Server
from tests.support.until import wait_until

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

    data_dir: Path
    env: dict[str, str]
    services: list[Server] = field(default_factory=list)

    def start(self, **env: str) -> Server:
        service = Server(GATE, self.data_dir, **self.env, **env)
        self.services.append(service)
        service.start(wait="CRASH_AT" not in env)
        return service

    def publish(self, *files: bytes) -> list[str]:
        """Publish pictures with a tolerant threshold, and return the ids of their jobs."""
        service = self.start(MEDIAGATE_TEST_RED="0.99")
        jobs = [service.upload("a.png", file).json()["jobId"] for file in files]
        assert {service.settled(job).json()["status"] for job in jobs} == {"COMPLETE"}
        service.stop()
        (self.data_dir / "told").unlink()
        return jobs

    def rejudge(self, *options: str) -> subprocess.Popen[str]:
        """Start the command, which waits for the workers."""
        return subprocess.Popen(
            [sys.executable, "-m", "mediagate.cli", "moderation", "rejudge", GATE, "--source", "avatar", *options],
            env={**os.environ, "PYTHONPATH": PYTHONPATH, "MEDIAGATE_DATA_DIR": str(self.data_dir), **self.env},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def run(self, command: str, *options: str) -> subprocess.CompletedProcess[str]:
        """Run another of the commands to its end."""
        return mediagate("moderation", command, GATE, *options, data_dir=self.data_dir, **self.env)

    def output_of(self, command: str, *options: str) -> str:
        done = self.run(command, *options)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    def refusal_of(self, command: str, *options: str) -> str:
        """Run a command that is refused, and return the last line of its errors."""
        done = self.run(command, *options)
        assert done.returncode == 1, done.stdout + done.stderr
        return done.stderr.splitlines()[-1]

    def passes(self) -> list[Rejudging]:
        """Return the open passes on record."""

        async def read() -> list[Rejudging]:
            records = PrismaRecords(self.env["MEDIAGATE_DATABASE_URL"])
            await records.open()
            try:
                return list(await records.rejudgements.get_rejudgings())
            finally:
                await records.close()

        return asyncio.run(read())

    def files(self) -> set[str]:
        """Return the ids of the media that have published files."""
        return {path.parent.name for path in (self.data_dir / "files" / "media").rglob("*.webp")}

    def told(self) -> Counter[str]:
        path = self.data_dir / "told"
        return Counter(path.read_text().splitlines()) if path.exists() else Counter()


@contextmanager
def a_site(kind: str, folder: Path) -> Iterator[Site]:
    model = channel_model(folder / "colours.onnx")
    data_dir = folder / "data"
    data_dir.mkdir()
    with fresh_database() if kind == "postgresql" else nullcontext(f"file:{folder / 'records.db'}") as database:
        site = Site(data_dir, FAST | {"MEDIAGATE_DATABASE_URL": database, "MEDIAGATE_TEST_MODEL": str(model)})
        try:
            yield site
        finally:
            for service in site.services:
                if service.process is not None and service.process.poll() is None:
                    service.stop()


def some(number: int) -> list[bytes]:
    """Return red and blue pictures, alternately and all of different sizes."""
    return [plain(RED if n % 2 else BLUE, (100 + n, 80)) for n in range(number)]


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_pass_survives_kills_of_the_command_and_the_service(kind: str, tmp_path: Path) -> None:
    with a_site(kind, tmp_path) as site:
        jobs = site.publish(*some(12))
        service = site.start()
        command = site.rejudge("--action", "reject", "--rate", "600")
        wait_until(lambda: [one for one in site.passes() if one.fell], "a picture should fall")
        command.kill()
        command.communicate()
        service.kill()
        (begun,) = site.passes()
        assert begun.judged < len(jobs), "the pass is in the middle"
        service = site.start()
        done = site.rejudge("--action", "reject", "--rate", "6000")
        said, errors = done.communicate(timeout=240)
        assert done.returncode == 0, errors
        assert site.passes() == [], "there is one pass, and it is closed"
        lines = said.splitlines()
        assert lines[-1] == "avatar: 12 judged, 6 passed, 6 fell"
        assert {line.split(": ")[0] for line in lines[:-1]} == {f"REJECTED {job}" for job in jobs[1::2]}
        answers = {job: httpx.get(f"{service.url}/status/{job}", timeout=30) for job in jobs}
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
def test_take_down_survives_a_kill_between_any_two_steps(point: str, tmp_path: Path) -> None:
    with a_site("sqlite", tmp_path) as site:
        (job,) = site.publish(plain(RED))
        crashing = site.start(CRASH_AT=point)
        command = site.rejudge("--action", "reject", "--rate", "6000")
        crashing.wait_dead(60)
        service = site.start()
        said, errors = command.communicate(timeout=240)
        assert command.returncode == 0, errors
        assert said.splitlines()[-1] == "avatar: 1 judged, 0 passed, 1 fell"
        answer = httpx.get(f"{service.url}/status/{job}", timeout=30)
        assert (answer.status_code, answer.json()["attempts"]) == (400, 1)
        wait_until(lambda: not site.files(), "the files should go")
        wait_until(lambda: site.told()[f"{job} REJECTED"] == 1, "the hooks should run once")


def test_commands_list_decide_and_stop(tmp_path: Path) -> None:
    with a_site("sqlite", tmp_path) as site:
        kept, rejected, blue = site.publish(plain(RED), plain(RED, (120, 80)), plain(BLUE))
        service = site.start()
        said = site.output_of("rejudge", "--action", "review", "--rate", "6000").splitlines()
        assert said[-1] == "avatar: 3 judged, 1 passed, 2 fell"
        waiting = site.output_of("list").splitlines()
        assert sorted(waiting) == sorted(said[:-1])
        assert {line.partition(":")[0] for line in waiting} == {f"REVIEW {kept}", f"REVIEW {rejected}"}
        assert waiting[0].endswith(": reject, red 0.78 (colours.onnx)")
        assert site.output_of("decide", "--job", kept, "--keep") == f"{kept}: KEPT"
        assert site.output_of("decide", "--job", rejected, "--reject") == f"{rejected}: REJECTED"
        assert site.output_of("list") == ""
        assert site.output_of("list", "--status", "kept").startswith(f"KEPT {kept}: ")
        expected = {kept: 200, rejected: 400, blue: 200}
        # The service may answer from memory for a while what another process has changed.
        wait_until(lambda: {job: status_of(service, job) for job in expected} == expected, "the decisions should show")
        assert site.refusal_of("decide", "--job", kept, "--reject") == f"job {kept} does not wait for a decision"
        assert "either --keep or --reject" in site.refusal_of("decide", "--job", kept)
        service.stop()
        command = site.rejudge("--action", "reject")
        wait_until(site.passes, "a pass should begin")
        assert site.output_of("stop") == "stopped: avatar: 0 judged, 0 passed, 0 fell"
        printed, errors = command.communicate(timeout=240)
        assert (command.returncode, printed) == (0, "avatar: 0 judged, 0 passed, 0 fell\n"), errors
        assert site.refusal_of("rejudge", "--action", "delete") == "mediagate: action: use one of list, review, reject"
        assert "no moderator of it is named 'gore'; it is judged by colours" in site.refusal_of(
            "rejudge", "--model", "gore"
        )


def status_of(service: Server, job_id: str) -> int:
    return httpx.get(f"{service.url}/status/{job_id}", timeout=30).status_code


def test_command_exits_with_1_when_a_picture_cannot_be_judged(tmp_path: Path) -> None:
    with a_site("sqlite", tmp_path) as site:
        (job,) = site.publish(plain(RED))
        (original,) = (site.data_dir / "files" / "originals").rglob("original.*")
        original.unlink()
        site.start()
        command = site.rejudge("--action", "reject", "--rate", "6000")
        said, errors = command.communicate(timeout=240)
        assert command.returncode == 1, errors
        assert said.startswith(f"FAILED {job}: published_file_lost: ")
        assert said.splitlines()[-1] == "avatar: 0 judged, 0 passed, 0 fell, 1 failed"
