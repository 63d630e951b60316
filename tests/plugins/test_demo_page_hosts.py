"""Host names on loopback: a gate with the demo page answers only to names of this machine (DNS rebinding)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx
import pytest
from starlette.requests import Request

from mediagate import Action, MediaGate, Principal, Settings
from mediagate.errors import ConfigError, PluginError
from mediagate_plugins.demo_page import demo_page

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

MakeGate = Callable[..., MediaGate]
LOCAL = [
    "127.0.0.1:8000", "127.0.0.1", "127.8.8.8", "localhost", "LOCALHOST:8000", "localhost.:8000", "app.localhost:1",
    "[::1]:8000", "[::1]", "192.168.1.5:8000",
]  # fmt: skip
FOREIGN = [
    "evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.evil.example:8000", "notlocalhost",
    "localhost@evil.example", "localhost:8000.evil.example", "127.1:8000", "0x7f000001", "[evil.example]", "", ":8000",
]  # fmt: skip
ROUTES = [
    ("GET", "/"), ("GET", "/demo/page.js"), ("GET", "/media?sourceType=avatar"), ("GET", "/jobs"), ("GET", "/usage"),
    ("GET", "/status/job_x"), ("POST", "/upload"), ("POST", "/uploads"), ("DELETE", "/media/med_x"),
    ("GET", "/media/avatar/u1/med_x/xs.webp"), ("GET", "/healthz"), ("GET", "/no-such-route"),
]  # fmt: skip


@asynccontextmanager
async def reached_on(gate: MediaGate, address: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client whose connection reaches the gate on this address of the server."""
    transport = httpx.ASGITransport(gate, raise_app_exceptions=False)
    async with gate, httpx.AsyncClient(transport=transport, base_url=f"http://{address}:8000") as client:
        yield client


def with_page(gate: MediaGate) -> MediaGate:
    gate.register(demo_page)
    return gate


@pytest.mark.parametrize("address", ["127.0.0.1", "127.1.2.3", "[::1]", "[::ffff:127.0.0.1]"])
async def test_foreign_host_is_refused_on_loopback_by_every_route(make_gate: MakeGate, address: str) -> None:
    async with reached_on(with_page(make_gate(worker=False)), address) as client:
        for host in FOREIGN:
            for method, path in ROUTES:
                answer = await client.request(method, path, headers={"Host": host})
                assert (answer.status_code, answer.json()["code"]) == (403, "host_not_allowed"), (host, path)
            assert "MEDIAGATE_ALLOWED_HOSTS" in answer.json()["detail"]
        for host in LOCAL:
            assert (await client.get("/", headers={"Host": host})).status_code == 200, host
            assert (await client.get("/jobs", headers={"Host": host})).status_code == 200, host


async def test_allowed_hosts_and_public_base_url_are_accepted_as_host(
    make_gate: MakeGate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDIAGATE_ALLOWED_HOSTS", "dev.example, Box.Example.")
    gate = with_page(make_gate(worker=False, public_base_url="https://Public.example/pictures"))
    async with reached_on(gate, "127.0.0.1") as client:
        for host in ("dev.example", "dev.example:8000", "box.example", "public.example:443"):
            assert (await client.get("/", headers={"Host": host})).status_code == 200, host
        assert (await client.get("/", headers={"Host": "evil.example"})).status_code == 403


async def test_allowed_hosts_star_accepts_every_host(make_gate: MakeGate) -> None:
    async with reached_on(with_page(make_gate(worker=False, allowed_hosts=["*"])), "127.0.0.1") as client:
        assert (await client.get("/", headers={"Host": "evil.example"})).status_code == 200


@pytest.mark.parametrize("host", ["https://dev.example", "dev.example:8000", "*.example", "dev example"])
def test_allowed_hosts_refuses_urls_ports_and_patterns(host: str) -> None:
    with pytest.raises(ConfigError, match="without scheme and port"):
        Settings(allowed_hosts=[host])


async def test_gate_beyond_loopback_accepts_every_host(make_gate: MakeGate) -> None:
    for address in ("10.0.0.7", "gate.example"):
        async with reached_on(with_page(make_gate(worker=False)), address) as client:
            assert (await client.get("/", headers={"Host": "evil.example"})).status_code == 200


async def test_gate_with_authorize_or_without_the_page_accepts_every_host(make_gate: MakeGate) -> None:
    async def authorize(request: Request, action: Action) -> Principal | None:
        return None

    made = make_gate(worker=False)
    asking = MediaGate(sources=made.sources, settings=made.settings, moderation="off", authorize=authorize)
    for gate, status in ((with_page(asking), 401), (make_gate(worker=False), 200)):
        async with reached_on(gate, "127.0.0.1") as client:
            assert (await client.get("/jobs", headers={"Host": "app.example"})).status_code == status


async def test_guard_hosts_protects_a_gate_without_the_page(make_gate: MakeGate) -> None:
    gate = make_gate(worker=False)
    gate.guard_hosts()
    async with reached_on(gate, "127.0.0.1") as client:
        assert (await client.get("/jobs", headers={"Host": "evil.example"})).status_code == 403
        with pytest.raises(PluginError, match=r"guard_hosts\(\) was called after boot"):
            gate.guard_hosts()
