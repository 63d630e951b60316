"""A rolling restart behind nginx, with the samples of examples/deploy, under uploads, polls and event streams."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from tests.support import loopback
from tests.support.command import output_of
from tests.support.deploy_samples import SAMPLES, Proxy, nginx
from tests.support.hosting import until
from tests.support.load import stretched
from tests.support.observed_processes import Process
from tests.support.ports import free_port
from tests.support.programs import program
from tests.support.receiver import answer, receiving

GATE = "plain_gate:gate"
MOUNT = "/image-pipeline"
UPLOADERS = 3
PAUSE_S = 0.02
"""Between two polls of a client, for the others on this machine."""
SYSTEMCTL = """#!/bin/sh
echo "$2" > "{folder}/asked"
read answer < "{folder}/answered"
"""
"""Passes the unit that is to be restarted on, and waits until its process has been started again."""


class Units:
    """What systemd does for the units of the samples: a process per port, which is restarted when systemctl says so."""

    def __init__(self, folder: Path, database: str, web: list[int], workers: list[int]) -> None:
        self.restarted: list[int] = []
        self.log = folder / "log"
        self._folder = folder
        self._commands: dict[int, list[str]] = {
            **{port: ["serve", GATE, "--no-worker", "--drain-delay", "1"] for port in web},
            **{port: ["worker", GATE] for port in workers},
        }
        self._env = {
            "MEDIAGATE_DATABASE_URL": database,
            "MEDIAGATE_DATA_DIR": str(folder / "data"),
            "MEDIAGATE_IMAGE_PROCESSES": "1",
        }
        self._processes = {port: self._started(port) for port in self._commands}
        (folder / "systemctl").write_text(SYSTEMCTL.format(folder=folder))
        (folder / "systemctl").chmod(0o755)
        for name in ("asked", "answered"):
            os.mkfifo(folder / name)

    def restart_as_asked(self, times: int) -> None:
        """Restart units until so many have been."""
        for _ in range(times):
            unit = (self._folder / "asked").read_text().strip()
            port = int(unit.partition("@")[2].removesuffix(".service"))
            process = self._processes[port].process
            process.send_signal(signal.SIGTERM)
            assert process.wait(stretched(40)) in (0, -signal.SIGTERM), self.log.read_text()[-4000:]
            self._processes[port] = self._started(port)
            self.restarted.append(port)
            (self._folder / "answered").write_text("done\n")

    def end(self) -> None:
        for process in self._processes.values():
            process.end()

    def _started(self, port: int) -> Process:
        return Process("mediagate.cli", *self._commands[port], port=port, log=self.log, **self._env)


@dataclass
class Load:
    """Clients of the service, all through the proxy, and every answer that they did not expect."""

    proxy: Proxy
    photo: bytes
    stopping: threading.Event = field(default_factory=threading.Event)
    jobs: list[str] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"{self.proxy.url}{MOUNT}"

    def upload(self) -> None:
        """Upload one photo after the other, and poll each until it is published."""
        with self._client() as client:
            while not self.stopping.is_set():
                body: dict[str, Any] = {
                    "data": {"sourceType": "avatar", "sourceId": "user-1"},
                    "files": {"file": self.photo},
                }
                sent = self._ask(client, "upload", (202,), "POST", "/upload", **body)
                if sent is not None:
                    self.jobs.append(sent.json()["jobId"])
                    self._follow(client, self.jobs[-1])

    def _follow(self, client: httpx.Client, job_id: str) -> None:
        while not self.stopping.is_set():
            status = self._ask(client, "poll", (200, 202), "GET", f"/status/{job_id}")
            if status is None or status.status_code == 200:
                return
            self.stopping.wait(PAUSE_S)

    def wait(self) -> None:
        """Wait for the newest job with one long poll after the other."""
        with self._client() as client:
            while not self.stopping.is_set():
                for job_id in self.jobs[-1:]:
                    self._ask(client, "long poll", (200, 202), "GET", f"/status/{job_id}?wait=60")

    def stream(self) -> None:
        """Read the event stream of the newest job, one after the other, each to its end."""
        with self._client() as client:
            while not self.stopping.is_set():
                for job_id in self.jobs[-1:]:
                    headers = {"Accept": "text/event-stream"}
                    answer = self._ask(client, "event stream", (200,), "GET", f"/status/{job_id}", headers=headers)
                    assert answer is None or "event: status" in answer.text

    def _client(self) -> httpx.Client:
        return httpx.Client(verify=self.proxy.tls, timeout=90)

    def _ask(
        self, client: httpx.Client, what: str, statuses: tuple[int, ...], method: str, path: str, **request: Any
    ) -> httpx.Response | None:
        """Send a request; notes a failure and returns ``None`` unless it is answered with one of these statuses."""
        try:
            answer = client.request(method, f"{self.url}{path}", **request)
        except httpx.TransportError as exc:
            self.failures.append(f"{what}: {type(exc).__name__} {exc}")
            return None
        self.answers[what] += 1
        if answer.status_code in statuses:
            return answer
        self.failures.append(f"{what}: {answer.status_code} {answer.text[:200]}")
        return None


@contextmanager
def under_load(load: Load) -> Iterator[None]:
    """Keep all clients busy for the length of a block."""
    with ThreadPoolExecutor(UPLOADERS + 2) as threads:
        done = [threads.submit(each) for each in (*[load.upload] * UPLOADERS, load.wait, load.stream)]
        try:
            yield
        finally:
            load.stopping.set()
        for each in done:
            each.result()


async def recorded(database: str) -> set[str]:
    """Return the ids of all jobs in the database."""
    connection = await asyncpg.connect(database)
    try:
        return {row["id"] for row in await connection.fetch("SELECT id FROM mediagate_job")}
    finally:
        await connection.close()


def ready(url: str) -> bool:
    try:
        return loopback.get(url, timeout=15).status_code == 200
    except httpx.TransportError:
        return False


@dataclass(frozen=True)
class Site:
    """Running units, and what they share."""

    units: Units
    folder: Path
    database: str
    web: list[int]
    """The ports of the web processes."""
    workers: list[int]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, module_postgres_url: str) -> Iterator[Site]:
    folder, database = tmp_path_factory.mktemp("units"), module_postgres_url
    output_of("migrate", data_dir=folder / "data", MEDIAGATE_DATABASE_URL=database)
    web, workers = [free_port(), free_port()], [free_port()]
    made = Units(folder, database, web, workers)
    try:
        for url in [f"http://127.0.0.1:{port}{MOUNT}" for port in web] + [f"http://127.0.0.1:{workers[0]}"]:
            until(f"{url} is ready", partial(ready, f"{url}/readyz"))
        yield Site(made, folder, database, web, workers)
    finally:
        made.end()


def test_rolling_restart_fails_no_request(tmp_path: Path, photo: bytes, site: Site) -> None:
    made, web, workers = site.units, site.web, site.workers
    program("curl", "curl")
    earlier = asyncio.run(recorded(site.database))
    (tmp_path / "nginx").mkdir()
    with ExitStack() as stack:
        proxy = stack.enter_context(nginx(tmp_path / "nginx", web))
        load = Load(proxy, photo)
        with under_load(load):
            until("the first jobs", lambda: len(load.jobs) > UPLOADERS)
            ports = [" ".join(map(str, each)) for each in (web, workers)]
            manager = threading.Thread(target=made.restart_as_asked, args=[len(web) + len(workers)], daemon=True)
            manager.start()
            done = subprocess.run(
                [SAMPLES / "rolling-restart.sh", *ports],
                env={**os.environ, "PATH": f"{site.folder}{os.pathsep}{os.environ['PATH']}"},
                capture_output=True, text=True, check=False, timeout=stretched(120),
            )  # fmt: skip
            assert done.returncode == 0, f"{done.stderr}\n{made.log.read_text()[-4000:]}"
            manager.join(10)
            sent = len(load.jobs)
            until("jobs after the restart", lambda: len(load.jobs) > sent + UPLOADERS)
        assert made.restarted == [*web, *workers]
        assert not load.failures, f"{len(load.failures)} of {load.answers}: {load.failures[:5]}"
        assert {"upload", "poll", "long poll", "event stream"} == set(load.answers)
        served = Counter(line.split()[-2] for line in proxy.log.read_text().splitlines() if " 202 " in line)
        assert len(served) >= 2, "both processes served"
        with httpx.Client(verify=proxy.tls, timeout=90) as client:
            for job_id in load.jobs:
                end = client.get(f"{load.url}/status/{job_id}?wait=60")
                assert (end.status_code, end.json()["status"]) == (200, "COMPLETE"), end.text
    assert asyncio.run(recorded(site.database)) - earlier == set(load.jobs), "each upload made one job"


def test_proxy_passes_uploads_on_that_a_closing_process_refuses(tmp_path: Path, photo: bytes, site: Site) -> None:
    """The answer of the moment between SIGTERM and the closed port, from a stub, so that no test waits to meet it."""
    (tmp_path / "nginx").mkdir()
    form = {"sourceType": "avatar", "sourceId": "user-1"}
    with receiving(answer(503)) as closing, nginx(tmp_path / "nginx", [closing.port, site.web[0]]) as proxy:
        with httpx.Client(verify=proxy.tls, timeout=90) as client:
            sent = [client.post(f"{proxy.url}{MOUNT}/upload", data=form, files={"file": photo}) for _ in range(4)]
        assert [each.status_code for each in sent] == [202] * 4
        assert len(closing.received) >= 1, "the stub was asked first for some"


def test_proxy_blocks_metrics_and_redirects_to_tls(tmp_path: Path, site: Site) -> None:
    (tmp_path / "nginx").mkdir()
    with nginx(tmp_path / "nginx", site.web) as proxy, httpx.Client(verify=proxy.tls) as client:
        base = f"{proxy.url}{MOUNT}"
        assert client.get(f"{base}/readyz").status_code == 200
        for path in ("/metrics", "/metrics/", "//metrics", "/%6detrics", "/x/../metrics"):
            assert client.get(f"{base}{path}").status_code == 403, path
        redirect = client.get(f"{proxy.plain_url}{MOUNT}/upload?a=b", headers={"Host": "app.example.com"})
        assert (redirect.status_code, redirect.headers["Location"]) == (
            301,
            "https://app.example.com/image-pipeline/upload?a=b",
        )
        client.get(f"{base}/status/job_x?token=secret")
        assert "secret" not in proxy.log.read_text()
