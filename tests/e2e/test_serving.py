"""``mediagate serve`` has its port first, says in one line why it does not start, and leaves in order."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.support.server import PYTHONPATH, running

BOTH = pytest.mark.parametrize("command", ["serve", "worker"])


def serve(*arguments: str, data_dir: Path, command: str = "serve", **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mediagate.cli", command, "plain_gate:gate", *arguments],
        env={**os.environ, "PYTHONPATH": PYTHONPATH, "MEDIAGATE_DATA_DIR": str(data_dir), **env},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


@BOTH
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_port_that_is_taken_is_told_before_the_gate_opens(tmp_path: Path, host: str, command: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        done = serve("--host", host, "--port", port, data_dir=tmp_path / "data", command=command)
    assert (done.returncode, done.stdout) == (1, ""), done.stderr
    said = [line for line in done.stderr.splitlines() if "moderation is off" not in line]
    assert said == [f"mediagate: cannot listen on {host} port {port} (Address already in use); choose another --port"]
    assert not (tmp_path / "data").exists(), "the gate was not opened"


@BOTH
def test_a_host_that_is_not_of_this_machine(tmp_path: Path, command: str) -> None:
    done = serve("--host", "192.0.2.1", "--port", "18999", data_dir=tmp_path / "data", command=command)
    assert (done.returncode, "choose another --host" in done.stderr) == (1, True), done.stderr


@pytest.mark.parametrize("port", ["0", "65536", "-1", "http"])
def test_worker_is_given_a_port_that_is_none(tmp_path: Path, port: str) -> None:
    done = serve("--port", port, data_dir=tmp_path / "data", command="worker")
    assert (done.returncode, "Traceback" in done.stderr) == (2, False), done.stderr
    assert "--port" in done.stderr


@pytest.mark.parametrize("port", ["0", "65536", "-1", "http"])
def test_a_port_that_is_none(tmp_path: Path, port: str) -> None:
    for words, env in ((("--port", port), {}), ((), {"PORT": port})):
        done = serve(*words, data_dir=tmp_path / "data", **env)
        assert (done.returncode, "Traceback" in done.stderr) == (2, False), done.stderr
        assert "--port" in done.stderr


def test_a_gate_that_does_not_open_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("in the way")
    done = serve("--port", "18999", data_dir=tmp_path / "data")
    assert (done.returncode, "Traceback" in done.stderr) == (1, False), done.stderr
    assert done.stderr.splitlines()[-1].startswith(f"mediagate: data_dir {tmp_path / 'data'}: ")
    assert done.stderr.count("set it to a writable folder") == 1, "one cause, one line"


def until_it_leaves(url: str) -> httpx.Response:
    """Ask whether it is ready until it is not."""
    end = time.monotonic() + 30
    while (answer := httpx.get(f"{url}/readyz", timeout=10)).status_code == 200:
        assert time.monotonic() < end
        time.sleep(0.02)
    return answer


def test_after_sigterm_it_serves_on_for_the_delay_and_says_that_it_ends(tmp_path: Path, photo: bytes) -> None:
    with running("plain_gate:gate", tmp_path / "data", options=("--drain-delay", "600")) as service:
        assert service.process is not None
        service.process.send_signal(signal.SIGTERM)
        answer = until_it_leaves(service.url)
        assert (answer.status_code, answer.json()["code"]) == (503, "shutting_down")
        assert service.upload("a.jpg", photo).status_code == 202
        assert httpx.get(f"{service.url}/healthz").status_code == 200
        assert service.process.poll() is None
        service.stop()  # the second signal


def test_the_delay_ends_by_itself(tmp_path: Path) -> None:
    with running("plain_gate:gate", tmp_path / "data", options=("--drain-delay", "1.5")) as service:
        assert service.process is not None
        service.process.send_signal(signal.SIGTERM)
        assert until_it_leaves(service.url).json()["code"] == "shutting_down"
        service.wait_dead()
    assert "Traceback" not in service.log.read_text()


def test_pages_of_named_origins_may_use_the_gate(tmp_path: Path) -> None:
    page = "https://app.example.com"
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type,idempotency-key"}
    with running("plain_gate:gate", tmp_path / "data", CORS_ORIGINS=f"{page}, https://b.example") as service:
        for origin, status in ((page, 200), ("https://evil.example", 400)):
            preflight = httpx.options(f"{service.url}/uploads", headers=asked | {"Origin": origin})
            assert preflight.status_code == status, origin
        answer = httpx.get(f"{service.url}/status/job_x", headers={"Origin": page})
        assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (404, page)
        assert (
            "Access-Control-Allow-Origin" not in httpx.get(f"{service.url}/healthz", headers={"Origin": "null"}).headers
        )


@pytest.mark.parametrize("origins", ["app.example.com", "https://a.example,b"])
def test_an_origin_that_is_none(tmp_path: Path, origins: str) -> None:
    done = serve("--cors-origins", origins, "--port", "18999", data_dir=tmp_path / "data")
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert "--cors-origins: " in done.stderr and "such as https://app.example.com" in done.stderr


@pytest.mark.parametrize(("origins", "said"), [("*", "every site could act"), ("", "list the origins")])
def test_cookies_of_all_origins_are_refused(tmp_path: Path, origins: str, said: str) -> None:
    words = ("--cors-origins", origins, "--cors-credentials", "--port", "18999")
    done = serve(*words, data_dir=tmp_path / "data")
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert done.stderr.splitlines()[-1].startswith("mediagate: --cors-credentials: ") and said in done.stderr
