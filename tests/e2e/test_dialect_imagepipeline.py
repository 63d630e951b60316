"""The commands and bodies of ImagePipeline's documentation, and the session of our page, against a real service."""

from __future__ import annotations

import json
import shutil
import ssl
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest
import trustme
from PIL import Image
from standardwebhooks import Webhook

from tests.support import loopback
from tests.support.command import output_of
from tests.support.load import stretched
from tests.support.moderators import REJECTS
from tests.support.pages import run_shell, shell_blocks
from tests.support.pipelines import a_png
from tests.support.receiver import SECRET, Receiver, receiving
from tests.support.server import Server

GATE = "imagepipeline_gate:gate"
CLIENT = Path(__file__).parent / "clients" / "imagepipeline"
PRINTED: dict[str, dict[str, Any]] = json.loads((CLIENT / "bodies.json").read_text())
ENDPOINT = "/generate/image/v1"


@dataclass(frozen=True)
class Site:
    """A running service, a key of it, and a receiver of its callbacks."""

    url: str
    key: str
    receiver: Receiver

    def asked(self, picture: bytes, **request: Any) -> httpx.Response:
        """Send a picture to the endpoint."""
        files: dict[str, Any] = {"file": ("a.png", picture), "request": (None, json.dumps(request))}
        headers = {"X-API-Key": self.key}
        answer = loopback.post(f"{self.url}{ENDPOINT}", files=files, headers=headers, timeout=30)
        assert answer.status_code == 202, answer.text
        return answer

    def printed(self, name: str, **variables: str) -> Any:
        """Run a printed command, and return the JSON that it shows."""
        env = {"API": self.url, "IMAGEPIPELINE_API_KEY": self.key, **variables}
        done = subprocess.run(
            ["sh", str(CLIENT / name)], env=env, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def ended(self, job_id: str) -> Any:
        """Poll with the printed command until the status is terminal, as the text says."""
        end = time.monotonic() + stretched(60)
        while (body := self.printed("poll.sh", JOB=job_id))["status"] not in ("completed", "failed", "cancelled"):
            assert time.monotonic() < end, body
            time.sleep(0.2)
        return body


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("imagepipeline")
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(folder / "ca.pem")
    service = Server(GATE, folder / "data", CA_FILE=str(folder / "ca.pem"), MEDIAGATE_URL_TTL_S="86400")
    try:
        with receiving(tls=context) as receiver:
            service.start(MEDIAGATE_PUBLIC_BASE_URL=service.url)
            key = output_of("keys", "create", GATE, "--owner", "usr_123", data_dir=folder / "data")
            yield Site(f"{service.url}/imagepipeline", key, receiver)
    finally:
        if service.process is not None:
            service.stop()
            service.process.kill()


def shape(body: Mapping[str, Any]) -> dict[str, type]:
    """Return the type of each field."""
    return {name: type(value) for name, value in body.items()}


def test_bodies_have_the_fields_and_types_of_the_printed_ones(site: Site) -> None:
    request = {"preset": "generate-image-v1"}
    files: dict[str, Any] = {"file": ("a.png", a_png()), "request": (None, json.dumps(request))}
    native = site.url.removesuffix("/imagepipeline")
    first = loopback.post(f"{native}/pipelines", files=files, headers={"X-API-Key": site.key}, timeout=30).json()
    site.ended(first["jobId"])
    # The estimate is that of earlier jobs of the endpoint, which are measured every ten seconds.
    end = time.monotonic() + stretched(30)
    while site.asked(a_png()).json()["estimated_time_seconds"] is None:
        assert time.monotonic() < end
        time.sleep(1)
    callback = f"https://127.0.0.1:{site.receiver.port}/hook"
    before = len(site.receiver.received)
    queued = site.asked(a_png(), callback_url=callback).json()
    assert shape(queued) == shape(PRINTED["JobQueuedResponse"])
    assert (queued["status"], queued["endpoint"]) == ("queued", ENDPOINT)
    done = site.ended(queued["job_id"])
    assert shape(done) == shape(PRINTED["JobStatusResponse"])
    expected = {name: PRINTED["JobStatusResponse"][name] for name in ("status", "progress", "result_mime_type")}
    assert {name: done[name] for name in expected} == expected
    assert (done["credits_charged"], done["credits_amount"]) == (True, 1)
    file = loopback.get(done["result_url"], timeout=30)
    assert (file.status_code, file.headers["content-type"]) == (200, "image/webp")
    called = site.receiver.wait_for(before + 1)[before]
    event = json.loads(called.body)
    assert shape(event) == shape(PRINTED["WebhookEvent"])
    assert (event["user_id"], event["result_size_bytes"]) == ("usr_123", len(file.content))
    assert loopback.get(event["result_url"], timeout=30).content == file.content
    assert Webhook(SECRET).verify(called.body, called.headers) == event


def test_printed_command_shows_the_schema_of_the_printed_event(site: Site) -> None:
    schema = site.printed("event_schema.sh")
    validator = jsonschema.Draft202012Validator(schema)
    validator.validate(PRINTED["WebhookEvent"])
    assert not validator.is_valid({**PRINTED["WebhookEvent"], "status": "cancelled"})


def test_poller_and_webhook_see_the_end_of_a_rejected_picture(site: Site) -> None:
    before = len(site.receiver.received)
    callback = f"https://127.0.0.1:{site.receiver.port}/hook"
    queued = site.asked(a_png(width=REJECTS), callback_url=callback).json()
    body = site.ended(queued["job_id"])
    event = json.loads(site.receiver.wait_for(before + 1)[before].body)
    for told in (body, event):
        assert (told["status"], told["failure_reason_code"]) == ("failed", "moderation_rejected")
        assert {name: type(told[name]) for name in ("error", "retryable")} == {"error": str, "retryable": bool}
    jsonschema.Draft202012Validator(site.printed("event_schema.sh")).validate(event)


def test_printed_command_with_a_wrong_key_or_id_shows_an_error(site: Site) -> None:
    job = site.asked(a_png()).json()["job_id"]
    wrong = site.printed("poll.sh", JOB=job, IMAGEPIPELINE_API_KEY="wrong")
    assert (wrong["failure_reason_code"], wrong["retryable"]) == ("unauthorized", False)
    missing = site.printed("poll.sh", JOB="job_a1b2c3")
    assert (missing["failure_reason_code"], missing["retryable"]) == ("job_not_found", False)


def test_session_of_the_page_runs(site: Site, tmp_path: Path, data: Path) -> None:
    shutil.copy(data / "moderation" / "chelsea.png", tmp_path / "image.png")
    (session,) = shell_blocks("docs/reference/plugins/imagepipeline.md", "## Session")
    done = run_shell(session, folder=tmp_path, API=site.url, KEY=site.key)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads((tmp_path / "job.json").read_text())["status"] == "completed"
    with Image.open(tmp_path / "result.webp") as image:
        assert (image.format, image.width) == ("WEBP", 200)
