"""Rate limits shared by several processes, over real sockets, on each real store."""

from __future__ import annotations

import asyncio
import json
import secrets
import socket
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import asyncpg
import httpx
import pytest
from redis import Redis

from tests.support import loopback
from tests.support.server import Server, running

FORM = {"sourceType": "free", "sourceId": "user-1"}
STORM = 50


@pytest.fixture(params=["sqlite", "postgresql", "redis"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of processes that share one of the stores."""
    env = {"MEDIAGATE_MIGRATE": "true", "MEDIAGATE_IMAGE_PROCESSES": "1", "MEDIAGATE_WORKER": "false"}
    if request.param == "postgresql":
        url = str(request.getfixturevalue("postgres_url"))

        async def empty() -> None:
            connection = await asyncpg.connect(url)
            await connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
            await connection.close()

        asyncio.run(empty())
        env["MEDIAGATE_DATABASE_URL"] = url
    redis = str(request.getfixturevalue("redis_url")) if request.param == "redis" else ""
    yield {**env, "REDIS_URL": redis}
    if redis:
        with Redis.from_url(redis) as client:
            for key in client.scan_iter("mediagate:rate:*"):
                client.delete(key)


def options(store: dict[str, str], **limits: object) -> str:
    # All requests come from one machine; the header gives each caller its own address.
    redis = {"redis_url": store["REDIS_URL"]} if store["REDIS_URL"] else {}
    return json.dumps({**redis, "trusted_proxies": ["127.0.0.1"], **limits})


def somebody() -> dict[str, str]:
    """Return the header of a new caller."""
    return {"X-Forwarded-For": f"2001:db8:{secrets.token_hex(2)}:{secrets.token_hex(2)}::1"}


def upload(server: Server, photo: bytes, headers: dict[str, str], source_type: str = "free") -> httpx.Response:
    return loopback.post(
        f"{server.url}/upload",
        data={**FORM, "sourceType": source_type},
        files={"file": ("a.jpg", photo)},
        headers=headers,
        timeout=120,
    )


async def storm(servers: list[Server], photo: bytes, source_type: str, headers: dict[str, str]) -> list[httpx.Response]:
    """Send concurrent uploads, distributed over all processes."""
    async with loopback.async_client(timeout=120, limits=httpx.Limits(max_connections=STORM)) as client:
        sent = [
            client.post(
                f"{servers[n % len(servers)].url}/upload",
                data={**FORM, "sourceType": source_type},
                files={"file": ("a.jpg", photo)},
                headers=headers,
            )
            for n in range(STORM)
        ]
        return list(await asyncio.gather(*sent))


def test_rate_limit_is_exact_across_processes(store: dict[str, str], tmp_path: Path, photo: bytes) -> None:
    limits = options(
        store,
        per_address=["30/day"],
        per_source={"avatar": ["10/day", f"{12 * len(photo)} B/day"], "post": "5 jobs"},
    )
    with ExitStack() as stack:
        first = stack.enter_context(running("limited_gate:gate", tmp_path / "data", **store, RATE_LIMIT=limits))
        second = Server("limited_gate:gate", tmp_path / "data", **store, RATE_LIMIT=limits)
        stack.callback(lambda: second.process and second.stop())
        second.start()
        for source_type, allowed in (("free", 30), ("avatar", 10), ("post", 5)):
            who = somebody()
            answers = asyncio.run(storm([first, second], photo, source_type, who))
            assert Counter(a.status_code for a in answers) == {202: allowed, 429: STORM - allowed}, source_type
            assert all(a.json()["code"] == "rate_limited" for a in answers if a.status_code == 429)
            assert all(int(a.headers["Retry-After"]) >= 1 for a in answers if a.status_code == 429)
            assert upload(second, photo, who, source_type).status_code == 429
            assert upload(first, photo, somebody(), source_type).status_code == 202, "another caller has its own"


def wait_until_accepted(server: Server, photo: bytes, who: dict[str, str]) -> None:
    end = time.monotonic() + 60
    while (answer := upload(server, photo, who)).status_code == 429:
        assert time.monotonic() < end, server.log.read_text()[-3000:]
        time.sleep(0.1)
    assert answer.status_code == 202, answer.text


def wait_until_claimed(server: Server, job_id: str) -> None:
    end = time.monotonic() + 60
    while loopback.get(f"{server.url}/status/{job_id}", timeout=30).json()["status"] != "PROCESSING":
        assert time.monotonic() < end, server.log.read_text()[-3000:]
        time.sleep(0.1)


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_job_limit_is_released_after_a_worker_dies(store: dict[str, str], tmp_path: Path, photo: bytes) -> None:
    data = tmp_path / "data"
    env = {**store, "MEDIAGATE_WORKER": "true", "MEDIAGATE_LEASE_S": "1", "MEDIAGATE_JANITOR_INTERVAL_S": "0.5"}
    limits = options(store, per_address="1 jobs")
    with running("limited_gate:gate", data, **env, RATE_LIMIT=limits) as server:
        who = somebody()
        (data / "hold").touch()
        sent = upload(server, photo, who)
        assert sent.status_code == 202
        wait_until_claimed(server, sent.json()["jobId"])
        server.kill()
        server.start()
        assert upload(server, photo, who).status_code == 429, "its job is live"
        (data / "hold").unlink()
        wait_until_accepted(server, photo, who)


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_rate_limit_refusal_does_not_wait_for_the_body(store: dict[str, str], tmp_path: Path, photo: bytes) -> None:
    limits = options(store, per_address=["1/day"])
    with running("limited_gate:gate", tmp_path / "data", **store, RATE_LIMIT=limits) as server:
        who = somebody()
        assert upload(server, photo, who).status_code == 202
        head = (
            "POST /image-pipeline/upload HTTP/1.1\r\nHost: test\r\nContent-Type: multipart/form-data; boundary=B\r\n"
            f"X-Forwarded-For: {who['X-Forwarded-For']}\r\nContent-Length: 5000000\r\n\r\n"
        ).encode()
        # A client that reads before it sends the body, and one that reads after it has sent all.
        for body in (b"", b"x" * 5_000_000):
            with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
                connection.sendall(head)
                connection.sendall(body)
                answer = connection.recv(65536)
                answered = time.monotonic()
                while more := connection.recv(65536):
                    answer += more
                closed = time.monotonic()
            if not body:
                assert closed - answered > 1, "the answer must come before the server waits for the body"
            assert answer.startswith(b"HTTP/1.1 429"), answer
            assert b"connection: close" in answer.lower()
            assert b'"code":"rate_limited"' in answer
