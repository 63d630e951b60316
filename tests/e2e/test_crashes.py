"""The whole service is killed (kill -9) between any two steps of an upload, and restarted.

Each accepted job must reach exactly one terminal state, with at most one media, its hooks run and no stray file.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from mediagate.storage import MARK_KEY as KEY
from tests.support import loopback
from tests.support.command import output_of
from tests.support.server import FAST, MOUNT, Server, alive, running

GATE = "crashing_gate:gate"
STAGING_TTL_S = 3.0
# Without grace the janitor removes the file of an upload that is accepted but not yet on record.
CRASHING = FAST | {"MEDIAGATE_ORPHAN_GRACE_S": "2", "MEDIAGATE_STAGING_TTL_S": str(STAGING_TTL_S)}
PATH = [
    ("storage.put", 1),
    ("records.create_job", 1),
    ("queue.dispatch", 1),
    ("records.claim_oldest", 2),
    ("storage.get", 1),
    ("records.advance", 1),
    ("storage.put", 2),
    ("storage.put", 4),
    ("records.settle", 1),
    ("storage.delete", 1),
    ("records.mark_notified", 1),
]
"""Every call that changes something outside the process, in order; a worker's first claim finds no job."""
POINTS = [f"{PATH[0][0]}:before:{PATH[0][1]}", *(f"{call}:after:{count}" for call, count in PATH)]
"""Before the first call and after each: what is before a call is after the one that precedes it."""
HOOKS = [
    f"hook:{name}" for name in ("pre_upload", "on_uploaded", "pre_process", "pre_verdict", "pre_store", "on_complete")
]


def files(data_dir: Path) -> set[str]:
    root = data_dir / "files"
    return {str(p.relative_to(root)) for p in root.rglob("*") if p.is_file()} - {KEY}


def whole_files(data_dir: Path) -> set[str]:
    """Return the files that were written to their end."""
    return {key for key in files(data_dir) if not key.startswith(".tmp/")}


@contextmanager
def dying_service(gate: str, data_dir: Path) -> Iterator[Server]:
    """Provide a service that the block starts, has killed and starts again; it is stopped after the block."""
    # A lease of two seconds may expire on a busy machine; that costs an attempt and no job.
    service = Server(gate, data_dir, **CRASHING, MEDIAGATE_MAX_ATTEMPTS="6")
    try:
        yield service
    finally:
        if service.process is not None and service.process.poll() is None:
            service.stop()


def wait_killed(service: Server) -> None:
    """Wait until the service has killed itself at its point."""
    service.wait_dead()
    assert service.process is not None
    assert service.process.returncode == -9


def words_of_hooks(data_dir: Path) -> list[str]:
    """Return what the hooks of the job's end have written."""
    told = data_dir / "told"
    return told.read_text().split() if told.exists() else []


def forget_unfinished_writes(service: Server, data_dir: Path) -> None:
    """Make the unfinished files of a killed process two hours old and restart; a start removes them after an hour."""
    unfinished = list((data_dir / "files" / ".tmp").glob("*"))
    for path in unfinished:
        os.utime(path, (time.time() - 7200,) * 2)
    if unfinished:
        service.stop()
        service.start()


def remove_staged(gate: str, data_dir: Path) -> None:
    """Run ``mediagate janitor`` beside the service, once the quarantined files are old enough for it to remove them."""
    written_at = 0.0
    for path in (data_dir / "files" / "staging").glob("*"):
        with suppress(FileNotFoundError):  # a worker has just removed it
            written_at = max(written_at, path.stat().st_mtime)
    time.sleep(max(0.0, written_at + STAGING_TTL_S + 0.1 - time.time()))
    output_of("janitor", gate, data_dir=data_dir, **CRASHING)


@dataclass(frozen=True)
class Aftermath:
    """State of an upload after the service was killed at one point of it and restarted."""

    accepted: bool
    """Whether the client had been answered 202."""
    end: str
    """Status of the accepted job; of a failed one also its code and its attempts."""
    media: int
    stored: set[str]
    published: set[str]
    """Files of the media on record."""
    told: list[str]
    """Words written by the hooks of the job's end."""


@pytest.fixture(scope="module", params=POINTS + HOOKS)
def aftermath(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, photo: bytes) -> Aftermath:
    data_dir = tmp_path_factory.mktemp("crash") / "data"
    with dying_service(GATE, data_dir) as service:
        accepted = upload_and_die(service, request.param, photo)
        service.start()
        end = how_it_ended(service.settled(accepted).json()) if accepted else ""
        media, published = wait_until_tidy(service, data_dir)
        forget_unfinished_writes(service, data_dir)
        return Aftermath(bool(accepted), end, media, files(data_dir), published, words_of_hooks(data_dir))


