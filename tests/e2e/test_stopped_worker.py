"""A worker is stopped (SIGSTOP) while it publishes, and resumes after its picture was deleted."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from tests.support import loopback
from tests.support.live_files import live_files
from tests.support.server import FAST, Server
from tests.support.until import wait_until


def stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def public(data_dir: Path) -> list[Path]:
    return [path for root in ("media", "originals") for path in live_files(data_dir / "files" / root)]


def test_resumed_worker_removes_files_of_a_deleted_media_at_once(tmp_path: Path, photo: bytes) -> None:
    data_dir = tmp_path / "data"
    web = Server("crashing_gate:gate", data_dir, **FAST)
    zombie = Server("crashing_gate:gate", data_dir, **FAST)
    zombie.log = tmp_path / "zombie.log"
    try:
        web.start(MEDIAGATE_WORKER="false")
        job_id = web.upload("a.jpg", photo).json()["jobId"]
        # It stops before its third published file, and writes three more when it resumes.
        zombie.start(command="worker", CRASH_AT="storage.put:before:3", CRASH_BY="SIGSTOP")
        assert zombie.process is not None
        pid = zombie.process.pid
        wait_until(lambda: stopped(pid), "the worker must come to publish")
        web.stop()
        web.start()
        media = web.settled(job_id).json()["media"]
        assert loopback.delete(f"{web.url}/media/{media['id']}", timeout=30).status_code == 204
        assert public(data_dir) == []
        os.kill(pid, signal.SIGCONT)
        wait_until(lambda: "lease lost" in zombie.log.read_text(), "the worker must see that it lost the job")
        wait_until(lambda: public(data_dir) == [], "left: public files")
        url = f"{web.url}{media['urls']['xs'].removeprefix('/image-pipeline')}"
        wait_until(lambda: loopback.get(url).status_code == 404, "")
    finally:
        for service in (zombie, web):
            if service.process is not None:
                service.process.send_signal(signal.SIGCONT)
                service.stop()
