"""Metrics and traces of a service with two web processes and a worker, on PostgreSQL."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import httpx
import pytest

from mediagate.records.migration import migrate
from tests.support import loopback
from tests.support.command import mediagate
from tests.support.databases import fresh_database
from tests.support.observed_processes import Process, Samples, await_sample, processes, receiving, samples, upload
from tests.support.server import MOUNT, Server, running

UPLOADS = 10
KNOWN = ("/readyz", "/healthz")
UNKNOWN = ("/media?sourceType=avatar", "/upload", "/status/job_x", "/", "/metrics/")


@dataclass(frozen=True)
class Observed:
    """Samples and responses of a service with two web processes and a worker, in chronological order."""

    uploads: list[httpx.Response]
    """Accepted uploads, received by both web processes."""
    bytes_each: int
    refused: httpx.Response
    """An upload of an unknown source."""
    worker_done: Samples
    """All uploads are complete here and in the next two."""
    web_done: list[Samples]
    """Four scrapes, each by either process."""
    web_idle: Samples
    waiting: Samples
    """The worker was killed during a job of the source ``slow``, and another upload was accepted."""
    still_waiting: Samples
    worker_recovered: Samples
    """A second worker has completed both jobs here and in the next two."""
    worker_idle: Samples
    worker_answers: dict[str, httpx.Response]
    """By path, below the port of the worker."""
    web_without_database: Samples


@pytest.fixture(scope="module")
def observed(tmp_path_factory: pytest.TempPathFactory, photo: bytes) -> Observed:
    folder = tmp_path_factory.mktemp("observed")
    with fresh_database() as database:
        asyncio.run(migrate(database))
        settings = {"MEDIAGATE_LEASE_S": "3", "MEDIAGATE_JANITOR_INTERVAL_S": "1", "MEDIAGATE_DATABASE_URL": database}
        with processes(folder, **settings) as start:
            return observe(start, folder, database, photo)


async def drop(database: str) -> None:
    server, _, name = database.rpartition("/")
    connection = await asyncpg.connect(f"{server}/postgres", timeout=10)
    await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await connection.close()


def observe(start: Callable[..., Process], folder: Path, database: str, photo: bytes) -> Observed:
    """Upload to the service, kill its worker, start another and drop the database, scraping at each step."""
    of_web, of_worker = folder / "web", folder / "worker"
    of_web.mkdir()
    of_worker.mkdir()
    command = ("uvicorn", "observed_gate:app", "--workers", "2")
    web = start(*command, MEDIAGATE_WORKER="false", PROMETHEUS_MULTIPROC_DIR=str(of_web))
    at_web = f"http://127.0.0.1:{web.port}{MOUNT}/metrics"

    def start_worker() -> tuple[Process, str]:
        command = ("mediagate.cli", "worker", "observed_gate:gate")
        process = start(*command, PROMETHEUS_MULTIPROC_DIR=str(of_worker))
        return process, f"http://127.0.0.1:{process.port}"

    worker, at_worker = start_worker()
    await_sample(at_web, "mediagate_records_up", bool)

    # Each upload uses its own connection, so that both processes receive some.
    uploads = [upload(web.port, photo) for _ in range(UPLOADS)]
    end = time.monotonic() + 60
    while receiving(of_web) < 2 and time.monotonic() < end:
        uploads.append(upload(web.port, photo))
    assert receiving(of_web) == 2
    refused = upload(web.port, photo, "nowhere")
    count = len(uploads)
    worker_done = await_sample(f"{at_worker}/metrics", "mediagate_jobs_total:avatar:COMPLETE", lambda n: n >= count)
    web_done = [samples(at_web) for _ in range(4)]
    web_idle = await_sample(at_web, "mediagate_queue_depth", lambda n: n == 0)

    hold = folder / "data" / "hold"
    hold.touch()
    assert upload(web.port, photo, "slow").status_code == 202
    await_sample(f"{at_worker}/metrics", "mediagate_jobs_running", lambda n: n == 1)
    worker.kill()
    assert upload(web.port, photo).status_code == 202
    oldest = "mediagate_queue_oldest_seconds"
    waiting = await_sample(at_web, "mediagate_queue_depth", lambda n: n == 2)
    still_waiting = await_sample(at_web, oldest, lambda n: n > waiting[oldest])
    hold.unlink()

    worker, at_worker = start_worker()
    await_sample(f"{at_worker}/metrics", "mediagate_jobs_total:slow:COMPLETE", bool)
    recovered = await_sample(f"{at_worker}/metrics", "mediagate_jobs_total:avatar:COMPLETE", lambda n: n > count)
    worker_idle = await_sample(f"{at_worker}/metrics", "mediagate_jobs_running", lambda n: n == 0)
    answers = {path: loopback.get(at_worker + path) for path in (*KNOWN, *UNKNOWN)}
    asyncio.run(drop(database))
    down = await_sample(at_web, "mediagate_records_up", lambda n: n == 0)
    return Observed(
        uploads, len(photo), refused, worker_done, web_done, web_idle, waiting, still_waiting, recovered, worker_idle,
        answers, down,
    )  # fmt: skip


def test_web_metrics_are_sums_over_all_web_processes(observed: Observed) -> None:
    count = len(observed.uploads)
    assert {answer.status_code for answer in observed.uploads} == {202}
    for told in observed.web_done:
        assert told["mediagate_upload_bytes_count:avatar"] == count
        assert told["mediagate_upload_bytes_sum:avatar"] == count * observed.bytes_each
        assert told["mediagate_upload_seconds_count"] == count + 1
        assert told["mediagate_workers"] == 0


def test_web_metrics_count_refused_uploads_by_code(observed: Observed) -> None:
    assert observed.refused.status_code == 400
    for told in observed.web_done:
        assert told["mediagate_error_answers_total:unknown_source"] == 1


def test_worker_metrics_count_each_job_once(observed: Observed) -> None:
    done, count = observed.worker_done, len(observed.uploads)
    assert done["mediagate_jobs_total:avatar:COMPLETE"] == count
    assert done["mediagate_stage_seconds_count:publish"] == count
    assert done["mediagate_workers"] == 1


def test_queue_metrics_are_zero_without_waiting_jobs(observed: Observed) -> None:
    assert observed.web_idle["mediagate_queue_depth"] == 0
    assert observed.web_idle["mediagate_queue_oldest_seconds"] == 0


def test_queue_metrics_grow_while_no_worker_runs(observed: Observed) -> None:
    assert observed.waiting["mediagate_queue_depth"] == 2
    assert observed.still_waiting["mediagate_queue_oldest_seconds"] > 0


def test_worker_metrics_stay_exact_after_kill_9(observed: Observed) -> None:
    done, count = observed.worker_recovered, len(observed.uploads)
    assert done["mediagate_jobs_total:avatar:COMPLETE"] == count + 1
    assert done["mediagate_jobs_total:slow:COMPLETE"] == 1, "two attempts, one end"
    assert done["mediagate_stage_seconds_count:queue"] == count + 2
    assert done["mediagate_workers"] == 1, "the dead one is not counted"
    assert observed.worker_idle["mediagate_jobs_running"] == 0


def test_worker_port_answers_health_checks_and_nothing_else(observed: Observed) -> None:
    answers = observed.worker_answers
    assert answers["/readyz"].json() == {"status": "ready"}
    assert answers["/healthz"].status_code == 200
    assert {path: answers[path].status_code for path in UNKNOWN} == dict.fromkeys(UNKNOWN, 404)


def test_web_metrics_keep_their_counts_without_a_database(observed: Observed) -> None:
    down = observed.web_without_database
    assert down["mediagate_records_up"] == 0
    assert "mediagate_queue_depth" not in down
    assert down["mediagate_upload_bytes_count:avatar"] == len(observed.uploads) + 1


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
