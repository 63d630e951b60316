"""Uploads over real sockets to a real uvicorn: hostile clients, and delivery of refusals."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import loopback
from tests.support.server import ROOT
from tests.support.upload_server import LIMITS

HEAD = b"POST /upload HTTP/1.1\r\nHost: test\r\nContent-Type: multipart/form-data; boundary=B\r\n"
FORM = {"sourceType": "post", "sourceId": "user-1"}
FIELDS = b"".join(
    b'--B\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % field
    for field in ((b"sourceType", b"post"), (b"sourceId", b"user-1"))
)
FILE = b'--B\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n'
END = b"\r\n--B--\r\n"
MIB = 1024 * 1024


@dataclass
class Runtime:
    port: int
    pid: int
    spool_dir: Path
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/upload"

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def wait_until_empty(self) -> None:
        """Wait until the spool is empty; raises AssertionError after 10 s."""
        for _ in range(200):
            if not list(self.spool_dir.iterdir()):
                return
            time.sleep(0.05)
        raise AssertionError(list(self.spool_dir.iterdir()))

    def peak_mb(self) -> float:
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Runtime]:
    spool_dir, log = tmp_path / "spool", tmp_path / "log"
    spool_dir.mkdir()
    script = ROOT / "tests" / "support" / "upload_server.py"
    with log.open("wb") as errors:
        process = subprocess.Popen([sys.executable, script, spool_dir], stdout=subprocess.PIPE, stderr=errors)
    assert process.stdout is not None
    try:
        yield Runtime(int(process.stdout.readline()), process.pid, spool_dir, log)
    finally:
        process.terminate()
        process.wait(20)
        process.stdout.close()
    assert "Traceback" not in log.read_text(), log.read_text()


def status_of(connection: socket.socket) -> int:
    """Read a response to its end and return its status, or 0 if the server closed without one."""
    answer = b""
    with contextlib.suppress(ConnectionResetError):
        while b"\r\n\r\n" not in answer or not answer.endswith(b"}"):
            if not (more := connection.recv(65536)):
                break
            answer += more
    return int(answer.split()[1]) if answer else 0


def test_upload_connection_is_reused_after_success_and_refusal(server: Runtime, photo: bytes) -> None:
    with loopback.client() as client:
        for _ in range(3):
            answer = client.post(server.url, data=FORM, files={"file": ("a.jpg", photo)})
            assert answer.status_code == 200
            assert answer.json()["bytes"] == answer.json()["onDisk"] == len(photo)
            assert answer.json()["mode"] == "0o600"
            assert answer.json()["fields"] == FORM
            refused = client.post(server.url, data={}, files={"file": ("a.jpg", photo)})
            assert refused.status_code == 400
            assert "connection" not in refused.headers
    server.wait_until_empty()


@pytest.mark.parametrize("over_mib", [0.01, 5, 40, 180])
@pytest.mark.parametrize("chunked", [False, True])
def test_413_reaches_a_client_that_reads_only_after_sending(server: Runtime, over_mib: float, chunked: bool) -> None:
    size = LIMITS["post"] + int(over_mib * MIB)
    pieces = [FIELDS + FILE, *[b"x" * MIB] * (size // MIB), b"x" * (size % MIB), END]
    length = {} if chunked else {"Content-Length": str(sum(map(len, pieces)))}
    headers = {"Content-Type": "multipart/form-data; boundary=B", **length}
    before = server.peak_mb()
    answer = loopback.post(server.url, content=iter(pieces), headers=headers, timeout=60)
    assert (answer.status_code, answer.json()["code"]) == (413, "upload_too_large")
    assert answer.headers["content-type"] == "application/problem+json"
    assert server.peak_mb() - before < 40
    server.wait_until_empty()


@pytest.mark.parametrize("over_mib", [0.01, 5])
def test_413_reaches_a_client_that_gives_up_on_a_failed_send(server: Runtime, over_mib: float) -> None:
    """Some network stacks discard a received response when the connection is reset."""
    size = LIMITS["post"] + int(over_mib * MIB)
    body = FIELDS + FILE + b"x" * size + END
    with server.connect() as connection:
        connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(body))
        connection.sendall(body)
        assert status_of(connection) == 413


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize("mib", [21, 200])
@pytest.mark.parametrize("header", ["Expect: 100-continue", "Expect:"])
def test_413_reaches_curl(server: Runtime, tmp_path: Path, mib: int, header: str) -> None:
    with (tmp_path / "big").open("wb") as big:
        big.truncate(mib * MIB)
    form = ["-F", "sourceType=post", "-F", "sourceId=u", "-F", f"file=@{tmp_path / 'big'}"]
    command = ["curl", "-sS", "-m", "60", "-H", header, "-o", "/dev/null", "-w", "%{http_code}", *form, server.url]
    assert subprocess.run(command, capture_output=True, text=True, check=False).stdout == "413"


def test_refused_connection_is_not_reset_while_the_client_sends(server: Runtime) -> None:
    """A reset would discard the response before the client has read it."""
    with server.connect() as connection:
        connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % (200 * MIB))
        connection.sendall(FIELDS + FILE + b"x" * MIB)
        assert status_of(connection) == 413
        for _ in range(4):
            connection.sendall(b"x" * MIB)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass


def test_expect_100_continue_is_answered_413_at_once(server: Runtime) -> None:
    with server.connect() as connection:
        connection.sendall(HEAD + b"Content-Length: 90000000\r\nExpect: 100-continue\r\n\r\n")
        answer = connection.recv(65536)
        assert answer.startswith(b"HTTP/1.1 413")
        assert b"connection: close" in answer.lower()


def test_endless_body_is_cut_off(server: Runtime) -> None:
    """A sender that never stops gets the 413, then a closed connection."""
    sent = 0
    piece = b"100000\r\n" + b"x" * MIB + b"\r\n"
    with server.connect() as connection:
        connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        opening = FIELDS + FILE
        connection.sendall(b"%x\r\n%s\r\n" % (len(opening), opening))
        with pytest.raises(OSError):
            while sent < 2000 * MIB:
                connection.sendall(piece)
                sent += MIB
    assert sent < 200 * MIB
    server.wait_until_empty()


@pytest.mark.parametrize("pause_s", [3, 0.2])
def test_slow_loris_is_answered_408(server: Runtime, pause_s: float) -> None:
    """One client stops sending, the other sends below the minimum rate."""
    started = time.monotonic()
    with server.connect() as connection:
        connection.sendall(HEAD + b"Content-Length: 500000\r\n\r\n" + FIELDS[:20])
        stop = threading.Event()

        def trickle() -> None:
            with contextlib.suppress(OSError):
                while not stop.wait(pause_s):
                    connection.sendall(b"x")

        trickling = threading.Thread(target=trickle)
        trickling.start()
        try:
            assert status_of(connection) == 408
        finally:
            stop.set()
            trickling.join()
    assert time.monotonic() - started < 15
    server.wait_until_empty()


@pytest.mark.parametrize("sent", [0, 50, 700_000, 2_000_000])
def test_cut_connection_leaves_no_spool_file(server: Runtime, sent: int) -> None:
    body = FIELDS + FILE + b"x" * 3_000_000 + END
    with server.connect() as connection:
        connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body[:sent])
        time.sleep(0.2)
    server.wait_until_empty()
    assert loopback.post(server.url, data=FORM, files={"file": ("a.jpg", b"x")}).status_code == 200


@pytest.mark.parametrize("length", [b"-1", b"9" * 40, b"5, 6", b"0x10", b""])
def test_invalid_content_length_is_refused(server: Runtime, length: bytes) -> None:
    with server.connect() as connection:
        connection.sendall(HEAD + b"Content-Length: " + length + b"\r\n\r\n" + FIELDS)
        connection.shutdown(socket.SHUT_WR)
        assert status_of(connection) in (400, 413)
    server.wait_until_empty()


def test_multipart_limits_tiny_parts_but_not_tiny_chunks(server: Runtime) -> None:
    part = b'--B\r\nContent-Disposition: form-data; name="f"\r\n\r\n\r\n'
    answer = loopback.post(
        server.url, content=part * 5000 + FIELDS + END, headers={"Content-Type": "multipart/form-data; boundary=B"}
    )
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_upload")
    body = FIELDS + FILE + b"x" * 20_000 + END
    with server.connect() as connection:
        connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        connection.sendall(b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n")
        assert status_of(connection) == 200


def test_part_header_of_10_kb_is_refused(server: Runtime) -> None:
    part = b'--B\r\nContent-Disposition: form-data; name="file"; filename="' + b"a" * 10_000 + b'"\r\n\r\nx' + END
    with server.connect() as connection:
        connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(FIELDS + part) + FIELDS + part)
        assert status_of(connection) == 400


def test_memory_stays_flat_during_eight_concurrent_uploads(server: Runtime) -> None:
    content = b"x" * (10 * MIB)
    before = server.peak_mb()
    statuses: list[int] = []

    def upload() -> None:
        statuses.append(loopback.post(server.url, data=FORM, files={"file": ("a", content)}, timeout=60).status_code)

    threads = [threading.Thread(target=upload) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 8
    assert server.peak_mb() - before < 60, "eight bodies of 10 MiB would take more"
    server.wait_until_empty()
