"""The clients that ProductAI prints, run against a real service; and its webhook, verified by a receiver."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme

from tests.support import loopback
from tests.support.command import output_of
from tests.support.moderators import REJECTS
from tests.support.pages import run_shell, shell_blocks
from tests.support.pipelines import a_png
from tests.support.programs import program
from tests.support.receiver import SECRET, Receiver, receiving
from tests.support.runtimes import packaged
from tests.support.samples_of_bodies import shape
from tests.support.server import Server, running

GATE = "dialects_gate:gate"
CLIENTS = Path(__file__).parent / "clients" / "productai"
AT = "2024-01-15T10:30:00Z"
IMAGE = {"url": "https://cdn.productai.photo/generated/img_001.jpg", "width": 1024, "height": 1024}
PROCESSING = {
    "job_id": "job_abc123xyz", "status": "processing", "progress": 45, "created_at": AT, "started_at": AT,
    "model": "nanobanana2", "num_images": 2,
}  # fmt: skip
COMPLETED = {**PROCESSING, "completed_at": AT, "images": [IMAGE, IMAGE], "tokens_used": 10}
FAILED = {
    "job_id": "job_abc123xyz", "status": "failed", "created_at": AT, "started_at": AT, "failed_at": AT,
    "error": {"code": "generation_failed", "message": "Unable to process the input image"},
}  # fmt: skip
ROW = {
    "job_id": "job_abc123xyz", "status": "completed", "model": "nanobanana2", "num_images": 2, "created_at": AT,
    "completed_at": AT,
}  # fmt: skip
LIST = {"jobs": [ROW], "total": 156, "limit": 10, "offset": 0, "has_more": True}
WEBHOOK = {
    "event": "job.completed", "job_id": "job_abc123xyz", "status": "completed", "images": [IMAGE], "tokens_used": 5,
    "completed_at": AT,
}  # fmt: skip


@dataclass(frozen=True)
class Site:
    """A service, a key of it, and the receiver that it may call."""

    server: Server
    key: str
    receiver: Receiver

    @property
    def base(self) -> str:
        """The host of the printed clients."""
        return f"{self.server.url}/productai"

    @property
    def headers(self) -> dict[str, str]:
        """Those of every printed request."""
        return {"Authorization": f"Bearer {self.key}"}

    def generate(self, picture: bytes, **request: Any) -> str:
        files: Any = {"file": ("a.png", picture), "request": (None, json.dumps({"model": "nanobanana2", **request}))}
        answer = loopback.post(f"{self.base}/v1/generate", files=files, headers=self.headers, timeout=60)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["job_id"])

    def get(self, path: str) -> Any:
        answer = loopback.get(f"{self.base}{path}", headers=self.headers, timeout=60)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def wait_in_python(self, job_id: str) -> subprocess.CompletedProcess[str]:
        return run(sys.executable, CLIENTS / "wait_for_job.txt", self.base, job_id, self.key)

    def wait_in_javascript(self, job_id: str) -> subprocess.CompletedProcess[str]:
        return run(packaged("node"), CLIENTS / "wait_for_job.mjs", self.base, job_id, self.key)


def run(*words: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in words], capture_output=True, text=True, timeout=150, check=False,
        env={**os.environ, **env},
    )  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("productai")
    authority, ca_file, data_dir = trustme.CA(), folder / "ca.pem", folder / "data"
    authority.cert_pem.write_to_path(ca_file)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    env = {"CALLBACK_CA": str(ca_file), "MEDIAGATE_IMAGE_PROCESSES": "1"}
    with receiving(tls=context) as receiver, running(GATE, data_dir, **env) as server:
        key = output_of("keys", "create", GATE, "--owner", "ann", data_dir=data_dir, **env)
        yield Site(server, key, receiver)


def test_python_helper_returns_the_images(site: Site) -> None:
    done = site.wait_in_python(job_id := site.generate(a_png(100)))
    assert done.returncode == 0, done.stderr
    body = site.get(f"/v1/jobs/{job_id}")
    assert shape(body) == shape(COMPLETED)
    assert (body["num_images"], body["tokens_used"], body["progress"]) == (2, 10, 100)
    assert [image["width"] for image in body["images"]] == [48, 24]
    assert len(done.stdout.split()) == len(body["images"])
    for url in done.stdout.split():
        path = httpx.URL(url).raw_path.decode()
        file = loopback.get(f"http://127.0.0.1:{site.server.port}/image-pipeline{path}", timeout=60)
        assert (file.status_code, file.headers["content-type"][:6]) == (200, "image/")


def test_javascript_helper_returns_the_images(site: Site) -> None:
    done = site.wait_in_javascript(job_id := site.generate(a_png(100)))
    assert done.returncode == 0, done.stderr
    images = site.get(f"/v1/jobs/{job_id}")["images"]
    assert [url.partition("?")[0] for url in done.stdout.split()] == [i["url"].partition("?")[0] for i in images]


def test_helpers_end_with_the_error_of_a_job_that_failed(site: Site, photo: bytes) -> None:
    rejected, broken = site.generate(a_png(REJECTS)), site.generate(photo[: len(photo) // 2])
    for job_id, code in ((rejected, "moderation_rejected"), (broken, "image_undecodable")):
        done = [site.wait_in_python(job_id), site.wait_in_javascript(job_id)]
        body = site.get(f"/v1/jobs/{job_id}")
        assert shape(body) == shape(FAILED)
        assert body["error"]["code"] == code
        for client in done:
            assert client.returncode == 1
            assert body["error"]["message"] in client.stderr


def test_job_is_processing_before_it_ends(site: Site) -> None:
    job_id = site.generate(a_png(4000, 4000))
    seen = {}
    while (body := site.get(f"/v1/jobs/{job_id}"))["status"] not in ("completed", "failed"):
        seen[body["status"]] = shape(body)
    assert seen["processing"] == shape(PROCESSING)


def test_curl_lines_read_a_job_and_the_list(site: Site) -> None:
    site.wait_in_python(job_id := site.generate(a_png(100)))
    program("curl", "curl")
    done = run("sh", CLIENTS / "jobs.sh", HOST=site.base, JOB_ID=job_id, YOUR_API_KEY=site.key)
    assert done.returncode == 0, done.stderr
    decoder = json.JSONDecoder()
    job, end = decoder.raw_decode(done.stdout)
    listed, _ = decoder.raw_decode(done.stdout, end)
    assert shape(job) == shape(COMPLETED)
    assert shape(listed) == shape(LIST)
    assert job_id in [row["job_id"] for row in listed["jobs"]]
    assert {row["status"] for row in listed["jobs"]} == {"completed"}
    assert (listed["limit"], listed["offset"]) == (10, 0)


def test_session_of_the_page_runs_in_a_shell(site: Site, photo: bytes, tmp_path: Path) -> None:
    program("curl", "curl")
    (session,) = shell_blocks("docs/reference/plugins/productai.md", "## Session")
    (tmp_path / "product.png").write_bytes(photo)
    done = run_shell(session.replace('"small"', '"nanobanana2"'), folder=tmp_path, API=site.base, KEY=site.key)
    assert done.returncode == 0, done.stderr
    made, job, jobs = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("made", "job", "jobs"))
    assert (made["status"], made["progress"], made["num_images"]) == ("pending", 0, 2)
    assert (job["job_id"], job["status"]) == (made["job_id"], "completed")
    assert job["job_id"] in [row["job_id"] for row in jobs["jobs"]]


def receives(site: Site, job_id: str) -> tuple[dict[str, str], bytes]:
    """Wait for the webhook of a job."""
    for count in range(1, 20):
        for one in site.receiver.wait_for(count):
            if json.loads(one.body)["job_id"] == job_id:
                return one.headers, one.body
    raise AssertionError("no webhook")


def verified(headers: dict[str, str], body: bytes) -> Any:
    """Verify a webhook as a receiver does, and return its payload."""
    assert headers["content-type"] == "application/json"
    expected = "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    assert hmac.compare_digest(headers["x-productai-signature"], expected)
    return json.loads(body)


def test_webhook_tells_a_completed_job_under_a_signature(site: Site) -> None:
    hook = f"https://localhost:{site.receiver.port}/webhook"
    job_id = site.generate(a_png(100), webhook_url=hook, num_images=2)
    payload = verified(*receives(site, job_id))
    assert shape(payload) == shape(WEBHOOK)
    assert (payload["event"], payload["status"], payload["tokens_used"]) == ("job.completed", "completed", 10)
    assert [image["url"][:21] for image in payload["images"]] == ["https://gate.example/"] * 2
    assert payload["completed_at"] == site.get(f"/v1/jobs/{job_id}")["completed_at"]


def test_webhook_tells_a_failed_job(site: Site) -> None:
    hook = f"https://localhost:{site.receiver.port}/webhook"
    job_id = site.generate(a_png(REJECTS), webhook_url=hook)
    payload = verified(*receives(site, job_id))
    assert payload == {
        "event": "job.failed",
        "job_id": job_id,
        "status": "failed",
        "error": {"code": "moderation_rejected", "message": "Content moderation failed"},
        "failed_at": site.get(f"/v1/jobs/{job_id}")["failed_at"],
    }


def test_webhook_to_another_host_is_refused(site: Site) -> None:
    files: Any = {
        "file": ("a.png", a_png(100)),
        "request": (None, '{"model": "nanobanana2", "webhook_url": "https://x.example/"}'),
    }
    answer = loopback.post(f"{site.base}/v1/generate", files=files, headers=site.headers, timeout=60)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_parameter")
    assert answer.json()["error"]["message"].startswith("webhook_url: the host is not allowed for callbacks")
