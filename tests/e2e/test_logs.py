"""What a service logs: every line an object of JSON, jobs with their fields, and no secret at any level."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.support.moderators import CRASHES, GOOD, RAISES, REJECTS
from tests.support.server import PYTHONPATH, Server, running

SECRETS = {
    "metrics token": "metrics-t0ken",
    "query string": "query-t0ken",
    "header": "header-t0ken",
    "idempotency key": "idem-t0ken",
    "signature of a URL": "5ec7e7516",
    "credential of a URL": "AKIA0SIGNED",
    "password in a URL": "s3-secret-key",
    "session token": "s3-session-token",
    "basic credentials": "dXNlcjpzZWNyZXQ",
    "bytes of a PNG": "IHDR",
    "bytes of a JPEG": "JFIF",
}
SETTINGS = {"MEDIAGATE_IMAGE_PROCESSES": "1", "MEDIAGATE_RETRY_BACKOFF_S": "0.1", "METRICS_TOKEN": "metrics-t0ken"}
DATABASE = "postgresql://nobody-here:db-passw0rd@127.0.0.1:5432/postgres"
NO_DATABASE = "postgresql://nobody-here:db-passw0rd@127.0.0.1:1/postgres?sslpassword=db-passw0rd"


def picture(width: int) -> bytes:
    file = BytesIO()
    Image.new("RGB", (width, 40), "teal").save(file, "PNG")
    return file.getvalue()


def use(service: Server, photo: bytes) -> dict[str, list[str]]:
    """Do with a service what clients do, also wrong things; return the ids of its jobs by source."""
    jobs: dict[str, list[str]] = {"avatar": [], "broken": [], "faulty": []}
    uploads = [("avatar", picture(width)) for width in (GOOD, RAISES, CRASHES, REJECTS)]
    files = [*uploads, ("avatar", photo), ("broken", photo), ("faulty", photo)]
    for number, (source_type, file) in enumerate(files):
        sent = httpx.post(
            f"{service.url}/upload?token=query-t0ken",
            data={"sourceType": source_type, "sourceId": "u1", "callbackUrl": "https://h.example/?k=query-t0ken"},
            files={"file": ("a.png", file)},
            headers={"Authorization": "Bearer header-t0ken", "Idempotency-Key": f"idem-t0ken-{number}"},
            timeout=60,
        )
        assert sent.status_code == 202, sent.text
        jobs[source_type].append(sent.json()["jobId"])
    for job_id in [job_id for ids in jobs.values() for job_id in ids]:
        service.settled(job_id)
        answer = httpx.get(f"{service.url}/status/{job_id}?http=200&token=query-t0ken&wait=1", timeout=60)
        assert answer.json()["status"] in ("COMPLETE", "REJECTED", "FAILED")
    assert "5ec7e7516" in httpx.get(f"{service.url}/status/{jobs['avatar'][0]}").text, "URLs are signed here"
    bad: dict[str, Any] = {
        "files": {"file": ("a.png", b"JFIF no picture at all" * 10)},
        "data": {"sourceType": "avatar", "sourceId": "u1"},
    }
    assert httpx.post(f"{service.url}/upload?query-t0ken", **bad).status_code == 415
    assert httpx.post(f"{service.url}/upload?a=query-t0ken", content=photo).status_code == 400
    for path in ("/metrics?access_token=query-t0ken", "/nowhere?%71uery-t0ken", "/status/job_x?query-t0ken"):
        assert httpx.get(service.url + path, headers={"Authorization": "Bearer header-t0ken"}).status_code in (401, 404)
    assert httpx.get(f"{service.url}/metrics", headers={"Authorization": "Bearer metrics-t0ken"}).status_code == 200
    return jobs


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory, photo: bytes) -> dict[str, Any]:
    """What a service says in each form while it is used, and its jobs."""
    told: dict[str, Any] = {}
    for form in ("json", "text"):
        folder = tmp_path_factory.mktemp(form)
        with running("leaky_gate:gate", folder / "data", **SETTINGS, MEDIAGATE_LOG=form) as service:
            told[f"{form} jobs"] = use(service, photo)
        told[form] = service.log.read_text()
    return told


def lines(log: str) -> list[dict[str, Any]]:
    """Return the objects of a log; what the command says to whoever started it is no part of that."""
    return [json.loads(line) for line in log.splitlines() if not line.startswith("mediagate: ")]


@pytest.mark.parametrize("form", ["json", "text"])
@pytest.mark.parametrize("secret", SECRETS)
def test_no_secret_is_ever_logged(said: dict[str, Any], form: str, secret: str) -> None:
    found = [line for line in said[form].splitlines() if SECRETS[secret] in line]
    assert not found, found[0]


def test_failures_are_logged_nevertheless(said: dict[str, Any]) -> None:
    for form in ("json", "text"):
        assert "RuntimeError: GET https://…@bucket.s3.example/hook?…" in said[form]
        assert "/image-pipeline/metrics " in said[form], "the access log"


def test_each_line_is_one_object(said: dict[str, Any]) -> None:
    found = lines(said["json"])
    assert len(found) > 30
    for line in found:
        assert list(line)[:4] == ["time", "level", "logger", "message"]
        assert datetime.fromisoformat(line["time"]).utcoffset() is not None
        assert line["time"].endswith("Z")
        assert line["level"] in ("DEBUG", "INFO", "WARNING", "ERROR")
    assert {"uvicorn.access", "uvicorn.error", "mediagate.worker"} <= {line["logger"] for line in found}
    access = next(line for line in found if line["logger"] == "uvicorn.access" and line["method"] == "POST")
    assert (access["path"], access["http_status"]) == ("/image-pipeline/upload", 202)


def test_each_line_about_a_job_has_its_fields(said: dict[str, Any]) -> None:
    jobs = said["json jobs"]
    sources = {job_id: source for source, ids in jobs.items() for job_id in ids}
    about = [line for line in lines(said["json"]) if line["message"].startswith("job ")]
    assert {line["job_id"] for line in about} == set(sources)
    for line in about:
        assert line["job_id"] in line["message"]
        assert line["source"] == sources[line["job_id"]]
        assert line["stage"] in ("moderate", "publish", "done")
        assert line["attempt"] >= 1
    ends = {line["job_id"]: line["status"] for line in about if "status" in line}
    assert [ends[job_id] for job_id in jobs["avatar"]] == ["COMPLETE", "FAILED", "FAILED", "REJECTED", "COMPLETE"]
    attempts = [line for line in about if line["job_id"] == jobs["faulty"][0] and line["level"] == "ERROR"]
    assert [(line["attempt"], line["stage"]) for line in attempts] == [(n, "moderate") for n in (1, 2, 3)]
    assert all("RuntimeError" in line["exception"] and line["code"] == "internal_error" for line in attempts)


@pytest.mark.parametrize("url", [DATABASE, NO_DATABASE])
@pytest.mark.parametrize("command", ["migrate", "doctor"])
def test_a_command_that_is_refused_does_not_say_the_password(tmp_path: Path, command: str, url: str) -> None:
    arguments = [] if command == "migrate" else ["leaky_gate:gate"]
    done = subprocess.run(
        [sys.executable, "-m", "mediagate.cli", "--log", "json", command, *arguments],
        env={**os.environ, **SETTINGS, "PYTHONPATH": PYTHONPATH, "MEDIAGATE_DATA_DIR": str(tmp_path / "data"),
             "MEDIAGATE_DATABASE_URL": url},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "db-passw0rd" not in done.stdout + done.stderr


@pytest.mark.parametrize("url", [DATABASE, NO_DATABASE])
@pytest.mark.parametrize("command", ["serve", "worker"])
def test_a_service_that_is_refused_does_not_say_the_password(tmp_path: Path, command: str, url: str) -> None:
    service = Server("leaky_gate:gate", tmp_path / "data", **SETTINGS, MEDIAGATE_DATABASE_URL=url, MEDIAGATE_LOG="json")
    try:
        service.start(wait=False, command=command)
        end = time.monotonic() + 60
        while "could not claim jobs" not in service.log.read_text():
            assert time.monotonic() < end, service.log.read_text()[-2000:]
            time.sleep(0.1)
    finally:
        service.stop()
    assert all(line["logger"] for line in lines(service.log.read_text()))
    assert "db-passw0rd" not in service.log.read_text()


def test_a_form_that_there_is_not() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mediagate.cli", "migrate"],
        env={**os.environ, "MEDIAGATE_LOG": "xml"}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "--log" in done.stderr and "json" in done.stderr
