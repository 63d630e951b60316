"""Metrics and traces of a service with two web processes and a worker, on PostgreSQL."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import httpx
import pytest
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.parser import text_string_to_metric_families

from mediagate.records.migration import migrate
from tests.support.command import mediagate
from tests.support.server import MOUNT, PYTHONPATH, Server, children, free_port, running

UPLOADS = 10


def samples(url: str) -> dict[str, float]:
    """Return the ``mediagate_*`` samples that a process exposes, by name and label values."""
    text = httpx.get(url, timeout=30).text
    return {
        ":".join([sample.name, *(sample.labels[label] for label in sorted(sample.labels))]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name.startswith("mediagate_")
    }


def await_sample(url: str, name: str, wanted: Callable[[float], bool], timeout_s: float = 60) -> dict[str, float]:
    """Scrape until a sample has a wanted value; returns all samples."""
    end = time.monotonic() + timeout_s
    while True:
        with contextlib.suppress(httpx.TransportError):
            found = samples(url)
            if name in found and wanted(found[name]):
                return found
            assert time.monotonic() < end, f"{name} is {found.get(name)}"
        assert time.monotonic() < end, f"nothing answers at {url}"
        time.sleep(0.1)


class Process:
    """A process of the service that listens on a port."""

    def __init__(self, *command: str, port: int, log: Path, **env: str) -> None:
        self.port = port
        with log.open("ab") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *command, "--port", str(port)],
                env={**os.environ, "PYTHONPATH": PYTHONPATH, **env}, stdout=file, stderr=file, start_new_session=True,
            )  # fmt: skip

    def kill(self) -> None:
        """Kill -9 the process; its children end by themselves."""
        self.process.kill()
        self.process.wait(10)

    def end(self) -> None:
        """End the process and all its children."""
        below = children(self.process.pid)
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
        for process_id in below:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process_id, signal.SIGKILL)


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Start processes that share a data folder; all are ended."""
    processes: list[Process] = []
    (tmp_path / "data").mkdir()

    def start(*command: str, port: int, **env: str) -> Process:
        env = {"MEDIAGATE_DATA_DIR": str(tmp_path / "data"), "MEDIAGATE_IMAGE_PROCESSES": "1"} | env
        processes.append(Process(*command, port=port, log=tmp_path / "log", **env))
        return processes[-1]

    yield start
    for process in processes:
        process.end()


async def drop(database: str) -> None:
    server, _, name = database.rpartition("/")
    connection = await asyncpg.connect(f"{server}/postgres", timeout=10)
    await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await connection.close()


@pytest.fixture
def database(own_postgres_url: str) -> str:
    """The URL of a migrated database of its own."""
    asyncio.run(migrate(own_postgres_url))
    return own_postgres_url


def upload(port: int, photo: bytes, source_type: str = "avatar", **headers: str) -> httpx.Response:
    return httpx.post(
        f"http://127.0.0.1:{port}{MOUNT}/upload",
        data={"sourceType": source_type, "sourceId": "u1"}, files={"file": ("a.jpg", photo)},
        headers=headers, timeout=60,
    )  # fmt: skip


def receiving(folder: Path) -> int:
    """Return how many processes have received an upload."""
    return sum(
        any(
            value and '"mediagate_upload_bytes_sum"' in key
            for key, value, *_ in MmapedDict.read_all_values_from_file(file)
        )
        for file in folder.glob("histogram_*.db")
    )


def metrics_folder(tmp_path: Path, name: str) -> str:
    folder = tmp_path / name
    folder.mkdir()
    return str(folder)


