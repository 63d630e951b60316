"""Every documented host, on its real server, completes uploads and ends all its processes on SIGTERM."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import httpx
import pytest

from tests.support import loopback
from tests.support.hosting import DRAIN_S, HOSTS, Host, hosts, until
from tests.support.load import stretched
from tests.support.programs import program
from tests.support.server import alive, children

BESIDE = ("quart-hypercorn", "django-uvicorn", "django-inside-uvicorn", "django-daphne")
"""Hosts with a page of their own."""
BUFFERING = ("django-daphne",)
"""Servers that buffer a request until it is complete."""
CANCELLING = ("quart-hypercorn",)
"""Servers that do not signal their workers, and cancel open requests after 3 s, which asyncio's streams log."""
SLACK_S = 8.0
"""Seconds that a host may take beyond the drain time: those 3, and slack for a loaded machine."""


@contextmanager
def all_hosts(folder: Path) -> Iterator[dict[str, Host]]:
    """Run all hosts for the length of a block, which begins when they answer."""
    program("nginx", "nginx-light")
    with hosts(HOSTS, folder) as started:
        for name, host in started.items():
            until(f"{name} answers\n{host.log.read_text()[-4000:]}", host.ready, 120)
        yield started


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Host]]:
    with all_hosts(tmp_path_factory.mktemp("hosts")) as started:
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


def test_host_completes_an_upload_and_serves_its_files(host: Host, picture: bytes) -> None:
    sent = host.upload(picture)
    assert sent["statusUrl"] == f"{host.prefix}{host.mount}/status/{sent['jobId']}"
    headers = {"Accept": "text/event-stream"}
    with loopback.stream("GET", f"{host.url}{sent['statusUrl']}", headers=headers, timeout=60) as stream:
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        *_, last = events(stream)
    assert last["status"] == "COMPLETE", last

    done = loopback.get(f"{host.url}{sent['statusUrl']}?wait=30", timeout=60).json()
    assert done["status"] == "COMPLETE"
    for url in done["media"]["urls"].values():
        assert url.startswith(f"{host.prefix}{host.mount}/media/avatar/u1/")
        assert loopback.get(f"{host.url}{url}").headers["Content-Type"] == "image/webp"
    assert loopback.get(f"{host.base}/media/{done['media']['id']}").json()["urls"] == done["media"]["urls"]


def test_host_answers_404_on_unknown_routes(host: Host) -> None:
    for path in ("/nothing", "/nothing/at/all"):
        answer = loopback.post(f"{host.base}{path}")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), path
    assert loopback.get(f"{host.base}/avatar/u1/none.webp").json()["code"] == "file_not_found"


def test_host_keeps_its_own_pages(running: dict[str, Host]) -> None:
    for name in BESIDE:
        assert loopback.get(f"{running[name].url}/hello").text == "hello"
        assert loopback.get(f"{running[name].url}/nothing").status_code == 404


def _receives(host: Host) -> bool:
    return host.spooled > 0


def _none_alive(pids: set[int]) -> bool:
    return not any(map(alive, pids))


def test_host_ends_within_the_drain_timeout_on_sigterm(tmp_path: Path, data: Path) -> None:
    """Meanwhile a job never ends, a client streams its changes, and an upload is stalled."""
    large = (data / "photos" / "photo_2725x2225.jpg").read_bytes()
    with all_hosts(tmp_path) as running, loopback.client(timeout=60) as client:
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
            host.process.wait(stretched(DRAIN_S + SLACK_S))
            until(f"{name} leaves no process", partial(_none_alive, below), 10)
            stream.close()
            with connection:
                if name not in (*BUFFERING, *CANCELLING):
                    assert b" 503 " in connection.recv(100), name
            log = host.log.read_text()
            assert "closing the gate failed" not in log, name
            assert "Traceback" not in log or name in CANCELLING, f"{name}\n{log[-4000:]}"
