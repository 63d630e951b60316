"""A service under attack, in processes of its own on loopback, and somebody innocent beside the attackers."""

from __future__ import annotations

import http.client
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.hostile import pictures
from tests.support.live_files import live_files

MOUNT = "/image-pipeline"
GATE = """
from mediagate import MediaGate, Source

gate = MediaGate(
    sources={"photo": Source(), "moving": Source(animation="keep")}, moderation="off"
)
"""
BOUNDARY = b"6e4b1a"
PATIENCE_S = 120.0
"""After this an innocent client counts as turned away."""
PAUSE_S = 0.2


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and a JSON body, if there is one."""

    status: int
    body: Mapping[str, Any]


def request(
    port: int,
    method: str,
    path: str,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    *,
    timeout_s: float = PATIENCE_S,
) -> Answer:
    """Ask once, on a connection of its own."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)) as connection:
        connection.request(method, path, body, dict(headers or {}))
        answer = connection.getresponse()
        text = answer.read()
        with suppress(ValueError):
            return Answer(answer.status, json.loads(text))
        return Answer(answer.status, {})


def form(picture: bytes, source: str = "photo") -> tuple[bytes, dict[str, str]]:
    """Return the body and the headers of an upload."""
    fields = {b"sourceType": source.encode(), b"sourceId": b"bench"}
    head = b"".join(
        b'--%b\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n' % (BOUNDARY, name, value)
        for name, value in fields.items()
    )
    file = b'--%b\r\nContent-Disposition: form-data; name="file"; filename="photo"\r\n\r\n' % BOUNDARY
    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY.decode()}"}
    return b"".join((head, file, picture, b"\r\n--%b--\r\n" % BOUNDARY)), headers


