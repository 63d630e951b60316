"""Mount paths: a gate derives its own from the scope, and crafted paths change neither routing nor links."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from typing import Any, cast
from urllib.parse import unquote, urlsplit

import httpx
import pytest
from fastapi import FastAPI
from litestar import Litestar, asgi
from quart import Quart
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from mediagate import MediaGate
from mediagate.http.mount import locate

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.filterwarnings("ignore:The `root_path` parameter is deprecated"),
]

MakeGate = Callable[..., MediaGate]
Host = Callable[[ASGIApp], ASGIApp]

PATHS = [
    "//media/base",
    "/media//base",
    "/media///base/",
    "/media/media/base",
    "/media/./base",
    "/media/../base",
    "/media/../media/base",
    "/x/../media/base",
    "/media%2Fbase",
    "/media/%2Fbase",
    "/media/%2e%2e/base",
    "/media/%2e%2e%2fmedia%2fbase",
    "/media/media%2Fbase",
    "/%6dedia/base",
    "/mediaX/base",
    "/media/base%2F",
    "/media/base%3F",
    "/media/base%00",
    "/media/base%0d%0aX:%20y",
    "//evil.example/media/base",
    "/\\evil.example/media/base",
    "/evil.example/media/base",
    "/http://evil.example/media/base",
    "/api/media/base",
    "/api/api/media/base",
    "/evil/api/media/base",
    "/media/api/media/base",
    "/media/api/base",
    "/api/base",
    "/base",
]
"""Paths that might reach ``/base`` of a gate at ``/media`` in another way, or forge links."""


def starlette(gate: ASGIApp) -> ASGIApp:
    return Starlette(routes=[Mount("/media", gate)])


def starlette_twice(gate: ASGIApp) -> ASGIApp:
    return Starlette(routes=[Mount("/outer", Router([Mount("/media", gate)]))])


def fastapi_prefixed(gate: ASGIApp) -> ASGIApp:
    app = FastAPI(root_path="/api")
    app.mount("/media", gate)
    return app


def litestar(gate: ASGIApp, at: str = "/media") -> ASGIApp:
    @asgi(at, is_mount=True, copy_scope=True)
    async def media(scope: Any, receive: Any, send: Any) -> None:
        await gate(scope, receive, send)

    return cast(ASGIApp, Litestar([media]))


def quart(gate: ASGIApp) -> ASGIApp:
    return Router([Mount("/media", gate)], default=cast(ASGIApp, Quart(__name__)))


def by_hand(gate: ASGIApp) -> ASGIApp:
    """An ``asgi.py`` that compares paths itself and sets ``root_path`` as documented."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].startswith("/media/"):
            await gate({**scope, "root_path": scope.get("root_path", "") + "/media"}, receive, send)
        else:
            await PlainTextResponse("", 404)(scope, receive, send)

    return application


def rooted(app: ASGIApp, root: str, *, in_path: bool) -> ASGIApp:
    """A server's own ``--root-path``: uvicorn adds it to the path, hypercorn and granian do not."""

    async def served(scope: Scope, receive: Receive, send: Send) -> None:
        add = root if in_path else ""
        raw = add.encode() + scope["raw_path"]
        await app({**scope, "root_path": root, "path": add + scope["path"], "raw_path": raw}, receive, send)

    return served


def cutting(app: ASGIApp, prefix: str) -> ASGIApp:
    """A middleware that strips a prefix from ``path`` without setting ``root_path``."""

    async def cut(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "path": scope["path"].removeprefix(prefix)}, receive, send)

    return cut


HOSTS: dict[str, tuple[Host, str, str]] = {
    "starlette": (starlette, "/media", "/media"),
    "starlette twice": (starlette_twice, "/outer/media", "/outer/media"),
    "fastapi, stripped": (fastapi_prefixed, "/media", "/api/media"),
    "fastapi, not stripped": (fastapi_prefixed, "/api/media", "/api/media"),
    "litestar": (litestar, "/media", "/media"),
    "litestar at /": (lambda gate: litestar(gate, "/"), "", ""),
    "quart": (quart, "/media", "/media"),
    "by hand": (by_hand, "/media", "/media"),
    "starlette, uvicorn --root-path": (
        lambda gate: rooted(starlette(gate), "/api", in_path=True), "/media", "/api/media"
    ),
    "starlette, hypercorn --root-path": (
        lambda gate: rooted(starlette(gate), "/api", in_path=False), "/media", "/api/media"
    ),
    "litestar, uvicorn --root-path": (
        lambda gate: rooted(litestar(gate), "/api", in_path=True), "/media", "/api/media"
    ),
    "litestar, granian --url-path-prefix": (
        lambda gate: rooted(litestar(gate), "/api", in_path=False), "/media", "/api/media"
    ),
    "alone, hypercorn --root-path": (lambda gate: rooted(gate, "/api", in_path=False), "", "/api"),
    "starlette behind a middleware that cuts": (
        lambda gate: cutting(starlette(gate), "/v1"), "/v1/media", "/v1/media"
    ),
    "fastapi, stripped, behind a middleware that cuts": (
        lambda gate: cutting(fastapi_prefixed(gate), "/v1"), "/v1/media", "/api/v1/media"
    ),
}  # fmt: skip
"""For each host: how it mounts the gate, the prefix of requested paths, and the prefix of links."""


