"""A backup of a running service, and its restore after everything was lost, by the commands of the documentation."""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self
from urllib.parse import urlsplit, urlunsplit

import httpx
import pytest

from tests.support import loopback
from tests.support.hosting import until
from tests.support.live_files import live_files
from tests.support.pages import run_shell, shell_blocks
from tests.support.pictures_kept import absolute, fetched, kept, sent, still_there, uploaded
from tests.support.programs import program
from tests.support.s3_server import S3Server
from tests.support.server import FAST, PYTHONPATH, Server

PAGE = "docs/how-to/back-up.md"
DATABASE = ("sqlite3", "pg_dump")
"""The commands that copy the database."""
SOME = 3
"""Uploads before the database has been copied, and after it."""


def until_removed(folder: Path) -> None:
    """Remove a folder, from which SQLite may be removing its own files: its process has just been killed."""
    while folder.exists():
        with suppress(FileNotFoundError):
            shutil.rmtree(folder)


class Setup(Protocol):
    """One way to keep files and rows."""

    folder: Path
    data_dir: Path
    env: dict[str, str]
    back_up: list[str]
    restore: list[str]

    def destroy(self) -> None:
        """Remove the database and the files, and make an empty database and storage where the page needs them."""

    def keys(self) -> set[str]:
        """Return the keys of the published files."""


def lines(heading: str, *changes: tuple[str, str]) -> list[str]:
    """Return the commands of a section of the page, with the names of the test."""
    [block] = shell_blocks(PAGE, heading)
    for old, new in changes:
        assert old in block, f"{heading}: no {old}"
        block = block.replace(old, new)
    return block.splitlines()


@dataclass
class SQLiteAndFolder:
    folder: Path
    env: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.data_dir = self.folder / ".mediagate"
        (self.folder / "media.py").write_text("from held_gate import gate\n")
        place = ("/srv/backup", str(self.folder / "backup"))
        self.back_up = lines("## Back up SQLite and a folder", place)
        self.restore = lines("## Restore SQLite and a folder", place)

    def destroy(self) -> None:
        until_removed(self.data_dir)

    def keys(self) -> set[str]:
        files = self.data_dir / "files"
        return {
            path.relative_to(files).as_posix()
            for path in live_files(files)
            if path.suffix and "staging" not in path.parts
        }


@dataclass
class PostgresAndBucket:
    folder: Path
    url: str
    s3_server: S3Server
    s3: Any
    bucket: str
    copy: str

    def __post_init__(self) -> None:
        self.data_dir = self.folder / ".mediagate"
        self.env = {
            "MEDIAGATE_DATABASE_URL": self.url,
            "AWS_ENDPOINT_URL": self.s3_server.url,
            "AWS_ACCESS_KEY_ID": self.s3_server.access_key,
            "AWS_SECRET_ACCESS_KEY": self.s3_server.secret_key,
        }
        (self.folder / "media.py").write_text(
            "from held_gate import gate\n"
            "from mediagate_plugins.s3_storage import s3_storage\n"
            f"gate.register(s3_storage, bucket={self.bucket!r})\n"
        )
        names = (("/srv/backup", str(self.folder / "backup")), ("my-backup", self.copy))
        self.back_up = lines("## Back up PostgreSQL and a bucket", *names)
        self.restore = lines("## Restore PostgreSQL and a bucket", *names)
        done = run_shell("mediagate migrate", folder=self.folder, PYTHONPATH=PYTHONPATH, **self.env)
        assert done.returncode == 0, done.stderr

    def destroy(self) -> None:
        until_removed(self.data_dir)
        name = urlsplit(self.url).path[1:]
        server = urlunsplit(urlsplit(self.url)._replace(path="/postgres"))
        for statement in (f"DROP DATABASE {name} WITH (FORCE)", f"CREATE DATABASE {name}"):
            subprocess.run(["psql", "--quiet", "--command", statement, server], check=True)
        for key in self._listed():
            self.s3.delete_object(Bucket=self.bucket, Key=key)

    def keys(self) -> set[str]:
        return {key for key in self._listed() if not key.startswith(("staging/", "mediagate/"))}

    def _listed(self) -> set[str]:
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
        return {item["Key"] for page in pages for item in page.get("Contents", ())}