@dataclass(slots=True)
class Site:
    """A service: its port, its folder, and its processes, the first of which takes uploads."""

    port: int
    folder: Path
    gate: str
    env: Mapping[str, str]
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def data(self) -> Path:
        """The data_dir."""
        return self.folder / "data"

    @property
    def log(self) -> Path:
        """What all processes log."""
        return self.folder / "log"

    def start(self, *command: str, descriptors: int | None = None) -> subprocess.Popen[bytes]:
        """Start ``mediagate`` with a command; ``descriptors``: as under ``ulimit -n``."""
        (self.folder / "bench_gate.py").write_text(self.gate)
        env = {"MEDIAGATE_DATA_DIR": str(self.data), "MEDIAGATE_GATE": "bench_gate:gate", **self.env}
        program = str(Path(sys.executable).with_name("mediagate"))
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [program, *command],
                cwd=self.folder,
                env={**os.environ, **env},
                stdout=log,
                stderr=log,
            )
        if descriptors is not None:
            # Right away: it has not loaded anything yet.
            resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (descriptors, descriptors))
        self.processes.append(process)
        return process

    def serve(self, *options: str, descriptors: int | None = None) -> None:
        """Start ``mediagate serve`` and wait until it is ready."""
        process = self.start("serve", "--port", str(self.port), *options, descriptors=descriptors)
        while True:
            with suppress(OSError, http.client.HTTPException):
                if self.ask("GET", "/readyz").status == 200:
                    return
            if process.poll() is not None:
                raise RuntimeError(self.log.read_text())
            time.sleep(0.05)

    def stop(self) -> None:
        """End all processes."""
        for process in self.processes:
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
                process.send_signal(signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        timeout_s: float = PATIENCE_S,
    ) -> Answer:
        """Ask the gate."""
        return request(self.port, method, MOUNT + path, body, headers, timeout_s=timeout_s)

    def upload(self, picture: bytes, source: str = "photo") -> Answer:
        """Send a picture."""
        return self.ask("POST", "/upload", *form(picture, source))

    def settled(self, job_id: str, *, timeout_s: float = PATIENCE_S) -> Mapping[str, Any]:
        """Return a job's status when it has ended, or as it is when the time is over."""
        end = time.monotonic() + timeout_s
        while True:
            status = self.ask("GET", f"/status/{job_id}?http=200&wait=2").body
            if status.get("status") not in ("PENDING", "PROCESSING") or time.monotonic() > end:
                return status

    def memory_mb(self) -> float:
        """Return the resident megabytes of the process that takes uploads, without its image processes."""
        status = Path(f"/proc/{self.processes[0].pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024

    def disk_mb(self) -> float:
        """Return the megabytes of the files in the data_dir."""
        total = 0
        for path in live_files(self.data):
            with suppress(FileNotFoundError):
                total += path.stat().st_size
        return total / 1e6


@contextmanager
def site(gate: str = GATE, **env: str) -> Iterator[Site]:
    """Make a service that has no process yet, in a folder that goes with it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    with TemporaryDirectory(prefix="mediagate-hostile-", ignore_cleanup_errors=True) as folder:
        made = Site(port, Path(folder), gate, env)
        try:
            yield made
        finally:
            made.stop()


@contextmanager
def serving(gate: str = GATE, **env: str) -> Iterator[Site]:
    """Run ``mediagate serve`` for the length of a block, with one innocent upload behind it."""
    with site(gate, **env) as made:
        made.serve()
        made.settled(made.upload(pictures.innocent()).body["jobId"])
        yield made


class Bystander:
    """Somebody innocent, who uploads a small photo again and again, and asks whether the service is alive."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._upload), threading.Thread(target=self._look)]
        self.accepted: list[float] = []
        """Seconds until each upload had its 202; whoever is turned away tries again."""
        self.complete: list[float] = []
        self.alive: list[float] = []

    def __enter__(self) -> Bystander:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def __str__(self) -> str:
        return (
            f"202 after {_worst(self.accepted)}, COMPLETE after {_worst(self.complete)}, "
            f"healthz {_worst(self.alive)}, of {len(self.accepted)} uploads"
        )

    @property
    def worst_s(self) -> float:
        """The longest that an upload waited for its 202."""
        return max(self.accepted, default=float("inf"))

    def wait(self, uploads: int = 1) -> None:
        """Wait until so many more uploads are through, and ``healthz`` was asked meanwhile."""
        wanted, end = len(self.complete) + uploads, time.monotonic() + PATIENCE_S
        while len(self.complete) < wanted and time.monotonic() < end:
            time.sleep(0.05)

    def _upload(self) -> None:
        while not self._stopped.is_set():
            began = time.monotonic()
            job_id = self._accepted(began)
            self.accepted.append(time.monotonic() - began)
            if job_id is not None:
                self._site.settled(job_id)
            self.complete.append(time.monotonic() - began)
            self._stopped.wait(PAUSE_S)

    def _accepted(self, began: float) -> str | None:
        while time.monotonic() - began < PATIENCE_S:
            with suppress(OSError, http.client.HTTPException):
                answer = self._site.upload(pictures.innocent())
                if answer.status == 202:
                    return str(answer.body["jobId"])
            if self._stopped.wait(PAUSE_S):
                return None
        return None

    def _look(self) -> None:
        while not self._stopped.is_set():
            began = time.monotonic()
            while time.monotonic() - began < PATIENCE_S:
                with suppress(OSError, http.client.HTTPException):
                    if self._site.ask("GET", "/healthz").status == 200:
                        break
                if self._stopped.wait(PAUSE_S):
                    break
            self.alive.append(time.monotonic() - began)
            self._stopped.wait(PAUSE_S)


def _worst(seconds: list[float]) -> str:
    return f"{max(seconds, default=float('inf')):.1f} s"


def at_once(*calls: Callable[[], object]) -> None:
    """Make all calls in threads of their own, and wait until they have ended; what fails is the attacker's affair."""

    def quietly(call: Callable[[], object]) -> None:
        with suppress(OSError, http.client.HTTPException):
            call()

    threads = [threading.Thread(target=quietly, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@contextmanager
def connections(port: int, count: int, sent: bytes, *, host: str = "127.0.0.1") -> Iterator[list[socket.socket]]:
    """Open connections from one loopback address, and send the same bytes on each; those that fail are left out."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    opened = []
    with ExitStack() as stack:
        for _ in range(count):
            connection = stack.enter_context(socket.socket())
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.settimeout(5)
            with suppress(OSError):
                connection.bind((host, 0))
                connection.connect(("127.0.0.1", port))
                connection.sendall(sent)
                opened.append(connection)
        yield opened
