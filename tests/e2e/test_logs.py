"""Logs of a service: one JSON object per line, fields of jobs, and no secret at any level."""

from __future__ import annotations

import json
import time
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.support import loopback
from tests.support.command import mediagate
from tests.support.moderators import CRASHES, GOOD, RAISES, REJECTS
from tests.support.server import Server, running

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
    """Send valid and invalid requests to a service; return the ids of its jobs by source."""
    jobs: dict[str, list[str]] = {"avatar": [], "broken": [], "faulty": []}
    uploads = [("avatar", picture(width)) for width in (GOOD, RAISES, CRASHES, REJECTS)]
    files = [*uploads, ("avatar", photo), ("broken", photo), ("faulty", photo)]
    for number, (source_type, file) in enumerate(files):
        sent = loopback.post(
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
        answer = loopback.get(f"{service.url}/status/{job_id}?http=200&token=query-t0ken&wait=1", timeout=60)
        assert answer.json()["status"] in ("COMPLETE", "REJECTED", "FAILED")
    assert "5ec7e7516" in loopback.get(f"{service.url}/status/{jobs['avatar'][0]}").text, "URLs are signed here"
    bad: dict[str, Any] = {
        "files": {"file": ("a.png", b"JFIF no picture at all" * 10)},
        "data": {"sourceType": "avatar", "sourceId": "u1"},
    }
    assert loopback.post(f"{service.url}/upload?query-t0ken", **bad).status_code == 415
    assert loopback.post(f"{service.url}/upload?a=query-t0ken", content=photo).status_code == 400
    for path in ("/metrics?access_token=query-t0ken", "/nowhere?%71uery-t0ken", "/status/job_x?query-t0ken"):
        answer = loopback.get(service.url + path, headers={"Authorization": "Bearer header-t0ken"})
        assert answer.status_code in (401, 404)
    assert loopback.get(f"{service.url}/metrics", headers={"Authorization": "Bearer metrics-t0ken"}).status_code == 200
    return jobs


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory, photo: bytes) -> dict[str, Any]:
    """The log of a used service in each format, and the jobs of each."""
    told: dict[str, Any] = {}
    for form in ("json", "text"):
        folder = tmp_path_factory.mktemp(form)
        with running("leaky_gate:gate", folder / "data", **SETTINGS, MEDIAGATE_LOG=form) as service:
            told[f"{form} jobs"] = use(service, photo)
        told[form] = service.log.read_text()
    return told


def lines(log: str) -> list[dict[str, Any]]:
    """Return the objects of a JSON log, without the lines that the command prints for its user."""
    return [json.loads(line) for line in log.splitlines() if not line.startswith("mediagate: ")]


@pytest.mark.parametrize("form", ["json", "text"])
@pytest.mark.parametrize("secret", SECRETS)
def test_log_contains_no_secret(said: dict[str, Any], form: str, secret: str) -> None:
    found = [line for line in said[form].splitlines() if SECRETS[secret] in line]
    assert not found, found[0]


def test_log_contains_failures_with_redacted_urls(said: dict[str, Any]) -> None:
    for form in ("json", "text"):
        assert "RuntimeError: GET https://…@bucket.s3.example/hook?…" in said[form]
        assert "/image-pipeline/metrics " in said[form], "the access log"


def test_json_log_has_one_object_per_line(said: dict[str, Any]) -> None:
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


def test_json_log_lines_about_jobs_have_job_fields(said: dict[str, Any]) -> None:
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
def test_failed_command_does_not_print_the_password(tmp_path: Path, command: str, url: str) -> None:
    arguments = [] if command == "migrate" else ["leaky_gate:gate"]
    env = SETTINGS | {"MEDIAGATE_DATABASE_URL": url}
    done = mediagate("--log", "json", command, *arguments, data_dir=tmp_path / "data", **env)
    assert done.returncode == 1, done.stderr
    assert "db-passw0rd" not in done.stdout + done.stderr


@pytest.mark.parametrize("url", [DATABASE, NO_DATABASE])
@pytest.mark.parametrize("command", ["serve", "worker"])
def test_service_without_database_does_not_log_the_password(tmp_path: Path, command: str, url: str) -> None:
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


def test_log_option_rejects_an_unknown_format(tmp_path: Path) -> None:
    done = mediagate("migrate", data_dir=tmp_path, MEDIAGATE_LOG="xml")
    assert done.returncode == 2
    assert "--log" in done.stderr and "json" in done.stderr
