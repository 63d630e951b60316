"""Connection limits: slow clients and defaults. The end-to-end tests are in e2e/test_connections.py."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import uvicorn
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from mediagate import MediaGate
from mediagate.cli.server import MONITORS, connections, monitored, serve
from mediagate.cli.server.connections import FEWEST, MOST, Connections, most_by_default
from mediagate.errors import ConfigError
from tests.support import loopback
from tests.support.until import until

pytestmark = pytest.mark.anyio

LARGE = 20_000_000
"""More than the kernel buffers for a client that does not read."""


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "SWEEP_S", 0.02)
    monkeypatch.setattr(connections, "FLUSH_S", 0.1)


@asynccontextmanager
async def serving(http: str, **headers: str) -> AsyncIterator[tuple[uvicorn.Server, int]]:
    """Serve a large body with a limit of one connection."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await Response(b"x" * LARGE, headers=headers)(scope, receive, send)

    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, http=Connections(1).protocol(http), lifespan="off", log_config=None, access_log=False)
    server = uvicorn.Server(config)
    running = asyncio.create_task(server.serve([listening]))
    try:
        yield server, listening.getsockname()[1]
    finally:
        server.should_exit = server.force_exit = True
        await running


async def asked(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
    writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    return reader, writer


async def until_answered(server: uvicorn.Server) -> None:
    await until(lambda: server.server_state.total_requests, timeout_s=30)


@pytest.mark.parametrize("http", ["h11", "httptools"])
async def test_closing_connection_is_dropped_when_its_client_does_not_read(http: str) -> None:
    async with serving(http, Connection="close") as (server, port):
        _, writer = await asked(port)
        await until_answered(server)
        await until(lambda: not server.server_state.connections, timeout_s=30)
        writer.close()


@pytest.mark.parametrize("http", ["h11", "httptools"])
async def test_connection_with_unread_answer_is_not_dropped_to_make_room(http: str) -> None:
    async with serving(http) as (server, port):
        reader, writer = await asked(port)
        await until_answered(server)
        other, others_writer = await asked(port)
        assert (await other.readline()).split()[1] == b"503"
        others_writer.close()
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.split()[1] == b"200"
        assert len(await reader.readexactly(LARGE)) == LARGE
        writer.close()


async def test_worker_monitoring_connections_are_limited(make_gate: Callable[..., MediaGate]) -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    async with make_gate(worker=False) as gate, monitored(gate, [listening]):
        half = [await asyncio.open_connection("127.0.0.1", port) for _ in range(MONITORS)]
        for _, writer in half:
            writer.write(b"GET /hea")
        async with loopback.async_client(base_url=f"http://127.0.0.1:{port}") as client:
            assert (await client.get("/healthz")).status_code == 200
        assert await half[0][0].read() == b"", "the oldest connection was dropped to make room"
        for _, writer in half:
            writer.close()


@pytest.mark.parametrize(
    ("files", "uploads", "most"),
    [(1024, 128, 320), (20_000, 128, MOST), (256, 128, FEWEST), (1024, 500, 134), (2**40, 128, MOST)],
)
def test_default_max_connections_follows_the_open_file_limit(
    monkeypatch: pytest.MonkeyPatch, files: int, uploads: int, most: int
) -> None:
    monkeypatch.setattr(connections, "open_files", lambda: files)
    assert most_by_default(uploads) == most


def test_max_connections_above_the_open_file_limit_is_a_config_error(
    monkeypatch: pytest.MonkeyPatch, make_gate: Callable[..., MediaGate]
) -> None:
    monkeypatch.setattr(connections, "open_files", lambda: 1024)
    with pytest.raises(ConfigError, match=r"1024; raise it \(`ulimit -n`\), or use at most 768"):
        serve(make_gate(), host="127.0.0.1", port=0, mount="/x", max_connections=1000)


@pytest.mark.parametrize("http", ["h2", ""])
def test_serve_refuses_unknown_http_parser(http: str, make_gate: Callable[..., MediaGate]) -> None:
    with pytest.raises(ConfigError, match="use auto, h11 or httptools"):
        serve(make_gate(), host="127.0.0.1", port=0, mount="/x", http=http)
