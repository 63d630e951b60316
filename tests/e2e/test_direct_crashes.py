"""The service is killed (kill -9) at each step of a direct upload; the client then resumes."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import socket
import sqlite3
import time
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx

from mediagate import MediaGate, Settings, Source
from mediagate.records.locks import RECEIVING_S
from mediagate.values import utcnow
from tests.support import loopback
from tests.support.server import MOUNT, Server

STEPS = [
    ("records.create_upload", 1),
    ("records.reserve_key", 1),
    ("storage.put", 1),
    ("records.release_key", 1),
    ("storage.copy", 1),
    ("records.complete_upload", 1),
    ("storage.delete", 1),
    ("queue.dispatch", 1),
]
"""Every call that changes something outside the process: the declaration, the bytes, the job's file, the job, …"""
SLACK_S = 20.0
"""Slack for a loaded machine on each bounded wait."""
POINTS = [f"{call}:{when}:{count}" for call, count in STEPS for when in ("before", "after")]


LEASE_S = 2.0


def sent(http: httpx.Client, target: Any, photo: bytes) -> httpx.Response:
    """Send a file; retries while a request of the killed process still holds the upload."""
    end = time.monotonic() + LEASE_S + SLACK_S
    while True:
        answer = http.put(target["url"], content=photo, headers=target["headers"])
        if answer.status_code == 204 or not answer.json()["retryable"] or time.monotonic() > end:
            return answer
        assert (answer.status_code, answer.json()["code"]) == (409, "upload_in_flight"), answer.text
        time.sleep(0.2)


class Client:
    """Sends one file, and resumes from its last known step after the service has died."""

    def __init__(self, service: Server, photo: bytes) -> None:
        self._service = service
        self._photo = photo
        self.target: Any = None
        self.job_ids: set[str] = set()

    def run(self) -> None:
        """Take the remaining steps; raises httpx.TransportError when the service dies."""
        with loopback.client(base_url=f"http://127.0.0.1:{self._service.port}", timeout=30) as http:
            if self.target is None:
                told = {
                    "sourceType": "avatar",
                    "sourceId": "u1",
                    "contentType": "image/jpeg",
                    "size": len(self._photo),
                }
                answer = http.post(f"{MOUNT}/uploads", json=told)
                assert answer.status_code == 201, answer.text
                self.target = answer.json()
            answer = sent(http, self.target, self._photo)
            assert answer.status_code == 204 or answer.json()["code"] == "upload_received", answer.text
            for _ in range(2):
                answer = http.post(self.target["completeUrl"])
                assert answer.status_code == 202, answer.text
                self.job_ids.add(answer.json()["jobId"])


def test_direct_upload_completes_once_after_a_crash_at_each_step(tmp_path: Path, photo: bytes) -> None:
    data_dir = tmp_path / "data"
    service = Server("crashing_gate:gate", data_dir, MEDIAGATE_IMAGE_PROCESSES="1", RECEIVING_S=str(LEASE_S))
    clients = []
    try:
        for point in POINTS:
            service.start(CRASH_AT=point, MEDIAGATE_WORKER="false")
            client = Client(service, photo)
            clients.append(client)
            with contextlib.suppress(httpx.TransportError):
                client.run()
                raise AssertionError(f"the service did not die: {point}")
            service.wait_dead()
            assert service.process is not None
            assert service.process.returncode == -9
        service.start()
        for client in clients:
            client.run()
            assert len(client.job_ids) == 1
            done = service.settled(client.job_ids.copy().pop()).json()
            assert (done["status"], done["media"]["bytes"]) == ("COMPLETE", len(photo))
        page = loopback.get(f"{service.url}/media?sourceType=avatar&limit=100").json()["items"]
        assert len(page) == len(clients)
        log = service.log.read_text()
        assert "/content" in log
        for client in clients:
            assert client.target["url"].rpartition("=")[2] not in log, "tokens must not be logged"
    finally:
        if service.process is not None and service.process.poll() is None:
            service.stop()
    asyncio.run(nothing_is_left(data_dir, len(clients)))


