"""Pictory's printed request, and a poller of its states, against a real service."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests

from mediagate_plugins.dialects.pictory import uuid_of
from tests.support import loopback
from tests.support.command import output_of
from tests.support.moderators import REJECTS
from tests.support.pipelines import a_png
from tests.support.programs import program
from tests.support.samples_of_bodies import shape
from tests.support.server import Server, running

GATE = "dialects_gate:gate"
CLIENT = Path(__file__).parent / "clients" / "pictory" / "job.sh"
ID = "4d82d040-4394-4371-867d-72ae1dd62b6d"
IN_PROGRESS = {"job_id": ID, "success": True, "data": {"status": "in-progress"}}
COMPLETED = {
    "job_id": ID, "success": True,
    "data": {"status": "completed", "url": "https://…/image.png", "width": 1024, "height": 1024, "aiCreditsUsed": 2},
}  # fmt: skip
FAILED = {"job_id": ID, "success": False, "data": {"status": "failed", "error_code": "…", "error_message": "…"}}


@dataclass(frozen=True)
class Site:
    """A service and a key of it."""

    server: Server
    key: str

    @property
    def base(self) -> str:
        """The host of the printed request."""
        return f"{self.server.url}/pictory"

    def create(self, picture: bytes) -> str:
        """Create a job natively, and return its UUID."""
        files: Any = {"file": ("a.png", picture), "request": (None, '{"preset": "nanobanana2"}')}
        headers = {"Authorization": f"Bearer {self.key}"}
        answer = loopback.post(f"{self.server.url}/pipelines", files=files, headers=headers, timeout=60)
        assert answer.status_code == 202, answer.text
        return uuid_of(answer.json()["jobId"])

    def poll(self, job_id: str, timeout_s: float = 120) -> list[Any]:
        """Poll as documented, with a shorter pause, and return each body that differs from the one before."""
        bodies: list[Any] = []
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            url = f"{self.base}/pictoryapis/v1/jobs/{job_id}"
            response = requests.get(url, headers={"Authorization": self.key}, timeout=30)
            assert response.status_code == 200, response.text
            if not bodies or bodies[-1] != response.json():
                bodies.append(response.json())
            if bodies[-1]["data"]["status"] != "in-progress":
                return bodies
            time.sleep(0.05)
        raise TimeoutError(job_id)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    data_dir = tmp_path_factory.mktemp("pictory") / "data"
    with running(GATE, data_dir, MEDIAGATE_IMAGE_PROCESSES="1") as server:
        yield Site(server, output_of("keys", "create", GATE, "--owner", "ann", data_dir=data_dir))


def test_poller_sees_progress_and_then_the_picture(site: Site) -> None:
    job_id = site.create(a_png(4000, 4000))
    first, last = site.poll(job_id)
    assert (shape(first), shape(last)) == (shape(IN_PROGRESS), shape(COMPLETED))
    assert first == {**IN_PROGRESS, "job_id": job_id}
    assert (last["job_id"], last["success"], last["data"]["status"]) == (job_id, True, "completed")
    assert (last["data"]["width"], last["data"]["height"], last["data"]["aiCreditsUsed"]) == (48, 48, 10)
    path = httpx.URL(last["data"]["url"]).raw_path.decode()
    file = loopback.get(f"{site.server.url}{path}", timeout=60)
    assert (file.status_code, file.headers["content-type"]) == (200, "image/jpeg")


def test_poller_ends_with_code_and_message_of_a_job_that_failed(site: Site, photo: bytes) -> None:
    broken = photo[: len(photo) // 2]
    for picture, code in ((a_png(REJECTS), "moderation_rejected"), (broken, "image_undecodable")):
        body = site.poll(site.create(picture))[-1]
        assert shape(body) == shape(FAILED)
        assert (body["success"], body["data"]["status"], body["data"]["error_code"]) == (False, "failed", code)


def test_curl_line_reads_a_job(site: Site) -> None:
    program("curl", "curl")
    site.poll(job_id := site.create(a_png(100)))
    for key, job, success in ((site.key, job_id, True), ("pictai_unknown", job_id, False), (site.key, ID, False)):
        env = {**os.environ, "HOST": site.base, "JOB_ID": job, "YOUR_API_KEY": key}
        done = subprocess.run(["sh", str(CLIENT)], capture_output=True, text=True, timeout=60, check=False, env=env)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["success"] is success


def test_status_codes_are_those_of_the_documentation(site: Site) -> None:
    job_id = site.create(a_png(100))
    for path, headers, wanted in (
        (job_id, {"Authorization": site.key}, 200),
        (job_id, {}, 401),
        (job_id, {"Authorization": "pictai_unknown"}, 401),
        (ID, {"Authorization": site.key}, 404),
        ("x", {"Authorization": site.key}, 404),
    ):
        answer = requests.get(f"{site.base}/pictoryapis/v1/jobs/{path}", headers=headers, timeout=30)
        assert (answer.status_code, answer.json()["success"]) == (wanted, wanted == 200)