def how_it_ended(job: dict[str, Any]) -> str:
    if job["status"] != "FAILED":
        return str(job["status"])
    return f"FAILED {job['code']} after {job['attempts']} attempts: {job['error']}"


def upload_and_die(service: Server, point: str, photo: bytes) -> str | None:
    """Upload a photo to a service that is killed at a point; returns the job's id if the upload was accepted."""
    service.start(CRASH_AT=point)
    accepted = None
    try:
        answer = service.upload("a.jpg", photo)
        assert answer.status_code == 202, answer.text
        accepted = answer.json()["jobId"]
    except httpx.TransportError:
        pass  # the service died before it had promised anything
    wait_killed(service)
    return accepted


def wait_until_tidy(service: Server, data_dir: Path) -> tuple[int, set[str]]:
    """Wait up to 20 s until only published files are stored; returns the number of media and their files."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        page = loopback.get(f"{service.url}/media?sourceType=avatar").json()["items"]
        urls = [url for media in page for url in (*media["urls"].values(), media["originalUrl"])]
        published = {url.removeprefix(f"{MOUNT}/") for url in urls}
        stored = whole_files(data_dir)
        if stored == published and (not page or (data_dir / "told").exists()):
            break
        if not any(key.startswith("staging/") for key in stored - published):
            time.sleep(0.2)
            continue
        remove_staged(GATE, data_dir)
    return len(page), published


def test_crash_loses_no_accepted_job(aftermath: Aftermath) -> None:
    if aftermath.accepted:
        assert aftermath.end == "COMPLETE"
        assert aftermath.media


def test_crash_publishes_a_media_at_most_once(aftermath: Aftermath) -> None:
    assert aftermath.media <= 1


def test_crash_leaves_no_stray_file(aftermath: Aftermath) -> None:
    assert aftermath.stored == aftermath.published


def test_crash_skips_no_hook_of_a_completed_job(aftermath: Aftermath) -> None:
    if aftermath.media:
        assert aftermath.told[-1:] == ["COMPLETE"]


def test_poison_job_fails_after_three_crashed_attempts(tmp_path: Path, photo: bytes) -> None:
    data_dir = tmp_path / "data"
    service = Server(GATE, data_dir, **CRASHING)
    try:
        service.start(MEDIAGATE_WORKER="false")
        job_id = service.upload("poison.jpg", photo).json()["jobId"]
        service.stop()
        for _ in range(3):
            service.start(CRASH_AT="hook:pre_process", wait=False)
            service.wait_dead()
        service.start(CRASH_AT="hook:pre_process")
        answer = service.settled(job_id)
        assert answer.status_code == 500
        assert answer.json()["attempts"] == 3
        assert answer.json()["code"] == "attempts_exhausted"
        service.stop()
        service.start()
        good = service.upload("good.jpg", photo)
        assert service.settled(good.json()["jobId"]).status_code == 200
    finally:
        if service.process is not None and service.process.poll() is None:
            service.stop()


def test_kill_9_leaves_no_child_process(tmp_path: Path, photo: bytes) -> None:
    with running("plain_gate:gate", tmp_path / "data", **CRASHING) as service:
        job_id = service.upload("a.jpg", photo).json()["jobId"]
        assert service.settled(job_id).status_code == 200
        below = service.kill()
        assert len(below) >= 2, "expected the image process and the query engine"
        end = time.monotonic() + 15
        while any(alive(pid) for pid in below) and time.monotonic() < end:
            time.sleep(0.1)
        assert not [pid for pid in below if alive(pid)]


def test_sigterm_drains_jobs_in_flight(tmp_path: Path, data: Path) -> None:
    big = (data / "photos" / "photo_2725x2225.jpg").read_bytes()
    with running("plain_gate:gate", tmp_path / "data", **CRASHING) as service:
        ids = [service.upload(f"{n}.jpg", big).json()["jobId"] for n in range(3)]
        time.sleep(0.3)
        assert service.stop() in (0, -signal.SIGTERM), "uvicorn ends itself with the signal once all is closed"
        assert "Traceback" not in service.log.read_text()
        service.start()
        for job_id in ids:
            answer = service.settled(job_id)
            assert answer.status_code == 200, answer.text
            assert answer.json()["attempts"] == 1, "a drained or given back job is not counted twice"
