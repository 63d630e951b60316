"""The whole service is killed (kill -9) between the steps that only batches have, and restarted.

A batch exists with all its jobs or not at all, and its end is reported exactly once.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.test_crashes import CRASHING
from tests.support import loopback
from tests.support.server import Server
from tests.support.until import wait_until

POINTS = [
    "records.batches.create:before:1",
    "records.batches.create:after:1",
    "records.batches.report:before:2",
    "records.batches.report:after:2",
    "records.mark_notified:before:2",
]
"""The first job's end finds the second one live, so it is the second call of ``report`` that writes the event."""


@dataclass(frozen=True)
class Aftermath:
    """State of a batch after the service was killed at one point of it and restarted."""

    accepted: str | None
    """The id of the batch if the client had been answered 202."""
    batches: list[Any]
    """All batches on record, as ``GET /batches`` tells them."""
    jobs: int
    events: list[Any]
    """The data of all events of batches."""


@pytest.fixture(scope="module", params=POINTS)
def aftermath(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, photo: bytes) -> Aftermath:
    data_dir = tmp_path_factory.mktemp("crash") / "data"
    # A lease of two seconds may expire on a busy machine; that costs an attempt and no job.
    service = Server("crashing_batches_gate:gate", data_dir, **CRASHING, MEDIAGATE_MAX_ATTEMPTS="6")
    try:
        accepted = ask_and_die(service, request.param, photo)
        service.start()
        wait_until(lambda: is_tidy(data_dir), "all jobs should end, with their hooks")
        ids = [batch for (batch,) in rows(data_dir, "SELECT id FROM mediagate_batch")]
        batches = [loopback.get(f"{service.url}/batches/{batch}?http=200").json() for batch in ids]
        jobs = len(rows(data_dir, "SELECT id FROM mediagate_job"))
        told = rows(data_dir, "SELECT data FROM mediagate_event WHERE \"laterType\" = 'batch.completed'")
        return Aftermath(accepted, batches, jobs, [json.loads(data) for (data,) in told])
    finally:
        if service.process is not None and service.process.poll() is None:
            service.stop()


def ask_and_die(service: Server, point: str, photo: bytes) -> str | None:
    """Ask a service that is killed at a point for a batch; returns its id if it was accepted."""
    service.start(CRASH_AT=point)
    accepted = None
    try:
        answer = loopback.post(f"{service.url}/batched", content=photo, timeout=30)
        assert answer.status_code == 202, answer.text
        accepted = str(answer.json()["batchId"])
    except httpx.TransportError:
        pass  # the service died before it had promised anything
    service.wait_dead()
    assert service.process is not None
    assert service.process.returncode == -9
    return accepted


def is_tidy(data_dir: Path) -> bool:
    return not rows(data_dir, 'SELECT id FROM mediagate_job WHERE "notifiedAt" IS NULL')


def rows(data_dir: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(data_dir / "mediagate.db")) as database:
        return database.execute(query).fetchall()


def test_crash_keeps_a_batch_with_all_its_jobs_or_none(aftermath: Aftermath) -> None:
    assert [batch["counts"]["COMPLETE"] for batch in aftermath.batches] in ([[2]] if aftermath.accepted else [[], [2]])
    assert aftermath.jobs == 2 * len(aftermath.batches)


def test_crash_reports_the_end_of_a_batch_once(aftermath: Aftermath) -> None:
    assert [event["batchId"] for event in aftermath.events] == [batch["batchId"] for batch in aftermath.batches]
    assert all(event["counts"]["COMPLETE"] == 2 for event in aftermath.events)
