"""The whole service is killed (kill -9) between any two steps of a pipeline, and restarted.

Each accepted job must reach exactly one terminal state, with its outputs named by its row, its hooks run and no stray
file.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.e2e.test_crashes import (
    CRASHING,
    dying_service,
    files,
    forget_unfinished_writes,
    remove_staged,
    wait_killed,
    whole_files,
    words_of_hooks,
)
from tests.support import loopback
from tests.support.server import MOUNT, Server

GATE = "crashing_pipelines_gate:gate"
PATH = [
    ("storage.put", 1),
    ("storage.put", 2),
    ("records.create_job", 1),
    ("queue.dispatch", 1),
    ("records.claim_oldest", 2),
    ("storage.get", 2),
    ("records.advance", 1),
    ("storage.put", 3),
    ("storage.put", 6),
    ("records.settle", 1),
    ("storage.delete", 1),
    ("records.mark_notified", 1),
]
"""Every call that changes something outside the process, in order, for two inputs and two outputs of each; a worker's
first claim finds no job."""
POINTS = [f"{PATH[0][0]}:before:{PATH[0][1]}", *(f"{call}:after:{count}" for call, count in PATH)]
"""As in ``test_crashes``."""
HOOKS = [f"hook:{name}" for name in ("pre_upload", "on_uploaded", "pre_process", "pre_verdict", "on_complete")]


@dataclass(frozen=True)
class Aftermath:
    """State of a pipeline after the service was killed at one point of it and restarted."""

    accepted: bool
    """Whether the client had been answered 202."""
    jobs: list[dict[str, object]]
    """Statuses of all jobs on record."""
    stored: set[str]
    named: set[str]
    """Files of the outputs on record."""
    told: list[str]
    """Words written by the hooks of the job's end."""


@pytest.fixture(scope="module", params=POINTS + HOOKS)
def aftermath(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, photo: bytes) -> Aftermath:
    data_dir = tmp_path_factory.mktemp("crash") / "data"
    with dying_service(GATE, data_dir) as service:
        accepted = ask_and_die(service, request.param, photo)
        service.start()
        if accepted:
            service.settled(accepted)
        jobs, named = wait_until_tidy(service, data_dir)
        forget_unfinished_writes(service, data_dir)
        return Aftermath(bool(accepted), jobs, files(data_dir), named, words_of_hooks(data_dir))


def ask_and_die(service: Server, point: str, photo: bytes) -> str | None:
    """Ask a service that is killed at a point for a pipeline; returns the job's id if it was accepted."""
    service.start(CRASH_AT=point)
    accepted = None
    try:
        answer = loopback.post(f"{service.url}/made", content=photo, timeout=30)
        assert answer.status_code == 202, answer.text
        accepted = answer.json()["jobId"]
    except httpx.TransportError:
        pass  # the service died before it had promised anything
    wait_killed(service)
    return accepted


def wait_until_tidy(service: Server, data_dir: Path) -> tuple[list[dict[str, object]], set[str]]:
    """Wait up to 20 s until only outputs are stored; returns the jobs on record and the files of their outputs."""
    end = time.monotonic() + 20
    jobs, named = [], set()
    while time.monotonic() < end:
        jobs = loopback.get(f"{service.url}/jobs").json()["items"]
        urls = [output["url"] for job in jobs for output in job["outputs"]]
        named = {url.removeprefix(f"{MOUNT}/").partition("?")[0] for url in urls}
        ended = all(job["finishedAt"] for job in jobs)
        if whole_files(data_dir) == named and ended and (not jobs or (data_dir / "told").exists()):
            break
        if not ended or not any(key.startswith("staging/") for key in whole_files(data_dir) - named):
            time.sleep(0.2)
            continue
        remove_staged(GATE, data_dir)
    return jobs, named


def test_crash_loses_no_accepted_pipeline(aftermath: Aftermath) -> None:
    assert [job["status"] for job in aftermath.jobs] in ([["COMPLETE"]] if aftermath.accepted else [[], ["COMPLETE"]])


def test_crash_keeps_each_output_once(aftermath: Aftermath) -> None:
    assert len(aftermath.named) == 4 * len(aftermath.jobs)


def test_crash_leaves_no_stray_file_of_a_pipeline(aftermath: Aftermath) -> None:
    assert aftermath.stored == aftermath.named


def test_crash_skips_no_hook_of_a_complete_pipeline(aftermath: Aftermath) -> None:
    if aftermath.jobs:
        assert aftermath.told[-1:] == ["COMPLETE"]


def test_killed_worker_leaves_its_pipeline_to_the_next(tmp_path: Path, photo: bytes) -> None:
    data_dir = tmp_path / "data"
    service = Server(GATE, data_dir, **CRASHING)
    try:
        service.start(MEDIAGATE_WORKER="false")
        job_id = loopback.post(f"{service.url}/made", content=photo, timeout=30).json()["jobId"]
        service.stop()
        for _ in range(2):
            service.start(CRASH_AT="hook:pre_verdict", wait=False)
            service.wait_dead()
        service.start()
        answer = service.settled(job_id)
        assert (answer.json()["status"], answer.json()["attempts"]) == ("COMPLETE", 3)
        assert files(data_dir) == wait_until_tidy(service, data_dir)[1]
    finally:
        if service.process is not None and service.process.poll() is None:
            service.stop()
