"""The sample of ImageHQ and the session of its page run against a real service."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.support import loopback
from tests.support.command import output_of
from tests.support.imagehq import CLIENT, SAMPLE, shape
from tests.support.load import stretched
from tests.support.moderators import REJECTS
from tests.support.pages import run_shell, shell_blocks
from tests.support.pipelines import a_png
from tests.support.server import running

GATE = "imagehq_gate:gate"


@dataclass(frozen=True)
class Site:
    """A running service, and a key of it."""

    url: str
    key: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    def polled(self, queued: dict[str, Any]) -> dict[str, Any]:
        """Return the body of a job at its end."""
        end = time.monotonic() + stretched(60)
        while True:
            answer = loopback.get(f"{self.url}{queued['poll_url']}", headers=self.headers, timeout=30)
            assert answer.status_code == 200, answer.text
            body: dict[str, Any] = answer.json()
            if body["status"] not in ("queued", "processing"):
                return body
            assert time.monotonic() < end, body
            time.sleep(0.1)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    data_dir = tmp_path_factory.mktemp("imagehq") / "data"
    with running(GATE, data_dir) as service:
        yield Site(f"{service.url}/imagehq", output_of("keys", "create", GATE, "--owner", "ann", data_dir=data_dir))


def sample(site: Site, picture: Path | bytes, folder: Path, *, key: str | None = None) -> dict[str, Any]:
    """Run the sample in a folder with this ``image.png``, and return what it printed."""
    if isinstance(picture, Path):
        shutil.copy(picture, folder / "image.png")
    else:
        (folder / "image.png").write_bytes(picture)
    done = subprocess.run(
        [sys.executable, str(CLIENT / "pipeline.txt"), site.url, site.key if key is None else key],
        cwd=folder, capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    printed: dict[str, Any] = ast.literal_eval(done.stdout)
    return printed


def test_sample_makes_a_job_with_every_field_of_the_printed_bodies(site: Site, tmp_path: Path, data: Path) -> None:
    queued = sample(site, data / "moderation" / "chelsea.png", tmp_path)
    printed = {**shape(SAMPLE["queued"]), "client_reference_id": "NoneType"}
    assert shape(queued) == {**printed, "job_id": "str"}
    assert (queued["status"], queued["operation"]) == ("queued", "pipeline")
    assert queued["tool_slug"] == "pipeline-resize-filter-compress"
    done = site.polled(queued)
    assert shape(done) == shape(SAMPLE["completed"])
    assert (done["status"], done["progress"]) == ("succeeded", 100)
    file = loopback.get(f"{site.url}{done['download_url']}", headers=site.headers, timeout=30)
    (tmp_path / "output.webp").write_bytes(file.content)
    with Image.open(tmp_path / "output.webp") as image:
        assert (image.format, len(file.content)) == ("WEBP", done["outputs"][0]["size_bytes"])


def test_poller_of_the_sample_sees_the_end_of_a_rejected_picture(site: Site, tmp_path: Path) -> None:
    body = site.polled(sample(site, a_png(REJECTS, 50), tmp_path))
    assert (body["status"], body["error"]["code"]) == ("failed", "moderation_rejected")
    assert shape(body["error"]) == {"code": "str", "message": "str", "retryable": "bool"}


def test_sample_with_a_wrong_key_prints_an_error(site: Site, tmp_path: Path) -> None:
    printed = sample(site, a_png(), tmp_path, key="wrong")
    assert printed["error"]["code"] == "unauthorized"


def test_session_of_the_page_runs(site: Site, tmp_path: Path, data: Path) -> None:
    shutil.copy(data / "moderation" / "chelsea.png", tmp_path / "image.png")
    (session,) = shell_blocks("docs/reference/plugins/imagehq.md", "## Session")
    done = run_shell(session, folder=tmp_path, API=site.url, KEY=site.key)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads((tmp_path / "job.json").read_text())["status"] == "succeeded"
    with Image.open(tmp_path / "result.webp") as image:
        assert image.format == "WEBP"
