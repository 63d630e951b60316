"""In every host that is documented, on its real server, a picture goes in and comes out, and SIGTERM ends all of it."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest

from tests.support.hosting import DRAIN_S, NGINX, Host, hosts, until
from tests.support.server import alive, children

UVICORN = "uvicorn --port PORT --no-access-log"
HOSTS: dict[str, dict[str, str]] = {
    "starlette-uvicorn": {"command": f"{UVICORN} examples.hosts.starlette_app:app"},
    "starlette-uvicorn-h11": {"command": f"{UVICORN} --http h11 --loop asyncio examples.hosts.starlette_app:app"},
    "starlette-granian": {"command": "granian --interface asgi --port PORT examples.hosts.starlette_app:app"},
    "without-lifespan-uvicorn": {"command": f"{UVICORN} late_host:app"},
    "fastapi-uvicorn-nginx": {
        "command": f"{UVICORN} --root-path /api examples.hosts.fastapi_app:app",
        "prefix": "/api",
    },
    "fastapi-prefixed-uvicorn-nginx": {"command": f"{UVICORN} prefixed_host:app", "prefix": "/api"},
    "litestar-uvicorn": {"command": f"{UVICORN} examples.hosts.litestar_app:app"},
    "litestar-granian": {"command": "granian --interface asgi --port PORT examples.hosts.litestar_app:app"},
    "quart-hypercorn": {"command": "hypercorn --bind 127.0.0.1:PORT examples.hosts.quart_app:application"},
    "django-uvicorn": {"command": f"{UVICORN} examples.hosts.django_site.asgi:application"},
    "django-inside-uvicorn": {"command": f"{UVICORN} examples.hosts.django_site.inside:app"},
    "django-daphne": {"command": "daphne -p PORT examples.hosts.django_site.asgi:application"},
}
BESIDE = ("quart-hypercorn", "django-uvicorn", "django-inside-uvicorn", "django-daphne")
"""Hosts with a page of their own."""
BUFFERING = ("django-daphne",)
"""Servers that keep a request back until all of it is there."""
CANCELLING = ("quart-hypercorn",)
"""Servers that send their worker processes no signal, and cancel what is open after 3 s; asyncio's streams log that."""
SLACK_S = 8.0
"""What a host may take beyond the drain time, on a machine that has other things to do, and those 3 s."""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Host]]:
    if NGINX is None:
        pytest.skip("no nginx on PATH: install Debian's package nginx-light")
    with hosts(HOSTS, tmp_path_factory.mktemp("hosts")) as started:
        for name, host in started.items():
            until(f"{name} answers\n{host.log.read_text()[-4000:]}", host.ready, 120)
        yield started


@pytest.fixture(params=HOSTS)
def host(request: pytest.FixtureRequest, running: dict[str, Host]) -> Host:
    return running[request.param]


@pytest.fixture(scope="module")
def picture(data: Path) -> bytes:
    return (data / "moderation" / "chelsea.png").read_bytes()


def events(answer: httpx.Response) -> Iterator[dict[str, object]]:
    for line in answer.iter_lines():
        if line.startswith("data: "):
            yield json.loads(line.removeprefix("data: "))


def test_a_picture_goes_in_and_comes_out(host: Host, picture: bytes) -> None:
    sent = host.upload(picture)
    assert sent["statusUrl"] == f"{host.prefix}{host.mount}/status/{sent['jobId']}"
    headers = {"Accept": "text/event-stream"}
    with httpx.stream("GET", f"{host.url}{sent['statusUrl']}", headers=headers, timeout=60) as stream:
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        *_, last = events(stream)
    assert last["status"] == "COMPLETE", last

    done = httpx.get(f"{host.url}{sent['statusUrl']}?wait=30", timeout=60).json()
    assert done["status"] == "COMPLETE"
    for url in done["media"]["urls"].values():
        assert url.startswith(f"{host.prefix}{host.mount}/media/avatar/u1/")
        assert httpx.get(f"{host.url}{url}").headers["Content-Type"] == "image/webp"
    assert httpx.get(f"{host.base}/media/{done['media']['id']}").json()["urls"] == done["media"]["urls"]


def test_what_is_no_route_is_404(host: Host) -> None:
    for path in ("/nothing", "/nothing/at/all"):
        answer = httpx.post(f"{host.base}{path}")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), path
    assert httpx.get(f"{host.base}/avatar/u1/none.webp").json()["code"] == "file_not_found"


def test_other_pages_of_the_host_are_its_own(running: dict[str, Host]) -> None:
    for name in BESIDE:
        assert httpx.get(f"{running[name].url}/hello").text == "hello"
        assert httpx.get(f"{running[name].url}/nothing").status_code == 404


def _receives(host: Host) -> bool:
    return host.spooled > 0


def _none_alive(pids: set[int]) -> bool:
    return not any(map(alive, pids))


def test_sigterm_ends_all_within_the_drain_time(running: dict[str, Host], data: Path) -> None:
    """With a job in hand that never ends, a stream of its changes, and an upload that never goes on."""
    large = (data / "photos" / "photo_2725x2225.jpg").read_bytes()
    with httpx.Client(timeout=60) as client:
        for name, host in running.items():
            headers = {"Accept": "text/event-stream"}
            sent = host.upload(large)
            host.freeze_images()
            direct = f"http://127.0.0.1:{host.port}{host.mount}/status/{sent['jobId']}"
            stream = client.send(client.build_request("GET", direct, headers=headers), stream=True)
            lines = events(stream)
            assert next(lines)["status"] in ("PENDING", "PROCESSING")
            assert not host.spooled
            connection = host.half_an_upload(large.ljust(1_500_000, b"\0"))
            if name not in BUFFERING:
                until(f"{name} receives an upload", partial(_receives, host))
            below = children(host.process.pid)
            assert below

            host.process.send_signal(signal.SIGTERM)
            host.process.wait(DRAIN_S + SLACK_S)
            until(f"{name} leaves no process", partial(_none_alive, below), 10)
            stream.close()
            with connection:
                if name not in (*BUFFERING, *CANCELLING):
                    assert b" 503 " in connection.recv(100), name
            log = host.log.read_text()
            assert "closing the gate failed" not in log, name
            assert "Traceback" not in log or name in CANCELLING, f"{name}\n{log[-4000:]}"