async def ask(app: ASGIApp, path: str, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
    """Call the app as a server does, with a path that no client has normalized."""
    status, headers, body = 0, {}, b""
    asked = False
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"app.example"), (b"content-length", b"0")],
        "client": ("192.0.2.1", 1234),
        "server": ("app.example", 80),
        "state": {},
    }

    async def receive() -> dict[str, Any]:
        nonlocal asked
        if asked:
            return {"type": "http.disconnect"}
        asked = True
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        nonlocal status, headers, body
        if message["type"] == "http.response.start":
            status = message["status"]
            headers = {name.decode().lower(): value.decode("latin-1") for name, value in message["headers"]}
        else:
            body += message.get("body", b"")

    await app(scope, receive, send)
    return status, headers, body


async def base(request: Request) -> Response:
    """Answer with the prefix of links."""
    gate: MediaGate = request.app
    return PlainTextResponse(gate.base_url(request))


@pytest.fixture
async def gate(make_gate: MakeGate) -> AsyncIterator[MediaGate]:
    gate = make_gate(worker=False)
    gate.add_route("/base", base, methods=["GET", "POST"])
    async with gate:
        yield gate


async def test_links_begin_with_the_hosts_mount_path(gate: MediaGate) -> None:
    for name, (host, sent, linked) in HOSTS.items():
        app = host(gate)
        for slash in ("", "/"):
            status, _, body = await ask(app, f"{sent}/base{slash}")
            assert (status, body.decode()) == (200, linked), name
        assert (await ask(app, f"{sent}/nothing"))[0] == 404, name
        assert (await ask(app, f"{sent}/nothing/at/all", "POST"))[0] == 404, name
        assert (await ask(app, f"{sent}/base", "DELETE"))[0] == 405, name


async def test_status_url_resolves_under_litestar(gate: MediaGate, photo: bytes) -> None:
    transport = httpx.ASGITransport(litestar(gate))
    async with httpx.AsyncClient(transport=transport, base_url="http://app.example") as client:
        form = {"sourceType": "avatar", "sourceId": "u1"}
        sent = await client.post("/media/upload", data=form, files={"file": ("a.jpg", photo)})
        assert sent.status_code == 202, sent.text
        assert sent.json()["statusUrl"].startswith("/media/status/")
        assert (await client.get(sent.json()["statusUrl"])).status_code == 202


SPELLINGS = {"/media%2Fbase", "/%6dedia/base", "/media/base%2F"}
"""Paths that a server decodes to ``/media/base``."""
COLLAPSED = {"//media/base", "/media//base", "/media///base/", "/media/%2Fbase"}
"""Paths that Litestar, which drops empty segments, reads as ``/media/base``."""
REACHED = {
    "starlette": SPELLINGS,
    "starlette twice": set(),
    "fastapi, stripped": {*SPELLINGS, "/api/media/base"},
    "fastapi, not stripped": {*SPELLINGS, "/api/media/base"},
    "litestar": SPELLINGS | COLLAPSED,
    "litestar at /": {"/base"},
    "quart": SPELLINGS,
    "by hand": SPELLINGS,
    "starlette, uvicorn --root-path": SPELLINGS,
    "starlette, hypercorn --root-path": {*SPELLINGS, "/api/media/base"},
    "litestar, uvicorn --root-path": SPELLINGS | COLLAPSED,
    "litestar, granian --url-path-prefix": {*SPELLINGS, *COLLAPSED, "/api/media/base"},
    "alone, hypercorn --root-path": {"/base", "/api/base"},
    "starlette behind a middleware that cuts": SPELLINGS,
    "fastapi, stripped, behind a middleware that cuts": {*SPELLINGS, "/api/media/base"},
}
"""The ``PATHS`` that each host routes to ``/base``, including those with an optional prefix."""
LITESTAR_SPLITS = {"/evil/api/media/base", "/media/api/media/base"}
"""Litestar drops everything before ``root_path`` in a path; links then begin with ``root_path``."""


