"""Hosts on their own servers, each in a process of its own on loopback; one of them may stand behind nginx."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import httpx

from tests.support import loopback
from tests.support.load import stretched
from tests.support.ports import free_port
from tests.support.server import PYTHONPATH, ROOT, alive, children

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
DRAIN_S = 2.0
"""The drain time of all hosts here."""
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
"""Every host of the documentation, by name, as arguments of ``Host``."""


def until(condition: str, holds: Callable[[], object], timeout_s: float = 60) -> None:
    """Wait until a function returns something true."""
    end = time.monotonic() + stretched(timeout_s)
    while not holds():
        assert time.monotonic() < end, condition
        time.sleep(0.05)


class Host:
    """One application on one server; ``command`` runs it, with PORT for the port that it listens on."""

    def __init__(self, command: str, folder: Path, *, mount: str = "/media", prefix: str = "") -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.mount = mount
        self.prefix = prefix
        self.log = folder / "log"
        self._folder = folder
        env = {
            **os.environ,
            "MEDIAGATE_DATA_DIR": str(folder / "data"),
            "MEDIAGATE_IMAGE_PROCESSES": "1",
            "MEDIAGATE_DRAIN_TIMEOUT_S": str(DRAIN_S),
            "PYTHONPATH": PYTHONPATH,
        }
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *command.replace("PORT", str(self.port)).split()],
                cwd=ROOT, env=env, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        self.proxy: subprocess.Popen[bytes] | None = None
        if prefix:
            self._start_proxy()

    def _start_proxy(self) -> None:
        """Put nginx in front, with the lines of the documentation."""
        assert NGINX is not None
        port, folder = free_port(), self._folder
        lines = (ROOT / "examples" / "hosts" / "nginx.conf").read_text()
        assert lines.count("127.0.0.1:8000") == 1
        temp = "".join(
            f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (folder / "nginx.conf").write_text(
            f"daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx.log;\n"
            f"events {{}}\nhttp {{ access_log off; {temp}\nserver {{ listen 127.0.0.1:{port};\n"
            + lines.replace("127.0.0.1:8000", f"127.0.0.1:{self.port}")
            + "}}\n"
        )
        # nginx runs as the user of the tests, who alone may read their files.
        user = ["-g", "user root;"] if os.geteuid() == 0 else []
        words = [NGINX, "-e", f"{folder}/nginx.log", "-p", str(folder), "-c", f"{folder}/nginx.conf", *user]
        with self.log.open("ab") as log:
            self.proxy = subprocess.Popen(words, stdout=log, stderr=log)
        self.url = f"http://127.0.0.1:{port}"

    @property
    def base(self) -> str:
        """Where clients find the gate."""
        return f"{self.url}{self.prefix}{self.mount}"

    def ready(self) -> bool:
        """Return whether it answers."""
        assert self.process.poll() is None, self.log.read_text()[-4000:]
        with contextlib.suppress(httpx.TransportError):
            return loopback.get(f"{self.base}/readyz", timeout=30).status_code == 200
        return False

    def upload(self, picture: bytes) -> dict[str, str]:
        """Upload a picture and return the answer."""
        form = {"sourceType": "avatar", "sourceId": "u1"}
        sent = loopback.post(f"{self.base}/upload", data=form, files={"file": ("cat.png", picture)}, timeout=30)
        assert sent.status_code == 202, f"{sent.text}\n{self.log.read_text()[-4000:]}"
        answer: dict[str, str] = sent.json()
        return answer

    def half_an_upload(self, picture: bytes) -> socket.socket:
        """Send a part of an upload, straight to the server, and keep the connection."""
        parts = "".join(
            f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in (("sourceType", "avatar"), ("sourceId", "u1"))
        )
        body = (
            parts.encode() + b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n' + picture
        )
        connection = socket.create_connection(("127.0.0.1", self.port))
        head = (
            f"POST {self.mount}/upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body) + 1000}\r\n"
            "Content-Type: multipart/form-data; boundary=x\r\n\r\n"
        )
        connection.sendall(head.encode() + body)
        return connection

    @property
    def spooled(self) -> int:
        """How many files of uploads are under way."""
        return len(list((self._folder / "data" / "spool").iterdir()))

    def freeze_images(self) -> None:
        """Stop the image processes, so that the job which they work on stays in hand."""
        found = {pid for pid in children(self.process.pid) if _of_images(pid)}
        forked = {pid for server in found for pid in children(server)}
        assert forked
        for pid in forked:
            os.kill(pid, signal.SIGSTOP)

    def terminate(self) -> None:
        """Ask it to end, so that it removes its temporary files."""
        if self.process.poll() is None:
            self.process.terminate()

    def kill(self) -> None:
        """End what still runs, after a moment in which it may end by itself."""
        below = children(self.process.pid) if self.process.poll() is None else set()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(stretched(20))
        for process in (self.process, self.proxy):
            if process is not None and process.poll() is None:
                process.kill()
                process.wait(10)
        for pid in below:
            if alive(pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def _of_images(pid: int) -> bool:
    return b"mediagate.images.process" in Path(f"/proc/{pid}/cmdline").read_bytes()


@contextlib.contextmanager
def hosts(commands: Mapping[str, Mapping[str, str]], folder: Path) -> Iterator[dict[str, Host]]:
    """Run hosts concurrently for the length of a block."""
    started: dict[str, Host] = {}
    try:
        for name, options in commands.items():
            (folder / name).mkdir()
            started[name] = Host(folder=folder / name, **options)
        yield started
    finally:
        for host in started.values():
            host.terminate()
        for host in started.values():
            host.kill()