@pytest.fixture(params=["sqlite and a folder", "postgresql and a bucket"])
def setup(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Setup:
    monkeypatch.chdir(tmp_path)
    if request.param.startswith("sqlite"):
        return SQLiteAndFolder(tmp_path)
    for name in ("pg_dump", "psql"):
        program(name, "postgresql-client")
    url = request.getfixturevalue("own_postgres_url")
    server, s3 = request.getfixturevalue("s3_server"), request.getfixturevalue("s3")
    make = request.getfixturevalue("make_bucket")
    return PostgresAndBucket(tmp_path, url, server, s3, make(), make())


class Shell:
    """Runs the commands of the page one by one, so that a test may act between them."""

    def __init__(self, setup: Setup, commands: list[str]) -> None:
        self._setup = setup
        self._before: list[str] = []
        self.commands = [line for line in commands if not self._is_setting(line)]

    def _is_setting(self, line: str) -> bool:
        if line.startswith("export "):
            self._before.append(line)
        return line.startswith("export ")

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        setup, before = self._setup, "\n".join(self._before)
        return run_shell(f"{before}\n{command}", folder=setup.folder, PYTHONPATH=PYTHONPATH, **setup.env)

    def done(self, command: str) -> str:
        """Run a command that succeeds and return its output."""
        done = self.run(command)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout


class Uploads:
    """Uploads pictures in a thread of its own during a block: ``SOME``, and as many more after each ``go_on``."""

    def __init__(self, service: Server, photo: bytes) -> None:
        self.jobs: list[str] = []
        self._service = service
        self._photo = photo
        self._over = False
        self._turns = threading.Semaphore(SOME)
        self._thread = threading.Thread(target=self._upload)

    def go_on(self) -> int:
        """Upload more, and return the number of uploads until now."""
        self._turns.release(SOME)
        return len(self.jobs)

    def _upload(self) -> None:
        while self._turns.acquire() and not self._over:
            source = "document" if len(self.jobs) % 2 else "avatar"
            self.jobs.append(sent(self._service, self._photo, source))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._over = True
        self._turns.release()
        self._thread.join()


def answer(service: Server, path: str) -> httpx.Response:
    return loopback.get(f"{service.url}/{path}", timeout=30)


def test_backup_of_a_running_service_restores_everything_in_it(setup: Setup, photo: bytes) -> None:
    with ExitStack() as stack:
        service = Server("media:gate", setup.data_dir, **FAST, **setup.env)
        stack.callback(lambda: service.process and service.process.poll() is None and service.kill())
        service.start()
        complete = [uploaded(service, photo, source) for source in ("avatar", "document", "avatar")]

        # Jobs are waiting, and uploads go on, while the backup is made.
        hold = setup.data_dir / "hold"
        hold.touch()
        waiting = [sent(service, photo, source) for source in ("avatar", "document", "avatar")]
        shell = Shell(setup, setup.back_up)
        with Uploads(service, photo) as during:
            until("an upload is accepted", lambda: during.jobs)
            for command in shell.commands:
                shell.done(command)
                if any(name in command for name in DATABASE):
                    # The waiting jobs end, and their quarantined files are deleted, before the files are copied again.
                    after_dump = during.go_on()
                    hold.unlink()
                    ended = [kept(service, job_id) for job_id in waiting]
                    late = uploaded(service, photo)
        lost = uploaded(service, photo)
        service.kill()

        setup.destroy()
        assert setup.keys() == set()
        shell = Shell(setup, setup.restore)
        for command in shell.commands:
            shell.done(command)
        restored = setup.keys()

        checks, listing, decisions = shell_blocks(PAGE, "## After it")
        assert "up to date" in shell.done(checks.splitlines()[0].partition("#")[0])
        report = shell.run("mediagate doctor")
        assert report.returncode == 1
        failed = [line.split()[1] for line in report.stdout.splitlines() if line.startswith("FAIL")]
        assert failed == ["storage"], report.stdout
        assert "the database is older than the storage" in report.stdout
        unknown = set(re.findall(r"^would remove ((?:media|originals)/\S+)$", shell.done(listing), re.M))
        assert {key.split("/")[3] for key in unknown} >= {late.media_id}
        assert not {key.split("/")[3] for key in unknown} & {picture.media_id for picture in complete}

        service.start(MEDIAGATE_ORPHAN_GRACE_S="0")
        for picture in complete:
            assert still_there(service, picture)
            for url, body in zip(picture.urls, picture.files, strict=True):
                assert fetched(service, url) == body
        for job_id, before in zip(waiting, ended, strict=True):
            assert kept(service, job_id).files == before.files
        for picture in (late, lost):
            assert answer(service, f"status/{picture.job_id}").status_code == 404
            assert answer(service, f"media/{picture.media_id}").status_code == 404
        # The file of an upload that the database does not know is served, and stays until the operator decides.
        assert [fetched(service, url) for url in late.urls] == late.files
        assert loopback.get(absolute(service, lost.urls[0]), timeout=30).status_code == 404
        ends = [service.settled(job_id).status_code for job_id in during.jobs]
        assert set(ends[:after_dump]) <= {200, 404, 500} and set(ends[after_dump:]) <= {404}
        new = uploaded(service, photo)
        assert "the database is older than the storage" in service.log.read_text()
        assert restored <= setup.keys()

        service.stop()
        now = {"MEDIAGATE_ORPHAN_GRACE_S": "0"}
        setup.env |= now
        really, adopt = (line.partition("#")[0].strip() for line in decisions.splitlines())
        stopped = shell.run("mediagate janitor")
        assert stopped.returncode == 1
        number = re.search(r"--really (\d+)", stopped.stderr)
        assert number is not None and restored <= setup.keys()
        assert " orphans" in shell.done(really.replace("1200", number[1]))
        assert not unknown & setup.keys()
        assert "the files belong to this database" in shell.done("mediagate doctor")
        shell.done(adopt)
        service.start()
        for picture in [*complete, new]:
            assert still_there(service, picture)
        for command in Shell(setup, setup.back_up).commands:
            shell.done(command)  # the next backup goes on with the same copy
        service.stop()