async def test_crafted_path_reaches_no_other_route_and_forges_no_link(gate: MediaGate) -> None:
    for name, (host, _, linked) in HOSTS.items():
        app = host(gate)
        reached = {}
        for path in PATHS:
            status, _, body = await ask(app, path)
            if status == 200:
                reached[path] = body.decode()
        expected = dict.fromkeys(REACHED[name], linked.replace("/v1", ""))
        if name == "litestar, granian --url-path-prefix":
            expected |= dict.fromkeys(LITESTAR_SPLITS, "/api")
        assert reached == expected, name


FRONTS = ("", "/media", "/api", "/api/media", "/media/base", "/v1/media", "/outer/media")


async def test_unknown_route_stays_404_behind_any_path_prefix(gate: MediaGate) -> None:
    """No prefix makes an unknown path such as ``/base/other`` reach ``/base``."""
    for name, (host, *_) in HOSTS.items():
        app = host(gate)
        for front in FRONTS:
            for left in ("base/other", "base/..", "base%2Fother", "other/base/x"):
                assert (await ask(app, f"{front}/{left}"))[0] == 404, (name, front, left)


async def test_scope_without_raw_path_is_left_unchanged(gate: MediaGate) -> None:
    async def bare(scope: Scope, receive: Receive, send: Send) -> None:
        await gate({**{k: v for k, v in scope.items() if k != "raw_path"}, "root_path": "/m/media"}, receive, send)

    # Ambiguous: /media/base of a gate at /m/media, or /base of a gate at /media.
    assert (await ask(bare, "/media/base"))[0] == 404
    assert (await ask(bare, "/base"))[2] == b"/m/media"


@pytest.mark.parametrize(
    ("given", "located"),
    [
        (("", "/base", b"/media/base?x=/y"), ("/media", "/media/base")),
        (("", "/base/", b"/media/base/"), ("/media", "/media/base/")),
        (("", "/", b"/media"), ("/media", "/media/")),
        (("", "/b\u00e4r", b"/m%C3%A4dia/b%C3%A4r"), ("/m\u00e4dia", "/m\u00e4dia/b\u00e4r")),
        (("/media", "/base", b"/media/base"), ("/media", "/media/base")),
        (("/media/", "/base", b"/media/base"), ("/media", "/media/base")),
        (("", "/base", b"http://evil.example/media/base"), ("", "/base")),
        (("", "/base", b"/a%3Fb/base"), ("", "/base")),
        (("", "/base", b"/a%23b/base"), ("", "/base")),
        (("", "/base", b"/a%20b/base"), ("", "/base")),
        (("", "/base", b"/a%0d%0ab/base"), ("", "/base")),
        (("", "/base", b"/a%5cb/base"), ("", "/base")),
        (("", "/base", b"/%2e%2e/base"), ("", "/base")),
        (("", "/base", b"/other"), ("", "/base")),
        (("", "base", b"/media/base"), ("", "base")),
        (("", "X/base/", b"/mediaX/base"), ("", "X/base/")),
        (("", "base/", b"/base"), ("", "/base")),
        (("", "/base/", b"/base"), ("", "/base")),
    ],
    ids=str,
)
def test_locate_restores_the_prefix_stripped_by_the_host(
    given: tuple[str, str, bytes], located: tuple[str, str]
) -> None:
    root_path, path, raw_path = given
    scope = {"type": "http", "root_path": root_path, "path": path, "raw_path": raw_path}
    found = locate(scope)
    assert (found["root_path"], found["path"]) == located


@pytest.mark.parametrize("root", ["//evil.example", "/..", "/a b", "evil.example", "/a?b", "https://evil.example"])
async def test_root_path_from_a_client_header_forges_no_host(gate: MediaGate, root: str) -> None:
    """daphne takes ``root_path`` from the header ``Daphne-Root-Path``."""
    assert (await ask(rooted(starlette(gate), root, in_path=False), "/media/base"))[0] == 404
    _, _, body = await ask(rooted(gate, root, in_path=False), "/base")
    assert urlsplit(body.decode()).netloc == urlsplit(body.decode()).scheme == ""


async def test_missing_root_path_is_warned_about_once(gate: MediaGate, caplog: pytest.LogCaptureFixture) -> None:
    """The host is an ``asgi.py`` that passes ``/pictures/…`` on without ``root_path``."""
    with caplog.at_level(logging.WARNING, logger="mediagate"):
        for _ in range(3):
            assert (await ask(gate, "/pictures/base"))[0] == 404
    (line,) = (record.getMessage() for record in caplog.records if "mounted" in record.getMessage())
    assert "'/pictures/base'" in line and "mounted at '/pictures'" in line and "root_path" in line


async def test_correct_root_path_causes_no_warning(gate: MediaGate, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="mediagate"):
        for path in ("/nothing", "//base", "/base", "/x/base"):
            for host, sent, _ in HOSTS.values():
                await ask(host(gate), f"{sent}{path}")
    assert not [record for record in caplog.records if "mounted" in record.getMessage()]
