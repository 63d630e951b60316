"""``mediagate keys`` beside a running service: output, revocation delay, and usage after a crash."""

from __future__ import annotations

import time
from pathlib import Path

import httpx

from tests.support import loopback
from tests.support.command import mediagate, output_of
from tests.support.server import Server, running

GATE = "keys_gate:gate"
ANN = ("--owner", "ann")


def jobs(service: Server, key: str) -> httpx.Response:
    return loopback.get(f"{service.url}/jobs", headers={"Authorization": f"Bearer {key}"}, timeout=30)


def test_keys_commands_create_list_and_revoke_beside_a_running_service(tmp_path: Path, photo: bytes) -> None:
    data_dir = tmp_path / "data"
    with running(GATE, data_dir) as service:
        assert loopback.get(f"{service.url}/jobs", timeout=30).status_code == 401
        made = mediagate("keys", "create", GATE, *ANN, "--expires-days", "30", data_dir=data_dir)
        assert made.returncode == 0, made.stderr
        key = made.stdout.strip()
        assert made.stdout == f"{key}\n"
        assert (made.stdout + made.stderr).count(key) == 1
        key_id = key.split("_")[2]
        admin = output_of("keys", "create", GATE, "--owner", "root", "--scope", "admin", data_dir=data_dir)

        sent = service.upload("a.jpg", photo, **{"X-API-Key": key})
        assert sent.status_code == 202, sent.text
        job_id = sent.json()["jobId"]
        status = loopback.get(f"{service.url}/status/{job_id}?wait=60", headers={"X-API-Key": key}, timeout=90)
        assert status.json()["status"] == "COMPLETE", status.text
        assert jobs(service, admin).json()["items"][0]["jobId"] == job_id

        listed = output_of("keys", "list", GATE, *ANN, data_dir=data_dir)
        assert key_id in listed
        assert "live" in listed
        assert "upload,read" in listed
        assert key.split("_")[3] not in listed
        assert len(output_of("keys", "list", GATE, data_dir=data_dir).splitlines()) == 2

        revoked = mediagate("keys", "revoke", key_id, GATE, data_dir=data_dir)
        assert (revoked.returncode, revoked.stdout) == (0, f"revoked {key_id}\n")
        revoked_at = time.monotonic()
        while True:
            asked_at = time.monotonic()
            if jobs(service, key).status_code == 401:
                break
            assert asked_at < revoked_at + 1, "a revoked key was taken for longer than cache_s"
        assert jobs(service, admin).status_code == 200
        assert "revoked" in output_of("keys", "list", GATE, *ANN, data_dir=data_dir)
        again = mediagate("keys", "revoke", key_id, GATE, data_dir=data_dir)
        assert again.returncode == 1
        assert "API key not found or already revoked" in again.stderr
    log = service.log.read_text()
    for secret in (key, admin):
        assert secret.split("_")[3] not in log


def test_keys_commands_reject_invalid_arguments(tmp_path: Path) -> None:
    for arguments, said in (
        (("create", GATE, "--owner", ""), "owner"),
        (("create", GATE, *ANN, "--scope", "root"), "scope"),
        (("create", GATE, *ANN, "--expires-days", "0"), "expires-days"),
        (("create", GATE), "owner"),
        (("list", "plain_gate:gate"), "gate.register(api_keys)"),
    ):
        done = mediagate("keys", *arguments, data_dir=tmp_path)
        assert done.returncode != 0
        assert said in done.stderr
        assert "Traceback" not in done.stderr


def test_usage_is_exact_after_kill_9(tmp_path: Path, photo: bytes) -> None:
    data_dir = tmp_path / "data"
    key = output_of("keys", "create", GATE, *ANN, data_dir=data_dir)
    headers = {"X-API-Key": key}
    service = Server(GATE, data_dir, MEDIAGATE_LEASE_S="2", MEDIAGATE_IMAGE_PROCESSES="1")
    try:
        service.start()
        sent = [service.upload("a.jpg", photo, **headers).json()["jobId"] for _ in range(5)]
        service.kill()
        service.start()
        for job_id in sent:
            done = loopback.get(f"{service.url}/status/{job_id}?wait=60", headers=headers, timeout=90)
            assert done.json()["status"] == "COMPLETE", done.text
        total = loopback.get(f"{service.url}/usage", headers=headers, timeout=30).json()["total"]
        listed = jobs(service, key).json()["items"]
        assert {job["jobId"] for job in listed} == set(sent)
        assert (total["uploads"], total["jobs"]["COMPLETE"]) == (5, 5)
        assert total["bytesIn"] == 5 * len(photo)
        assert total["bytesOut"] == sum(job["usage"]["bytesOut"] for job in listed) > 0
    finally:
        service.stop()
