"""``mediagate moderation``, beside a gate that judges."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from typer.testing import CliRunner, Result

from mediagate import RECORDS, JobStatus, MediaGate, RejudgeAction, Rejudging
from mediagate.cli import moderation
from mediagate.jobs import worker
from mediagate.values import utcnow
from tests.support.channel_model import BLUE, RED, plain
from tests.support.forked import SharedForkServer
from tests.support.rejudging import Place, place_on_disk
from tests.support.until import until

GATE = "rejudged_gate"


@dataclass
class Site:
    """A database and a folder; the commands run in this process."""

    place: Place
    portal: BlockingPortal

    def publish(self, *files: bytes) -> list[str]:
        return [status.job_id for status in self.portal.call(lambda: self.place.publish(*files))]

    def run(self, command: str, *options: str) -> Result:
        # Each command opens a gate of its own.
        sys.modules.pop(GATE, None)
        return CliRunner().invoke(moderation.commands, [command, f"{GATE}:gate", *options])

    def output_of(self, command: str, *options: str) -> str:
        done = self.run(command, *options)
        assert done.exit_code == 0, done.output
        return done.stdout.strip()

    def refusal_of(self, command: str, *options: str) -> str:
        """Run a command that is refused, and return the last line of its errors."""
        done = self.run(command, *options)
        assert done.exit_code == 1, done.output
        return done.stderr.splitlines()[-1]

    def judging(self) -> AbstractContextManager[MediaGate]:
        """Return a gate whose worker judges, open for the length of a block."""
        return self.portal.wrap_async_context_manager(self.place.gate())


@pytest.fixture
def site(tmp_path: Path, fork_server: SharedForkServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    database = f"file:{tmp_path / 'records.db'}"
    place = place_on_disk(tmp_path, fork_server, database=database)
    monkeypatch.setenv("MEDIAGATE_DATA_DIR", str(place.data_dir))
    monkeypatch.setenv("MEDIAGATE_DATABASE_URL", database)
    monkeypatch.setenv("MEDIAGATE_TEST_MODEL", str(place.model))
    monkeypatch.setattr(moderation, "ASK_S", 0.02)
    monkeypatch.setattr(worker, "LOOK_S", 0.02)
    with start_blocking_portal() as portal:
        yield Site(place, portal)
    sys.modules.pop(GATE, None)


def test_commands_list_and_decide_what_waits_for_a_person(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mediagate.jobs.recent.MAX_AGE_S", 0.2)
    kept, rejected, blue = site.publish(plain(RED), plain(RED, (120, 80)), plain(BLUE))
    with site.judging() as gate:
        said = site.output_of("rejudge", "--source", "avatar", "--action", "review", "--rate", "6000").splitlines()
        assert said[-1] == "avatar: 3 judged, 1 passed, 2 fell"
        waiting = site.output_of("list").splitlines()
        assert sorted(waiting) == sorted(said[:-1])
        assert {line.partition(":")[0] for line in waiting} == {f"REVIEW {kept}", f"REVIEW {rejected}"}
        assert waiting[0].endswith(": reject, red 0.78 (colours.onnx)")
        assert site.output_of("decide", "--job", kept, "--keep") == f"{kept}: KEPT"
        assert site.output_of("decide", "--job", rejected, "--reject") == f"{rejected}: REJECTED"
        assert site.output_of("list") == ""
        assert site.output_of("list", "--status", "kept").startswith(f"KEPT {kept}: ")
        expected = {kept: JobStatus.COMPLETE, rejected: JobStatus.REJECTED, blue: JobStatus.COMPLETE}

        async def shown() -> bool:
            return {job: (await gate.get_status(job)).status for job in expected} == expected

        # The gate may answer from memory for a while what another one has changed.
        site.portal.call(until, shown, 60)
        assert f"job {kept} does not wait for a decision" in site.refusal_of("decide", "--job", kept, "--reject")


def test_rejudge_exits_with_1_when_a_picture_cannot_be_judged(site: Site) -> None:
    (job,) = site.publish(plain(RED))
    (original,) = (site.place.data_dir / "files" / "originals").rglob("original.*")
    original.unlink()
    with site.judging():
        done = site.run("rejudge", "--action", "reject", "--rate", "6000")
    assert done.exit_code == 1, done.output
    failed, summary = done.stdout.splitlines()
    assert failed.startswith(f"FAILED {job}: published_file_lost: ")
    assert summary == "avatar: 0 judged, 0 passed, 0 fell, 1 failed"


def test_stop_ends_a_pass(site: Site) -> None:
    async def begun() -> int:
        async with site.place.gate(worker=False) as gate:
            return len(await gate.rejudge("avatar", action="reject"))

    async def left() -> int:
        async with site.place.gate(worker=False) as gate:
            return len(await gate.get_rejudgings())

    assert site.portal.call(begun) == 1
    assert site.output_of("stop", "--source", "post") == ""
    assert site.output_of("stop") == "stopped: avatar: 0 judged, 0 passed, 0 fell"
    assert site.portal.call(left) == 0


@pytest.mark.parametrize("waits", [False, True])
def test_rejudge_asks_for_a_worker_unless_the_pass_waits(
    site: Site, monkeypatch: pytest.MonkeyPatch, waits: bool
) -> None:
    """The pass is stopped meanwhile, which ends the command."""
    site.publish(plain(RED))
    monkeypatch.setattr(moderation, "STALLED_S", 0.0)
    looks, read = 0, MediaGate.get_rejudgings

    async def counted(gate: MediaGate, *ids: str) -> object:
        nonlocal looks
        looks += 1
        return await read(gate, *ids)

    monkeypatch.setattr(MediaGate, "get_rejudgings", counted)

    async def stop_later(gate: MediaGate) -> None:
        await until(lambda: looks > 5, timeout_s=60)
        await gate.close_rejudging("rej_1")

    async def begin(gate: MediaGate) -> None:
        now = utcnow()
        next_at = now + timedelta(hours=1) if waits else now
        await gate[RECORDS].rejudgements.begin(Rejudging("rej_1", "avatar", RejudgeAction.LIST, now, next_at, 1))

    with site.portal.wrap_async_context_manager(site.place.gate(worker=False)) as gate:
        site.portal.call(begin, gate)
        stopped = site.portal.start_task_soon(stop_later, gate)
        done = site.run("rejudge", "--rate", "1")
        stopped.result()
    assert (done.exit_code, done.stdout) == (0, "avatar: 0 judged, 0 passed, 0 fell\n"), done.output
    assert ("does one run?" in done.stderr) is not waits


@pytest.mark.parametrize(
    ("command", "options", "message"),
    [
        ("rejudge", ["--action", "delete"], "mediagate: action: use one of list, review, reject"),
        ("rejudge", ["--model", "gore"], "no moderator of it is named 'gore'; it is judged by colours"),
        ("list", ["--status", "bad"], "status: use one of PENDING, "),
        ("decide", ["--job", "job_1"], "either --keep or --reject"),
        ("decide", ["--job", "job_1", "--keep"], "job 'job_1' not found"),
    ],
)
def test_commands_refuse_what_they_cannot_do(site: Site, command: str, options: list[str], message: str) -> None:
    assert message in site.refusal_of(command, *options)
