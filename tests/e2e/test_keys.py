"""``mediagate keys`` beside a service that runs: what it prints, when a revoked key stops, and usage after a crash."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import httpx

from tests.support.server import PYTHONPATH, Server, running

ANN = ("--owner", "ann")


def keys(*arguments: str, data_dir: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mediagate.cli", "keys", *arguments],
        env={**os.environ, "PYTHONPATH": PYTHONPATH, "MEDIAGATE_DATA_DIR": str(data_dir)},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def jobs(service: Server, key: str) -> httpx.Response:
    return httpx.get(f"{service.url}/jobs", headers={"Authorization": f"Bearer {key}"}, timeout=30)


def test_keys_are_made_listed_and_revoked_while_the_service_runs(tmp_path: Path, photo: bytes) -> None:
    data_dir = tmp_path / "data"
    with running("keys_gate:gate", data_dir) as service:
        assert httpx.get(f"{service.url}/jobs", timeout=30).status_code == 401
        made = keys("create", "keys_gate:gate", *ANN, "--expires-days", "30", data_dir=data_dir)
        assert made.returncode == 0, made.stderr
        key = made.stdout.strip()
        assert made.stdout == f"{key}\n"
        assert (made.stdout + made.stderr).count(key) == 1
        key_id = key.split("_")[2]
        admin = keys(
            "create", "keys_gate:gate", "--owner", "root", "--scope", "admin", data_dir=data_dir
        ).stdout.strip()

        sent = service.upload("a.jpg", photo, **{"X-API-Key": key})
        assert sent.status_code == 202, sent.text
        job_id = sent.json()["jobId"]
        status = httpx.get(f"{service.url}/status/{job_id}?wait=60", headers={"X-API-Key": key}, timeout=90)
        assert status.json()["status"] == "COMPLETE", status.text
        assert jobs(service, admin).json()["items"][0]["jobId"] == job_id

        listed = keys("list", "keys_gate:gate", *ANN, data_dir=data_dir).stdout
        assert key_id in listed
        assert "live" in listed
        assert "upload,read" in listed
        assert key.split("_")[3] not in listed
        assert len(keys("list", "keys_gate:gate", data_dir=data_dir).stdout.splitlines()) == 2

        revoked = keys("revoke", key_id, "keys_gate:gate", data_dir=data_dir)
        assert (revoked.returncode, revoked.stdout) == (0, f"revoked {key_id}\n")
        revoked_at = time.monotonic()
        while True:
            asked_at = time.monotonic()
            if jobs(service, key).status_code == 401:
                break
            assert asked_at < revoked_at + 1, "a revoked key was taken for longer than cache_s"
        assert jobs(service, admin).status_code == 200
        assert "revoked" in keys("list", "keys_gate:gate", *ANN, data_dir=data_dir).stdout
        again = keys("revoke", key_id, "keys_gate:gate", data_dir=data_dir)
        assert again.returncode == 1
        assert "no live key has this id" in again.stderr
    log = service.log.read_text()
    for secret in (key, admin):
        assert secret.split("_")[3] not in log


def test_what_the_commands_refuse(tmp_path: Path) -> None:
    for arguments, said in (
        (("create", "keys_gate:gate", "--owner", ""), "owner"),
        (("create", "keys_gate:gate", *ANN, "--scope", "root"), "scope"),
        (("create", "keys_gate:gate", *ANN, "--expires-days", "0"), "expires-days"),
        (("create", "keys_gate:gate"), "owner"),
        (("list", "plain_gate:gate"), "gate.register(api_keys)"),
    ):
        done = keys(*arguments, data_dir=tmp_path)
        assert done.returncode != 0
        assert said in done.stderr
        assert "Traceback" not in done.stderr


def test_usage_is_exact_after_the_service_was_killed(tmp_path: Path, photo: bytes) -> None:
    data_dir = tmp_path / "data"
    key = keys("create", "keys_gate:gate", *ANN, data_dir=data_dir).stdout.strip()
    headers = {"X-API-Key": key}
    service = Server("keys_gate:gate", data_dir, MEDIAGATE_LEASE_S="2", MEDIAGATE_IMAGE_PROCESSES="1")
    try:
        service.start()
        sent = [service.upload("a.jpg", photo, **headers).json()["jobId"] for _ in range(5)]
        service.kill()
        service.start()
        for job_id in sent:
            done = httpx.get(f"{service.url}/status/{job_id}?wait=60", headers=headers, timeout=90)
            assert done.json()["status"] == "COMPLETE", done.text
        total = httpx.get(f"{service.url}/usage", headers=headers, timeout=30).json()["total"]
        listed = jobs(service, key).json()["items"]
        assert {job["jobId"] for job in listed} == set(sent)
        assert (total["uploads"], total["jobs"]["COMPLETE"]) == (5, 5)
        assert total["bytesIn"] == 5 * len(photo)
        assert total["bytesOut"] == sum(job["usage"]["bytesOut"] for job in listed) > 0
    finally:
        service.stop()
