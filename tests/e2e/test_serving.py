"""``mediagate serve`` binds its port first, reports a failed start in one line, and drains on SIGTERM."""

from __future__ import annotations

import signal
import socket
import time
from pathlib import Path

import httpx
import pytest

from tests.support import loopback
from tests.support.command import mediagate
from tests.support.server import running

GATE = "plain_gate:gate"
BOTH = pytest.mark.parametrize("command", ["serve", "worker"])


@BOTH
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_port_in_use_is_reported_before_the_gate_opens(tmp_path: Path, host: str, command: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        done = mediagate(command, GATE, "--host", host, "--port", port, data_dir=tmp_path / "data")
    assert (done.returncode, done.stdout) == (1, ""), done.stderr
    said = [line for line in done.stderr.splitlines() if "moderation is off" not in line]
    assert said == [f"mediagate: cannot listen on {host} port {port} (Address already in use); choose another --port"]
    assert not (tmp_path / "data").exists(), "the gate was not opened"


@BOTH
def test_non_local_host_is_reported(tmp_path: Path, command: str) -> None:
    done = mediagate(command, GATE, "--host", "192.0.2.1", "--port", "18999", data_dir=tmp_path / "data")
    assert (done.returncode, "choose another --host" in done.stderr) == (1, True), done.stderr


@pytest.mark.parametrize("port", ["0", "65536", "-1", "http"])
def test_worker_rejects_an_invalid_port(tmp_path: Path, port: str) -> None:
    done = mediagate("worker", GATE, "--port", port, data_dir=tmp_path / "data")
    assert (done.returncode, "Traceback" in done.stderr) == (2, False), done.stderr
    assert "--port" in done.stderr


@pytest.mark.parametrize("port", ["0", "65536", "-1", "http"])
def test_serve_rejects_an_invalid_port(tmp_path: Path, port: str) -> None:
    for words, env in ((("--port", port), {}), ((), {"PORT": port})):
        done = mediagate("serve", GATE, *words, data_dir=tmp_path / "data", **env)
        assert (done.returncode, "Traceback" in done.stderr) == (2, False), done.stderr
        assert "--port" in done.stderr


def test_serve_reports_an_unopenable_gate_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("in the way")
    done = mediagate("serve", GATE, "--port", "18999", data_dir=tmp_path / "data")
    assert (done.returncode, "Traceback" in done.stderr) == (1, False), done.stderr
    assert done.stderr.splitlines()[-1].startswith(f"mediagate: data_dir {tmp_path / 'data'}: ")
    assert done.stderr.count("set it to a writable folder") == 1, "one cause, one line"


def until_it_leaves(url: str) -> httpx.Response:
    """Poll the readiness of a service until it is not ready, and return that answer."""
    end = time.monotonic() + 30
    while (answer := loopback.get(f"{url}/readyz", timeout=10)).status_code == 200:
        assert time.monotonic() < end
        time.sleep(0.02)
    return answer


def test_drain_delay_keeps_serving_while_readyz_answers_503(tmp_path: Path, photo: bytes) -> None:
    with running(GATE, tmp_path / "data", options=("--drain-delay", "600")) as service:
        assert service.process is not None
        service.process.send_signal(signal.SIGTERM)
        answer = until_it_leaves(service.url)
        assert (answer.status_code, answer.json()["code"]) == (503, "shutting_down")
        assert service.upload("a.jpg", photo).status_code == 202
        assert loopback.get(f"{service.url}/healthz").status_code == 200
        assert service.process.poll() is None
        service.stop()  # the second signal


def test_drain_delay_ends_by_itself(tmp_path: Path) -> None:
    with running(GATE, tmp_path / "data", options=("--drain-delay", "1.5")) as service:
        assert service.process is not None
        service.process.send_signal(signal.SIGTERM)
        assert until_it_leaves(service.url).json()["code"] == "shutting_down"
        service.wait_dead()
    assert "Traceback" not in service.log.read_text()


def test_cors_origins_variable_allows_named_origins_only(tmp_path: Path) -> None:
    page = "https://app.example.com"
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type,idempotency-key"}
    with running(GATE, tmp_path / "data", CORS_ORIGINS=f"{page}, https://b.example") as service:
        for origin, status in ((page, 200), ("https://evil.example", 400)):
            preflight = loopback.options(f"{service.url}/uploads", headers=asked | {"Origin": origin})
            assert preflight.status_code == status, origin
        answer = loopback.get(f"{service.url}/status/job_x", headers={"Origin": page})
        assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (404, page)
        answer = loopback.get(f"{service.url}/healthz", headers={"Origin": "null"})
        assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize("origins", ["app.example.com", "https://a.example,b"])
def test_cors_origins_rejects_an_invalid_origin(tmp_path: Path, origins: str) -> None:
    done = mediagate("serve", GATE, "--cors-origins", origins, "--port", "18999", data_dir=tmp_path / "data")
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert "--cors-origins: " in done.stderr and "such as https://app.example.com" in done.stderr


@pytest.mark.parametrize(("origins", "said"), [("*", "every site could act"), ("", "list the origins")])
def test_cors_credentials_require_named_origins(tmp_path: Path, origins: str, said: str) -> None:
    words = ("--cors-origins", origins, "--cors-credentials", "--port", "18999")
    done = mediagate("serve", GATE, *words, data_dir=tmp_path / "data")
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert done.stderr.splitlines()[-1].startswith("mediagate: --cors-credentials: ") and said in done.stderr
