"""CSRF protection: requests with cookies that a browser sends on behalf of other sites."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.testclient import TestClient

from mediagate import Action, MediaGate, Principal, Settings, Source
from mediagate.errors import ConfigError

pytestmark = pytest.mark.anyio

MakeGate = Callable[..., MediaGate]
HOST = "https://gate.example"
COOKIE = {"Cookie": "session=s"}
FORM = {"sourceType": "avatar", "sourceId": "u1"}
OWN = [
    {"Sec-Fetch-Site": "same-origin"},
    {"Sec-Fetch-Site": "none"},
    {"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"},
    {"Origin": HOST},
    {"Origin": "https://GATE.example:443"},
    {"Origin": "http://gate.example", "Host": "gate.example:80"},
    {},
]
SERVED = [202, 201, 404, 404, 404, 404]
CREDENTIALS: list[dict[str, str]] = [{}, {"Authorization": "Bearer mg_live_x"}, {"X-API-Key": "mg_live_x"}]
FOREIGN = [
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "of-a-later-standard"},
    {"Sec-Fetch-Site": "cross-site", "Origin": HOST},
    {"Sec-Fetch-Site": "CROSS-SITE", "Origin": "https://evil.example"},
    {"Sec-Fetch-Site": "same-site", "Origin": "https://blog.gate.example"},
    {"Origin": "https://evil.example"},
    {"Origin": "https://blog.gate.example"},
    {"Origin": "https://gate.example.evil.example"},
    {"Origin": "https://gate.example:8443"},
    {"Origin": "https://gate.example:x"},
    {"Origin": "null"},
    {"Origin": ""},
]


@asynccontextmanager
async def opened(gate: MediaGate) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(gate, raise_app_exceptions=False)
    async with gate, httpx.AsyncClient(transport=transport, base_url=HOST) as client:
        yield client


async def in_all_ways(client: httpx.AsyncClient, photo: bytes, headers: dict[str, str]) -> list[httpx.Response]:
    """Send a request to each route that changes something."""
    declared = FORM | {"contentType": "image/jpeg", "size": len(photo)}
    return [
        await client.post("/upload", data=FORM, files={"file": ("a.jpg", photo)}, headers=headers),
        await client.post("/uploads", json=declared, headers=headers),
        await client.put("/uploads/upl_x/content?token=t", content=photo, headers=headers),
        await client.post("/uploads/upl_x/complete", headers=headers),
        await client.delete("/media/med_x", headers=headers),
        await client.patch("/of-a-plugin", headers=headers),
    ]


async def test_csrf_check_refuses_cross_site_changes_with_cookies(make_gate: MakeGate, photo: bytes) -> None:
    async with opened(make_gate(worker=False)) as client:
        for headers in FOREIGN:
            for answer in await in_all_ways(client, photo, COOKIE | headers):
                assert (answer.status_code, answer.json()["code"]) == (403, "cross_site_request"), headers
                assert "MEDIAGATE_ALLOWED_ORIGINS" in answer.json()["detail"]
            assert (await client.get("/media?sourceType=avatar", headers=COOKIE | headers)).status_code == 200
            assert (await client.get("/healthz", headers=COOKIE | headers)).status_code == 200


async def test_csrf_check_passes_same_origin_and_non_browser_requests(make_gate: MakeGate, photo: bytes) -> None:
    async with opened(make_gate(worker=False)) as client:
        for headers in OWN:
            answers = await in_all_ways(client, photo, COOKIE | headers)
            assert [answer.status_code for answer in answers] == SERVED, headers


async def test_csrf_check_ignores_requests_without_cookies(make_gate: MakeGate, photo: bytes) -> None:
    async with opened(make_gate(worker=False)) as client:
        for headers in FOREIGN:
            for credentials in CREDENTIALS:
                answers = await in_all_ways(client, photo, headers | credentials)
                assert [answer.status_code for answer in answers] == SERVED, headers


async def test_csrf_check_passes_allowed_origins_only(
    make_gate: MakeGate, photo: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(
        "MEDIAGATE_ALLOWED_ORIGINS", "https://APP.example:443, http://dev.example:80,capacitor://localhost"
    )
    gate = make_gate(worker=False)
    assert gate.settings.allowed_origins == ("https://app.example", "http://dev.example", "capacitor://localhost")
    async with opened(gate) as client:
        for site in ("cross-site", "same-site", None):
            sent = COOKIE | ({"Sec-Fetch-Site": site} if site else {})
            for origin in (*gate.settings.allowed_origins, "https://app.example:443"):
                answers = await in_all_ways(client, photo, sent | {"Origin": origin})
                assert [answer.status_code for answer in answers] == SERVED, (site, origin)
            for origin in (
                "http://app.example",
                "https://app.example:8443",
                "https://app.example.evil.example",
                "null",
            ):
                answers = await in_all_ways(client, photo, sent | {"Origin": origin})
                assert {answer.status_code for answer in answers} == {403}, (site, origin)


@pytest.mark.parametrize("origin", ["app.example", "*", "https://", "https://app.example/", "null"])
def test_allowed_origins_setting_rejects_invalid_origin(origin: str) -> None:
    with pytest.raises(ConfigError, match=r"such as https://app\.example\.com"):
        Settings(allowed_origins=[origin])


async def test_csrf_check_compares_origin_with_public_base_url(make_gate: MakeGate, photo: bytes) -> None:
    headers = COOKIE | {"Origin": "https://app.example", "Host": "127.0.0.1:8000"}
    for base, status in (("https://app.example/pictures", 202), ("http://app.example", 403), (None, 403)):
        async with opened(make_gate(worker=False, public_base_url=base)) as client:
            answer = (await in_all_ways(client, photo, headers))[0]
            assert answer.status_code == status, base


async def test_csrf_off_passes_cross_site_requests(make_gate: MakeGate, photo: bytes) -> None:
    async with opened(make_gate(worker=False, csrf="off")) as client:
        answers = await in_all_ways(client, photo, COOKIE | FOREIGN[0])
    assert 403 not in [answer.status_code for answer in answers]


async def test_csrf_check_precedes_authorize_and_the_body(make_gate: MakeGate, photo: bytes) -> None:
    asked = []

    async def authorize(request: Request, action: Action) -> Principal:
        asked.append(request.cookies["session"])
        return Principal(id="u1")

    settings = make_gate(worker=False).settings
    gate = MediaGate(sources={"avatar": Source()}, settings=settings, moderation="off", authorize=authorize)
    async with opened(gate) as client:
        refused = await client.delete("/media/med_x", headers=COOKIE | {"Sec-Fetch-Site": "cross-site"})
        assert (refused.status_code, asked) == (403, [])
        assert (await client.delete("/media/med_x", headers=COOKIE)).status_code == 404
        assert asked == ["s"]

        async def body() -> AsyncIterator[bytes]:
            yield b"--B\r\n"
            yield photo

        headers = COOKIE | {"Sec-Fetch-Site": "cross-site", "Content-Type": "multipart/form-data; boundary=B"}
        refused = await client.post("/upload", content=body(), headers=headers)
        assert (refused.status_code, refused.headers["Connection"]) == (403, "close")


@pytest.mark.parametrize("value", ["on", "strict", ""])
def test_csrf_setting_rejects_values_other_than_auto_and_off(value: Any) -> None:
    with pytest.raises(ConfigError, match="MEDIAGATE_CSRF"):
        Settings(csrf=value)


def test_cookies_page_code_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, photo: bytes) -> None:
    monkeypatch.setenv("MEDIAGATE_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("MEDIAGATE_IMAGE_PROCESSES", "1")
    monkeypatch.setenv("MEDIAGATE_WORKER", "false")
    docs = (Path(__file__).parents[2] / "docs" / "how-to" / "cookie-sessions.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", docs, re.S)
    names: dict[str, Any] = {"__name__": "cookies"}
    exec(compile(code, "cookie-sessions.md", "exec"), names)
    with TestClient(names["app"], cookies={"session": "s3cr3t-session-id"}) as client:
        for origin, status in (("https://app.example.com", 202), ("https://evil.example", 403)):
            headers = {"Sec-Fetch-Site": "cross-site", "Origin": origin}
            file = {"file": ("a.jpg", photo)}
            answer = client.post("/image-pipeline/upload", data=FORM, files=file, headers=headers)
            assert answer.status_code == status
        client.cookies.clear()
        assert client.get("/image-pipeline/jobs").status_code == 401
