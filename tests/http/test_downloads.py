"""Download limits: stalled and slow readers, their number and their memory. Uses real sockets and a real uvicorn."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import select
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Literal

import httpx
import pytest
import uvicorn
from starlette.requests import Request
from starlette.types import Message

from mediagate import STORAGE, MediaGate
from mediagate.http import downloads
from mediagate.http.downloads import Downloads
from mediagate.http.files import serve_file
from mediagate.observe import Observer
from mediagate.storage import FilesystemStorage, MemoryStorage, Storage, streaming
from mediagate.storage.observation import observed
from tests.support import loopback

pytestmark = pytest.mark.anyio

MakeGate = Callable[..., MediaGate]
KEY = "media/avatar/user-1/med_1/sm.webp"
SIZE = 6_000_000
"""More than the kernel buffers for a loopback connection."""
SERVERS = pytest.mark.parametrize(
    ("http", "loop"), [("h11", "asyncio"), ("httptools", "uvloop")], ids=["h11", "httptools"]
)


class Counted(FilesystemStorage):
    """Counts open streams."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.open = 0

    async def stream(self, key: str, *, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        self.open += 1
        try:
            async for chunk in super().stream(key, start=start, length=length):
                yield chunk
        finally:
            self.open -= 1


@contextmanager
def served(gate: MediaGate, http: Any = "auto", loop: Any = "auto") -> Iterator[int]:
    """Run the gate under uvicorn in a thread and yield its port."""
    with socket.create_server(("127.0.0.1", 0), backlog=200) as listening:
        config = uvicorn.Config(gate, http=http, loop=loop, log_config=None, access_log=False)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()


def asked(port: int, method: str = "GET", headers: str = "") -> socket.socket:
    """Request the file without reading the response."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(30)
    connection.connect(("127.0.0.1", port))
    connection.sendall(f"{method} /{KEY} HTTP/1.1\r\nHost: test\r\n{headers}\r\n".encode())
    return connection


def rest_of(connection: socket.socket) -> bytes:
    """Read until the connection ends."""
    parts = []
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(1 << 20):
            parts.append(part)
    return b"".join(parts)


def was_cut(connection: socket.socket) -> bool:
    watch = select.poll()
    watch.register(connection, select.POLLHUP)
    return any(event & select.POLLHUP for _, event in watch.poll(0))


def until(what: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not what():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture
def storage(tmp_path: Path) -> Counted:
    file = tmp_path / "files" / KEY
    file.parent.mkdir(parents=True)
    file.write_bytes(bytes(SIZE))
    return Counted(tmp_path / "files")


def with_storage(make_gate: MakeGate, storage: Storage, **settings: Any) -> MediaGate:
    gate = make_gate(memory=False, worker=False, **settings)
    gate.decorate(STORAGE, storage)
    return gate


@SERVERS
def test_download_to_stalled_reader_is_aborted(
    make_gate: MakeGate, storage: Counted, http: str, loop: str, caplog: pytest.LogCaptureFixture
) -> None:
    gate = with_storage(make_gate, storage, download_timeout_s=0.3)
    with caplog.at_level(logging.INFO), served(gate, http, loop) as port, asked(port) as stalled:
        until(lambda: storage.open == 1)
        until(lambda: storage.open == 0)
        # Bytes in the kernel's buffers are still readable. After them the connection is closed, not only half closed.
        assert len(rest_of(stalled)) < SIZE
        with pytest.raises(OSError):
            while True:
                stalled.sendall(b"x" * 65536)
        assert len(loopback.get(f"http://127.0.0.1:{port}/{KEY}").content) == SIZE
    assert [r.levelname for r in caplog.records if r.name == "mediagate.files"] == ["INFO"]
    assert not [r for r in caplog.records if r.levelno >= logging.ERROR]


@SERVERS
@pytest.mark.slow
def test_download_to_slow_reader_completes(make_gate: MakeGate, storage: Counted, http: str, loop: str) -> None:
    gate = with_storage(make_gate, storage, download_timeout_s=1)
    with served(gate, http, loop) as port, asked(port, headers="Connection: close\r\n") as slow:
        received = 0
        for step in range(1, 11):
            while received < step * 100_000:
                received += len(slow.recv(65536))
            time.sleep(0.2)
        received += len(rest_of(slow))
    assert received > SIZE


@SERVERS
def test_downloads_beyond_the_limit_answer_503_until_a_place_is_free(
    make_gate: MakeGate, storage: Counted, http: str, loop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "OVERDUE_S", 60.0)
    gate = with_storage(make_gate, storage, max_downloads=3)
    with served(gate, http, loop) as port, ExitStack() as stack:
        url = f"http://127.0.0.1:{port}/{KEY}"
        stalled = [stack.enter_context(asked(port)) for _ in range(3)]
        until(lambda: storage.open == 3)
        refused = loopback.get(url)
        assert (refused.status_code, refused.json()["code"]) == (503, "too_many_downloads")
        assert refused.json()["retryable"]
        assert int(refused.headers["Retry-After"]) >= 1
        etag = loopback.head(url).headers["ETag"]
        assert loopback.get(url, headers={"If-None-Match": etag}).status_code == 304
        for connection in stalled:
            connection.close()
        until(lambda: storage.open == 0)
        assert len(loopback.get(url).content) == SIZE


def test_overdue_download_is_aborted_to_admit_another(
    make_gate: MakeGate, storage: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "OVERDUE_S", 0.1)
    gate = with_storage(make_gate, storage, max_downloads=2)
    with served(gate) as port, asked(port) as one, asked(port) as other:
        url = f"http://127.0.0.1:{port}/{KEY}"
        until(lambda: storage.open == 2)
        until(lambda: loopback.get(url).status_code == 200)
        until(lambda: storage.open == 1)
        assert len([reader for reader in (one, other) if was_cut(reader)]) == 1


def test_downloads_of_one_address_are_limited_to_its_share(
    make_gate: MakeGate, storage: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "OVERDUE_S", 60.0)
    gate = with_storage(make_gate, storage, max_downloads=4, address_share=0.25)
    with served(gate) as port, asked(port):
        until(lambda: storage.open == 1)
        url = f"http://127.0.0.1:{port}/{KEY}"
        assert loopback.get(url).json()["code"] == "too_many_downloads"
        elsewhere = httpx.HTTPTransport(local_address="127.0.0.2")
        with httpx.Client(transport=elsewhere) as client:
            assert len(client.get(url).content) == SIZE


@pytest.mark.parametrize("headers", ["", "Range: bytes=1-5000000\r\n"])
def test_stalled_downloads_hold_little_memory(make_gate: MakeGate, storage: Counted, headers: str) -> None:
    """The server holds one piece of each download."""
    gate = with_storage(make_gate, storage)
    with served(gate) as port, ExitStack() as stack:
        before = memory()
        for _ in range(100):
            stack.enter_context(asked(port, headers=headers))
        until(lambda: storage.open == 100)
        until(lambda: stands_still(memory))
        assert memory() - before < 25_000_000, "two chunks of 256 KiB each and the buffers of the server would be 70 MB"


def memory() -> int:
    """Return the resident bytes of this process, which also runs the server."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


def stands_still(measure: Callable[[], int]) -> bool:
    first = measure()
    time.sleep(0.3)
    return measure() == first


class Chunks(MemoryStorage):
    """A third-party storage that yields each object as one chunk."""

    async def stream(self, key: str, *, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        yield await self.get(key)


@pytest.mark.parametrize("spec", ["2.3", "2.4"])
async def test_download_sends_small_pieces_and_stops_at_disconnect(
    make_gate: MakeGate, spec: Literal["2.3", "2.4"]
) -> None:
    """The server exposes no transport; it reports a disconnect by a message (2.3) or by an error (2.4)."""
    storage, sent = Chunks(), []
    await storage.put(KEY, bytes(200_000))
    scope = {"type": "http", "method": "GET", "path": f"/{KEY}", "headers": [], "asgi": {"spec_version": spec}}
    gone = asyncio.Event()

    async def receive() -> Message:
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(len(message.get("body", b"")))
        if len(sent) == 3:
            gone.set()
            if spec == "2.4":
                raise OSError("the reader went away")
            await asyncio.sleep(60)

    request = Request(scope, receive)
    answer = await serve_file(request, storage, KEY, Downloads(make_gate().settings))
    async with asyncio.timeout(20):
        await answer(scope, receive, send)
    assert sent == [0, downloads.PIECE, 0]


async def test_observed_stream_is_closed_when_its_reader_stops(storage: Counted) -> None:
    stream = observed(storage, Observer()).stream(KEY)
    async with streaming(stream) as chunks:
        assert await anext(chunks)
        assert storage.open == 1
    assert storage.open == 0