def test_sums_are_right_over_processes_and_deaths(
    database: str, started: Callable[..., Process], tmp_path: Path, photo: bytes
) -> None:
    env = {"MEDIAGATE_DATABASE_URL": database, "MEDIAGATE_LEASE_S": "3", "MEDIAGATE_JANITOR_INTERVAL_S": "1"}
    of_web, of_worker = metrics_folder(tmp_path, "web"), metrics_folder(tmp_path, "worker")
    web = started(
        "uvicorn", "observed_gate:app", "--workers", "2", port=free_port(), **env, MEDIAGATE_WORKER="false",
        PROMETHEUS_MULTIPROC_DIR=of_web,
    )  # fmt: skip

    def work() -> tuple[Process, str]:
        process = started(
            "mediagate.cli", "worker", "observed_gate:gate", port=free_port(), **env,
            PROMETHEUS_MULTIPROC_DIR=of_worker,
        )  # fmt: skip
        return process, f"http://127.0.0.1:{process.port}"

    worker, at_worker = work()
    at_web = f"http://127.0.0.1:{web.port}{MOUNT}/metrics"
    await_sample(at_web, "mediagate_records_up", bool)

    # Each upload on a connection of its own, so that either process gets some.
    answers = [upload(web.port, photo) for _ in range(UPLOADS)]
    end = time.monotonic() + 60
    while receiving(Path(of_web)) < 2 and time.monotonic() < end:
        answers.append(upload(web.port, photo))
    assert receiving(Path(of_web)) == 2
    assert {answer.status_code for answer in answers} == {202}
    assert upload(web.port, photo, "nowhere").status_code == 400
    jobs = len(answers)
    done = await_sample(f"{at_worker}/metrics", "mediagate_jobs_total:avatar:COMPLETE", lambda n: n >= jobs)
    assert done["mediagate_jobs_total:avatar:COMPLETE"] == jobs
    assert done["mediagate_stage_seconds_count:publish"] == jobs
    assert done["mediagate_workers"] == 1
    for _ in range(4):  # whichever process answers
        told = samples(at_web)
        assert told["mediagate_upload_bytes_count:avatar"] == jobs
        assert told["mediagate_upload_bytes_sum:avatar"] == jobs * len(photo)
        assert told["mediagate_upload_seconds_count"] == jobs + 1
        assert told["mediagate_error_answers_total:unknown_source"] == 1
        assert told["mediagate_workers"] == 0
    assert await_sample(at_web, "mediagate_queue_depth", lambda n: n == 0)["mediagate_queue_oldest_seconds"] == 0

    # A worker that dies in the middle of a job, and one that takes its place.
    (tmp_path / "data" / "hold").touch()
    assert upload(web.port, photo, "slow").status_code == 202
    await_sample(f"{at_worker}/metrics", "mediagate_jobs_running", lambda n: n == 1)
    worker.kill()
    assert upload(web.port, photo).status_code == 202
    waiting = await_sample(at_web, "mediagate_queue_depth", lambda n: n == 2)
    later = await_sample(
        at_web, "mediagate_queue_oldest_seconds", lambda n: n > waiting["mediagate_queue_oldest_seconds"]
    )
    assert later["mediagate_queue_oldest_seconds"] > 0
    (tmp_path / "data" / "hold").unlink()
    worker, at_worker = work()
    await_sample(f"{at_worker}/metrics", "mediagate_jobs_total:slow:COMPLETE", bool)
    done = await_sample(f"{at_worker}/metrics", "mediagate_jobs_total:avatar:COMPLETE", lambda n: n > jobs)
    assert done["mediagate_jobs_total:avatar:COMPLETE"] == jobs + 1
    assert done["mediagate_jobs_total:slow:COMPLETE"] == 1, "two attempts, one end"
    assert done["mediagate_stage_seconds_count:queue"] == jobs + 2
    assert done["mediagate_workers"] == 1, "the dead one is not counted"
    assert await_sample(f"{at_worker}/metrics", "mediagate_jobs_running", lambda n: n == 0)

    # What a worker answers besides.
    assert httpx.get(f"{at_worker}/readyz").json() == {"status": "ready"}
    assert httpx.get(f"{at_worker}/healthz").status_code == 200
    for path in ("/media?sourceType=avatar", "/upload", "/status/job_x", "/", "/metrics/"):
        assert httpx.get(at_worker + path).status_code == 404, path

    asyncio.run(drop(database))
    down = await_sample(at_web, "mediagate_records_up", lambda n: n == 0)
    assert "mediagate_queue_depth" not in down
    assert down["mediagate_upload_bytes_count:avatar"] == jobs + 1, "what was counted is told all the same"


def test_worker_reports_a_port_in_use(tmp_path: Path) -> None:
    with running("plain_gate:gate", tmp_path / "data") as service:
        done = mediagate("worker", "plain_gate:gate", "--port", str(service.port), data_dir=tmp_path / "other")
    assert done.returncode == 1
    assert "choose another --port" in done.stderr
    assert "Traceback" not in done.stderr


def test_trace_spans_upload_and_worker_processes(tmp_path: Path, photo: bytes) -> None:
    trace_id, caller = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    files = {name: tmp_path / f"{name}.spans" for name in ("web", "worker")}
    with running("observed_gate:gate", tmp_path / "data", MEDIAGATE_WORKER="false", SPANS=str(files["web"])) as web:
        sent = web.upload("a.jpg", photo, traceparent=f"00-{trace_id}-{caller}-01")
        assert sent.status_code == 202
        worker = Server("observed_gate:gate", tmp_path / "data", SPANS=str(files["worker"]))
        try:
            worker.start(command="worker")
            assert web.settled(sent.json()["jobId"]).status_code == 200
        finally:
            assert worker.stop() == 0
    spans = {name: [json.loads(line) for line in file.read_text().splitlines()] for name, file in files.items()}
    everything = {span["name"]: span for name in files for span in spans[name]}
    assert [span["name"] for span in spans["web"]] == ["mediagate upload"]
    steps = ("fetch", "render", "publish", "record", "finish")
    assert {span["name"] for span in spans["worker"]} == {f"mediagate {s}" for s in ("queue", "attempt", *steps)}
    assert {span["context"]["trace_id"] for span in everything.values()} == {f"0x{trace_id}"}
    upload, attempt = everything["mediagate upload"], everything["mediagate attempt"]
    assert upload["parent_id"] == f"0x{caller}"
    assert upload["kind"] == "SpanKind.SERVER"
    for name in ("queue", "attempt"):
        assert everything[f"mediagate {name}"]["parent_id"] == upload["context"]["span_id"]
    for step in steps:
        assert everything[f"mediagate {step}"]["parent_id"] == attempt["context"]["span_id"]
    job = sent.json()["jobId"]
    assert {span["attributes"]["mediagate.job.id"] for span in everything.values()} == {job}
    assert everything["mediagate finish"]["attributes"]["mediagate.job.status"] == "COMPLETE"
    assert everything["mediagate queue"]["end_time"] <= attempt["end_time"]
