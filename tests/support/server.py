"""A real service in a process of its own, on loopback, which a test can kill and start again."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx

from tests.support import loopback
from tests.support.load import stretched
from tests.support.ports import free_port

ROOT = Path(__file__).parents[2]
GATES = ROOT / "tests" / "support" / "gates"
PYTHONPATH = f"{ROOT}{os.pathsep}{GATES}"
"""Where processes of tests find the gates by their names, and the helpers of the tests."""
MOUNT = "/image-pipeline"
LEASE = "MEDIAGATE_LEASE_S"
"""A lease in seconds of an idle machine: services get one that a busy machine keeps as well."""
FAST = {
    LEASE: "2",
    "MEDIAGATE_JANITOR_INTERVAL_S": "0.4",
    "MEDIAGATE_RETRY_BACKOFF_S": "0.1",
    "MEDIAGATE_IMAGE_PROCESSES": "1",
}
"""Settings with which a service recovers from a crash within seconds."""


def children(pid: int) -> set[int]:
    """Return the ids of all processes below one, at any depth."""
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            head, _, rest = stat.read_text().rpartition(")")
            parents.setdefault(int(rest.split()[1]), []).append(int(head.split(" ")[0]))
    found: set[int] = set()
    waiting = [pid]
    while waiting:
        below = set(parents.get(waiting.pop(), ())) - found
        found |= below
        waiting.extend(below)
    return found


def alive(pid: int) -> bool:
    """Return whether a process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class Server:
    """``mediagate serve`` on a gate of the tests; ``options`` are its own, ``env`` adds to the environment.

    ``python`` is that of another environment, which has a release of mediagate instead of this checkout.
    """

    def __init__(
        self, gate: str, data_dir: Path, *, options: Sequence[str] = (), python: str | Path = sys.executable, **env: str
    ) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}{MOUNT}"
        self.log = data_dir.parent / f"{data_dir.name}.log"
        self._gate = gate
        self._options = options
        self._python = str(python)
        self._env = {
            **os.environ,
            "MEDIAGATE_DATA_DIR": str(data_dir),
            "PYTHONPATH": PYTHONPATH,
            **env,
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *, wait: bool = True, command: str = "serve", **env: str) -> None:
        """Start the process and, for ``serve``, wait until it answers."""
        arguments = ["--port", str(self.port), *self._options] if command == "serve" else []
        env = self._env | env
        if LEASE in env:
            env[LEASE] = str(stretched(float(env[LEASE])))
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [self._python, "-m", "mediagate.cli", command, self._gate, *arguments],
                env=env, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        if wait and command == "serve":
            self.wait_until_ready()

    def wait_until_ready(self) -> None:
        assert self.process is not None
        end = time.monotonic() + stretched(30)
        while time.monotonic() < end:
            with contextlib.suppress(httpx.TransportError):
                if loopback.get(f"{self.url}/readyz", timeout=5).status_code == 200:
                    return
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        raise AssertionError(f"the service did not start:\n{self.log.read_text()[-4000:]}")

    def kill(self) -> set[int]:
        """Kill -9 the service alone and return the ids of the processes it had."""
        assert self.process is not None
        below = children(self.process.pid)
        self.process.kill()
        self.process.wait(stretched(10))
        return below

    def wait_dead(self, timeout_s: float = 30) -> None:
        """Wait until the process has ended by itself."""
        assert self.process is not None
        self.process.wait(stretched(timeout_s))

    def stop(self, timeout_s: float = 40) -> int:
        """Ask the process to end (SIGTERM) and return its exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(stretched(timeout_s))

    def upload(
        self, name: str, data: bytes, *, source_type: str = "avatar", source_id: str = "user-1", **headers: str
    ) -> httpx.Response:
        return loopback.post(
            f"{self.url}/upload",
            data={"sourceType": source_type, "sourceId": source_id},
            files={"file": (name, data)},
            headers=headers,
            timeout=30,
        )

    def settled(self, job_id: str, timeout_s: float = 60) -> httpx.Response:
        """Poll until the job is terminal and return that answer."""
        end = time.monotonic() + stretched(timeout_s)
        while True:
            answer = loopback.get(f"{self.url}/status/{job_id}", timeout=30)
            if answer.status_code != 202:
                return answer
            assert time.monotonic() < end, f"{answer.text}\n{self.log.read_text()[-4000:]}"
            time.sleep(0.1)


@contextlib.contextmanager
def running(gate: str, data_dir: Path, *, options: Sequence[str] = (), **env: str) -> Iterator[Server]:
    """Run a service for the length of a block."""
    service = Server(gate, data_dir, options=options, **env)
    try:
        service.start()
        yield service
    finally:
        if service.process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                service.stop()
            service.process.kill()