async def nothing_is_left(data_dir: Path, count: int) -> None:
    """Assert that two days later only the published files and their records are left."""
    settings = Settings(data_dir=data_dir, worker=False)
    async with MediaGate(sources={"avatar": Source()}, moderation="off", settings=settings) as gate:
        later = utcnow() + timedelta(days=2)
        janitor, records, storage = gate.runtime.janitor, gate.parts.records, gate.parts.storage
        for path in gate.runtime.spool_dir.iterdir():
            os.utime(path, (later.timestamp() - 4 * 86400,) * 2)
        swept = await janitor.sweep_expired(dry_run=False, now=later)
        assert len(swept.expired_uploads) >= count
        await janitor.sweep_files(dry_run=False, now=later)
        await janitor.sweep_spool()
        page = await records.list_media("avatar", None, limit=100)
        wanted = {key for media in page.items for key in media.keys}
        found = {info.key for root in ("staging/", "media/", "originals/") async for info in storage.list(root)}
        assert found == wanted
        assert await records.expired_uploads(now=later + timedelta(days=9), limit=9) == []
        assert list(gate.runtime.spool_dir.iterdir()) == []


def test_direct_upload_with_a_truncated_body_can_be_sent_again(tmp_path: Path, photo: bytes) -> None:
    data_dir = tmp_path / "data"
    service = Server("plain_gate:gate", data_dir, MEDIAGATE_WORKER="false")
    try:
        service.start()
        told = {"sourceType": "avatar", "sourceId": "u1", "contentType": "image/jpeg", "size": len(photo)}
        target = loopback.post(f"{service.url}/uploads", json=told, timeout=30).json()
        with socket.create_connection(("127.0.0.1", service.port), timeout=30) as raw:
            head = f"PUT {target['url']} HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\n"
            raw.sendall(f"{head}Content-Length: {len(photo)}\r\n\r\n".encode() + photo[: len(photo) // 2])
        answer = loopback.post(f"http://127.0.0.1:{service.port}{target['completeUrl']}", timeout=30)
        assert (answer.status_code, answer.json()["code"]) == (409, "upload_not_received")
        with loopback.client(base_url=f"http://127.0.0.1:{service.port}", timeout=30) as http:
            # Almost at once: the service only has to notice that the first client hung up.
            began = time.monotonic()
            assert sent(http, target, photo).status_code == 204
            assert time.monotonic() - began < RECEIVING_S
        stored = next((data_dir / "files" / "staging").iterdir()).read_bytes()
        assert hashlib.sha256(stored).digest() == hashlib.sha256(photo).digest()
    finally:
        service.stop()


def held_names(data_dir: Path) -> list[str]:
    with closing(sqlite3.connect(data_dir / "mediagate.db")) as database:
        return [
            key
            for (key,) in database.execute("SELECT key FROM mediagate_idempotency_key WHERE key LIKE ?", ("\nupl_%",))
        ]


def test_direct_upload_is_accepted_after_the_lease_of_a_killed_receiver(tmp_path: Path, photo: bytes) -> None:
    data_dir = tmp_path / "data"
    service = Server("crashing_gate:gate", data_dir, MEDIAGATE_WORKER="false", RECEIVING_S=str(LEASE_S))
    try:
        service.start()
        told = {"sourceType": "avatar", "sourceId": "u1", "contentType": "image/jpeg", "size": len(photo)}
        target = loopback.post(f"{service.url}/uploads", json=told, timeout=30).json()
        with (
            loopback.client(base_url=f"http://127.0.0.1:{service.port}", timeout=30) as http,
            socket.create_connection(("127.0.0.1", service.port), timeout=30) as raw,
        ):
            head = f"PUT {target['url']} HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\n"
            raw.sendall(f"{head}Content-Length: {len(photo)}\r\n\r\n".encode() + photo[: len(photo) // 2])
            end = time.monotonic() + SLACK_S
            while not held_names(data_dir) and time.monotonic() < end:
                time.sleep(0.05)
            refused = http.put(target["url"], content=photo, headers=target["headers"])
            assert (refused.status_code, refused.json()["code"]) == (409, "upload_in_flight")
            service.kill()
        assert held_names(data_dir) == [f"\n{target['uploadId']}"], "the killed process cannot have released it"
        service.start()
        with loopback.client(base_url=f"http://127.0.0.1:{service.port}", timeout=30) as http:
            assert sent(http, target, photo).status_code == 204
            assert http.post(target["completeUrl"]).status_code == 202
        [stored] = (data_dir / "files" / "staging").iterdir()
        assert stored.name.startswith("job_")
        assert stored.read_bytes() == photo
    finally:
        if service.process is not None and service.process.poll() is None:
            service.stop()
