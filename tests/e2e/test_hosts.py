"""Every documented host, on its real server, completes uploads and ends all its processes on SIGTERM."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support import loopback
from tests.support.hosting import DRAIN_S, HOSTS, NGINX, Host, hosts, until
from tests.support.load import stretched
from tests.support.server import alive, children

BESIDE = ("quart-hypercorn", "django-uvicorn", "django-inside-uvicorn", "django-daphne")
"""Hosts with a page of their own."""
BUFFERING = ("django-daphne",)
"""Servers that buffer a request until it is complete."""
CANCELLING = ("quart-hypercorn",)
"""Servers that do not signal their workers, and cancel open requests after 3 s, which asyncio's streams log."""
SLACK_S = 8.0
"""Seconds that a host may take beyond the drain time: those 3, and slack for a loaded machine."""


UNKNOWN = ("/nothing", "/nothing/at/all")


@dataclass(frozen=True)
class Used:
    """Answers of a host to requests of clients."""

    sent: dict[str, str]
    """The answer to an upload."""
    stream: httpx.Headers
    """The head of its event stream."""
    last: dict[str, object]
    """The last event of that stream."""
    done: dict[str, Any]
    """The status of the job after the stream had ended."""
    files: list[str]
    """The content types of the published files."""
    media: dict[str, Any]
    unknown: list[httpx.Response]
    """Answers to a POST on each path of ``UNKNOWN``."""
    missing_file: httpx.Response
    own_pages: list[httpx.Response]
    """``/hello`` and ``/nothing`` of the host itself."""


@dataclass(frozen=True)
class Ended:
    """The end of a host that was asked to (SIGTERM) while a job, an event stream and an upload were open."""

    before: list[object]
    """The status in the first event of the stream, and how many uploads were spooled before the stalled one."""
    exited: bool
    """Whether it had ended within the drain time."""
    answer: bytes
    """What the client of the stalled upload received first."""
    log: str


@contextmanager
def all_hosts(folder: Path) -> Iterator[dict[str, Host]]:
    """Run all hosts for the length of a block, which begins when they answer."""
    if NGINX is None:
        pytest.skip("no nginx on PATH: install Debian's package nginx-light")
    with hosts(HOSTS, folder) as started:
        for name, host in started.items():
            until(f"{name} answers\n{host.log.read_text()[-4000:]}", host.ready, 120)
        yield started


@pytest.fixture(scope="module")
def lives(tmp_path_factory: pytest.TempPathFactory, data: Path) -> dict[str, tuple[Host, Used, Ended]]:
    """All hosts, each started once, used and ended: a start takes longer than everything else."""
    picture = (data / "moderation" / "chelsea.png").read_bytes()
    large = (data / "photos" / "photo_2725x2225.jpg").read_bytes()
    with all_hosts(tmp_path_factory.mktemp("hosts")) as running:
        used = {name: use(host, picture) for name, host in running.items()}
        return {name: (host, used[name], end(name, host, large)) for name, host in running.items()}


@pytest.fixture(params=HOSTS)
def life(request: pytest.FixtureRequest, lives: dict[str, tuple[Host, Used, Ended]]) -> tuple[Host, Used, Ended]:
    return lives[request.param]


def use(host: Host, picture: bytes) -> Used:
    """Upload a picture, follow it to its end, and ask for all that a client may ask for."""
    sent = host.upload(picture)
    url = f"{host.url}{sent['statusUrl']}"
    with loopback.stream("GET", url, headers={"Accept": "text/event-stream"}, timeout=60) as stream:
        *_, last = events(stream)
    done = loopback.get(f"{url}?wait=30", timeout=60).json()
    assert done["status"] == "COMPLETE", done
    return Used(
        sent=sent,
        stream=stream.headers,
        last=last,
        done=done,
        files=[loopback.get(f"{host.url}{file}").headers["Content-Type"] for file in done["media"]["urls"].values()],
        media=loopback.get(f"{host.base}/media/{done['media']['id']}").json(),
        unknown=[loopback.post(f"{host.base}{path}") for path in UNKNOWN],
        missing_file=loopback.get(f"{host.base}/avatar/u1/none.webp"),
        own_pages=[loopback.get(f"{host.url}{path}") for path in ("/hello", "/nothing")],
    )


def end(name: str, host: Host, large: bytes) -> Ended:
    """End a host while a job never ends, a client streams its changes, and an upload is stalled."""
    sent = host.upload(large)
    host.freeze_images()
    direct = f"http://127.0.0.1:{host.port}{host.mount}/status/{sent['jobId']}"
    with loopback.stream("GET", direct, headers={"Accept": "text/event-stream"}, timeout=60) as stream:
        lines = events(stream)
        before: list[object] = [next(lines)["status"], host.spooled]
        with host.half_an_upload(large.ljust(1_500_000, b"\0")) as connection:
            if name not in BUFFERING:
                until(f"{name} receives an upload", partial(_receives, host))
            below = children(host.process.pid)
            assert below

            host.process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                host.process.wait(stretched(DRAIN_S + SLACK_S))
            exited = host.process.poll() is not None
            until(f"{name} leaves no process", partial(_none_alive, below), 10)
            answer = b"" if name in (*BUFFERING, *CANCELLING) else connection.recv(100)
    return Ended(before, exited, answer, host.log.read_text())


def events(answer: httpx.Response) -> Iterator[dict[str, object]]:
    for line in answer.iter_lines():
        if line.startswith("data: "):
            yield json.loads(line.removeprefix("data: "))


def _receives(host: Host) -> bool:
    return host.spooled > 0


def _none_alive(pids: set[int]) -> bool:
    return not any(map(alive, pids))


def test_host_completes_an_upload_and_serves_its_files(life: tuple[Host, Used, Ended]) -> None:
    host, used, _ = life
    assert used.sent["statusUrl"] == f"{host.prefix}{host.mount}/status/{used.sent['jobId']}"
    assert used.stream["Content-Type"].startswith("text/event-stream")
    assert used.last["status"] == "COMPLETE", used.last
    urls = used.done["media"]["urls"]
    assert urls and all(url.startswith(f"{host.prefix}{host.mount}/media/avatar/u1/") for url in urls.values())
    assert used.files == ["image/webp"] * len(urls)
    assert used.media["urls"] == urls


def test_host_answers_404_on_unknown_routes(life: tuple[Host, Used, Ended]) -> None:
    _, used, _ = life
    assert [(answer.status_code, answer.json()["code"]) for answer in used.unknown] == [(404, "not_found")] * 2
    assert used.missing_file.json()["code"] == "file_not_found"


@pytest.mark.parametrize("name", BESIDE)
def test_host_keeps_its_own_pages(name: str, lives: dict[str, tuple[Host, Used, Ended]]) -> None:
    _, used, _ = lives[name]
    hello, nothing = used.own_pages
    assert (hello.text, nothing.status_code) == ("hello", 404)


@pytest.mark.parametrize("name", HOSTS)
def test_host_ends_within_the_drain_timeout_on_sigterm(name: str, lives: dict[str, tuple[Host, Used, Ended]]) -> None:
    _, _, ended = lives[name]
    status, spooled = ended.before
    assert status in ("PENDING", "PROCESSING") and not spooled
    assert ended.exited
    assert b" 503 " in ended.answer or name in (*BUFFERING, *CANCELLING)
    assert "closing the gate failed" not in ended.log
    assert "Traceback" not in ended.log or name in CANCELLING, ended.log[-4000:]
