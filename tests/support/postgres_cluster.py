"""A PostgreSQL server of a test's own, in a temporary folder on a free port, which the test may kill and stop."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.ports import free_port
from tests.support.services import need

FAST = {"fsync": "off", "full_page_writes": "off", "max_wal_size": "4GB"}
"""The processes are killed, never the machine: what they have written, if not yet to the disk, is there."""


def programs() -> Path:
    """Return the folder of the newest server's programs; skips the test when there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
    if not found:
        pytest.skip("no PostgreSQL server programs in /usr/lib/postgresql to start one of the test's own with")
    return found[-1].parent


def as_user() -> dict[str, Any]:
    """Return the options that run a process as somebody whom PostgreSQL accepts: it refuses root."""
    if os.geteuid() != 0:
        return {}
    try:
        pwd.getpwnam("postgres")
    except KeyError:
        pytest.skip("there is no user postgres to run a PostgreSQL server of the test's own as")
    return {"user": "postgres", "group": "postgres", "extra_groups": []}


class Cluster:
    """One server; ``options`` go into its configuration."""

    def __init__(self, folder: Path, **options: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"postgresql://postgres@127.0.0.1:{self.port}/postgres"
        self.log = folder / "log"
        self._programs = programs()
        self._process: subprocess.Popen[bytes] | None = None
        done = subprocess.run(
            [self._programs / "initdb", "-D", folder / "data", "-U", "postgres", "-A", "trust", "-N", "-E", "UTF8"],
            **as_user(), cwd="/", capture_output=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr.decode()
        self._options = {**FAST, "port": str(self.port), "listen_addresses": "127.0.0.1",
                         "unix_socket_directories": "", **options}  # fmt: skip

    def start(self) -> None:
        """Start it and wait until it answers."""
        words = [word for name, value in self._options.items() for word in ("-c", f"{name}={value}")]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", self.folder / "data", *words],
                **as_user(), cwd="/", stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        ready = [str(self._programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port), "-t", "1"]
        for _ in range(300):
            if subprocess.run(ready, check=False).returncode == 0:
                return
            if self._process.poll() is not None:
                break
            time.sleep(0.1)
        pytest.fail(f"the PostgreSQL server did not start: {self.log.read_text()[-2000:]}")

    def processes(self) -> list[int]:
        """Return the ids of the postmaster and of all that it has started."""
        assert self._process is not None
        found = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(self._process.pid)], capture_output=True, text=True, check=False
        )
        return [self._process.pid, *map(int, found.stdout.split())]

    def kill(self) -> None:
        """End it as a crash of its machine would: SIGKILL to the postmaster, then to what is left."""
        if self._process is None:
            return
        pids = self.processes()
        self._process.kill()
        self._process.wait()
        self._process = None
        for pid in pids[1:]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for _ in range(600):
            if not any(Path(f"/proc/{pid}").exists() for pid in pids[1:]):
                return
            time.sleep(0.05)
        pytest.fail("processes of the PostgreSQL server outlived SIGKILL")

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """Stop all its processes (SIGSTOP): connections stay open and nothing answers."""
        pids = self.processes()
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def cluster(**options: str) -> Iterator[Cluster]:
    """Run a server for the length of a block."""
    need("PostgreSQL")
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    try:
        if as_user():
            shutil.chown(folder, "postgres", "postgres")
        server = Cluster(folder, **options)
        server.start()
        try:
            yield server
        finally:
            server.kill()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
