"""Limits of a served gate on connections and request heads (number, time, size), with either HTTP parser."""

from __future__ import annotations

import json
import resource
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from mediagate.cli.server.connections import LOG_EVERY_S
from tests.support import loopback
from tests.support.load import stretched
from tests.support.server import MOUNT, Server, running

PLACES = 4
HALF = b"GET /image-pipeline/hea"
HEALTH = f"GET {MOUNT}/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


@contextmanager
def limit_of_files(limit: int) -> Iterator[None]:
    """Limit the open files of processes started within the block, like `ulimit -n`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture(scope="module", params=["h11", "httptools"])
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service that accepts few connections and allows half a second for a request head."""
    data_dir = tmp_path_factory.mktemp(request.param) / "data"
    options = ["--http", request.param, "--max-connections", str(PLACES), "--head-timeout", "0.5"]
    with running("plain_gate:gate", data_dir, options=options, MEDIAGATE_IMAGE_PROCESSES="1") as server:
        yield server


@pytest.fixture
def opened(served: Server) -> Iterator[Opened]:
    with ExitStack() as stack:
        yield Opened(served, stack)


class Opened:
    """Opens connections to a service; all are closed after the test."""

    def __init__(self, server: Server, stack: ExitStack) -> None:
        self._server = server
        self._stack = stack

    def __call__(self, sent: bytes = b"") -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self._server.port), timeout=30)
        self._stack.enter_context(connection)
        connection.sendall(sent)
        return connection


def answer(connection: socket.socket) -> tuple[int, bytes, bytes]:
    """Read one response with a Content-Length; returns status, headers and body."""
    received = b""
    while b"\r\n\r\n" not in received and (more := connection.recv(65536)):
        received += more
    head, _, body = received.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    while len(body) < length and (more := connection.recv(65536)):
        body += more
    return int(head.split()[1]), head.lower(), body


def is_closed(connection: socket.socket) -> bool:
    """Wait for the server to close a connection; returns False if it sends data instead."""
    try:
        return connection.recv(65536) == b""
    except ConnectionResetError:
        return True


@pytest.mark.parametrize("http", ["h11", "httptools"])
def test_service_stays_reachable_with_400_unfinished_requests(http: str, tmp_path: Path, photo: bytes) -> None:
    with ExitStack() as stack:
        with limit_of_files(320):
            server = stack.enter_context(
                running("plain_gate:gate", tmp_path / "data", options=["--http", http], MEDIAGATE_IMAGE_PROCESSES="1")
            )
        opened = Opened(server, stack)
        for _ in range(400):
            opened(HALF)
        assert loopback.get(f"{server.url}/healthz", timeout=30).status_code == 200
        sent = server.upload("a.jpg", photo)
        assert sent.status_code == 202, sent.text
        assert server.settled(sent.json()["jobId"]).status_code == 200
        (*_, line) = (told := [t for t in server.log.read_text().splitlines() if "too many connections" in t])
        assert "--max-connections" in line and "`ulimit -n`: 320" in line
        assert len(told) < 10, "one line for many connections"


def test_stalled_head_is_answered_408(served: Server, opened: Opened) -> None:
    fresh = opened(HALF)
    used = opened(HEALTH)
    assert answer(used)[0] == 200
    used.sendall(HALF)
    for connection in (fresh, used):
        status, head, body = answer(connection)
        assert (status, json.loads(body)["code"]) == (408, "head_timeout")
        assert b"connection: close" in head and b"x-content-type-options: nosniff" in head
        assert is_closed(connection)
    end = time.monotonic() + stretched(LOG_EVERY_S + 5)
    while "--head-timeout" not in served.log.read_text():
        assert time.monotonic() < end, "the log counts them at most once in ten seconds"
        time.sleep(0.1)


def test_head_timeout_covers_trickling_headers(opened: Opened) -> None:
    connection = opened(HEALTH[:-2])
    with pytest.raises(OSError):
        connection.settimeout(0.05)
        while True:
            try:
                assert connection.recv(1, socket.MSG_PEEK)
                break
            except TimeoutError:
                connection.sendall(b"X-More: 1\r\n")
        connection.settimeout(30)
        status, _, body = answer(connection)
        assert (status, json.loads(body)["code"]) == (408, "head_timeout")
        while True:
            connection.sendall(b"X-More: 1\r\n")


def test_silent_connection_is_closed_without_an_answer(opened: Opened) -> None:
    assert is_closed(opened())


def test_unread_body_does_not_keep_its_connection_open(opened: Opened) -> None:
    head = f"POST {MOUNT}/healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n"
    connection = opened(head.encode())
    assert answer(connection)[0] == 405
    connection.settimeout(0.1)
    with pytest.raises(OSError):
        while True:
            try:
                assert connection.recv(1) == b""
                raise ConnectionResetError
            except TimeoutError:
                connection.sendall(b"x")


def test_idle_connection_is_closed_for_a_new_one(served: Server, opened: Opened) -> None:
    idle = [opened(HEALTH) for _ in range(PLACES)]
    assert [answer(connection)[0] for connection in idle] == [200] * PLACES
    assert answer(opened(HEALTH))[0] == 200
    assert is_closed(idle[0]), "the connection idle for longest"
    idle[-1].sendall(HEALTH)
    assert answer(idle[-1])[0] == 200


def test_new_connection_is_refused_while_all_others_are_busy(opened: Opened, photo: bytes) -> None:
    head = (
        f"PUT {MOUNT}/upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n",
        f"POST {MOUNT}/upload HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=B\r\n"
        "Content-Length: 900\r\n\r\n--B\r\n",
    )
    busy = [opened(head[1].encode()) for _ in range(PLACES)]
    new = opened(HEALTH)
    status, head_of_answer, body = answer(new)
    assert (status, json.loads(body)["code"]) == (503, "too_many_connections")
    assert b"retry-after: " in head_of_answer
    assert is_closed(new)
    busy.pop().close()
    while (status := answer(opened(HEALTH))[0]) == 503:
        pass
    assert status == 200


def test_oversized_head_is_answered_431(served: Server, opened: Opened) -> None:
    connection = opened(HEALTH[:-2])
    with pytest.raises(OSError):
        for _ in range(100):
            connection.sendall(b"X-More: " + b"x" * 8000 + b"\r\n")
            connection.settimeout(0.01)
            try:
                if connection.recv(1, socket.MSG_PEEK):
                    break
            except TimeoutError:
                pass
        connection.settimeout(30)
        status, _, body = answer(connection)
        assert (status, json.loads(body)["code"]) == (431, "head_too_large")
        while True:
            connection.sendall(b"x" * 1000)


def test_head_with_a_14_kb_cookie_is_accepted(opened: Opened) -> None:
    connection = opened(HEALTH[:-2] + b"Cookie: " + b"x" * 14_000 + b"\r\n\r\n")
    assert answer(connection)[0] == 200
