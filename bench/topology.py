"""Processes of a small production on loopback, each started again after it died: PostgreSQL, S3, web and workers."""

from __future__ import annotations

import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

RESTART_S = 1.0
"""How long a process stays dead: what systemd or Kubernetes take at the least."""
START_S = 120.0


def free_port() -> int:
    """Return a port of the loopback address that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def below(pid: int) -> dict[int, str]:
    """Return the command lines of all processes below one, by id."""
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents.setdefault(int(stat.read_text().rpartition(")")[2].split()[1]), []).append(int(stat.parent.name))
    found: dict[int, str] = {}
    waiting = [pid]
    while waiting:
        for child in parents.get(waiting.pop(), ()):
            with suppress(OSError):
                found[child] = Path(f"/proc/{child}/cmdline").read_text().replace("\0", " ")
                waiting.append(child)
    return found


class Supervised:
    """A process that is started again when it dies, until it is stopped."""

    def __init__(self, name: str, command: Sequence[str], env: Mapping[str, str], log: Path, user: str = "") -> None:
        self.name = name
        self.restarts = -1
        self._command, self._env, self._log, self._user = command, env, log, user
        self._stopping = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._guard = threading.Thread(target=self._keep_alive, daemon=True)
        self._guard.start()

    @property
    def pid(self) -> int | None:
        """The id of the process, while there is one."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def stop(self) -> None:
        """End the process as its service manager would, and wait for it."""
        self._stopping.set()
        if (pid := self.pid) is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        self._guard.join(60)
        if (pid := self.pid) is not None:
            os.kill(pid, signal.SIGKILL)

    def _keep_alive(self) -> None:
        while not self._stopping.is_set():
            with self._log.open("ab") as log:
                self._process = subprocess.Popen(
                    self._command, env=dict(self._env), stdout=log, stderr=log, start_new_session=True,
                    user=self._user or None, cwd=self._log.parent,
                )  # fmt: skip
            self.restarts += 1
            self._process.wait()
            self._stopping.wait(RESTART_S)


def postgres(folder: Path) -> tuple[Supervised, str]:
    """Start a PostgreSQL of our own, so that its postmaster can be killed; returns it and its URL."""
    tools = _postgres_tools()
    user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    home = folder / "postgresql"
    home.mkdir()
    shutil.chown(home, user)
    data = home / "data"
    made = [str(tools / "initdb"), "--auth=trust", "--username=postgres", "--pgdata", str(data)]
    subprocess.run(made, user=user, check=True, stdout=subprocess.DEVNULL, cwd=home)
    port = free_port()
    options = {
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": str(home),
        "port": str(port),
        "max_connections": "200",
    }
    command = [str(tools / "postgres"), "-D", str(data), *(f"--{name}={value}" for name, value in options.items())]
    # A postmaster that was killed leaves its lock file and, for a moment, its children; it starts when they are gone.
    server = Supervised("postmaster", command, os.environ, home / "log", user if os.geteuid() == 0 else "")
    ready = [str(tools / "pg_isready"), "--quiet", "--host=127.0.0.1", f"--port={port}"]
    until(lambda: subprocess.run(ready, check=False).returncode == 0, "PostgreSQL")
    return server, f"postgresql://postgres@127.0.0.1:{port}/postgres"


def _postgres_tools() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if found:
        return found[-1].parent
    if (path := shutil.which("initdb")) is not None:
        return Path(path).resolve().parent
    raise RuntimeError("initdb is not there: install PostgreSQL's server (Debian: postgresql)")


def rabbitmq(folder: Path) -> tuple[Supervised, Supervised, str]:
    """Start a RabbitMQ of our own, so that it can be killed; returns Erlang's port mapper, the broker, and its URL."""
    found = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")  # Debian's in PATH runs as another user, from another home
    server = found if found.exists() else shutil.which("rabbitmq-server")
    if server is None:
        raise RuntimeError("rabbitmq-server is not there: install RabbitMQ (Debian: rabbitmq-server)")
    home = folder / "rabbitmq"
    home.mkdir()
    user = "rabbitmq" if os.geteuid() == 0 else ""
    if user:
        shutil.chown(home, user)
    port = free_port()
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_EPMD_PORT": str(free_port()),
        "RABBITMQ_NODENAME": f"mediagate-{port}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(free_port()),
        "RABBITMQ_MNESIA_BASE": str(home / "db"),
        "RABBITMQ_LOG_BASE": str(home / "log"),
        "RABBITMQ_PID_FILE": str(home / "pid"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "plugins"),
        "RABBITMQ_CONFIG_FILE": str(home / "rabbitmq"),
    }
    # Else the broker would start one that outlives us.
    mapper = Supervised("epmd", ["epmd"], env, home / "epmd.log")
    until(lambda: listens(int(env["ERL_EPMD_PORT"])), "Erlang's port mapper")
    broker = Supervised("broker", [str(server)], env, home / "out", user)
    until(lambda: listens(port), "RabbitMQ")
    return mapper, broker, f"amqp://guest:guest@127.0.0.1:{port}//"


def listens(port: int) -> bool:
    """Return whether somebody takes connections at a port."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def mediagate(name: str, arguments: Sequence[str], env: Mapping[str, str], folder: Path) -> Supervised:
    """Start ``mediagate`` with these arguments."""
    command = [str(Path(sys.executable).with_name("mediagate")), *arguments]
    return Supervised(name, command, {**os.environ, **env}, folder / f"{name}.log")


def answers(url: str) -> bool:
    """Return whether a GET of this address is answered with 200."""
    with suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:
        return bool(answer.status == 200)
    return False


def until(true: Callable[[], bool], what: str, timeout_s: float = START_S) -> None:
    """Wait until something is so; raises ``RuntimeError`` when it takes too long."""
    end = time.monotonic() + timeout_s
    while not true():
        if time.monotonic() > end:
            raise RuntimeError(f"{what} is not ready after {timeout_s:g} s")
        time.sleep(0.1)


class Killer:
    """Kills -9 a random process every few seconds, of each kind as often."""

    def __init__(self, targets: Mapping[str, Callable[[], list[int]]], every_s: float, seed: int) -> None:
        self.killed: dict[str, int] = dict.fromkeys(targets, 0)
        self._targets, self._every_s, self._random = targets, every_s, random.Random(seed)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Kill no more."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        order: list[str] = []
        while not self._stopping.wait(self._every_s):
            if not order:
                order = self._random.sample(list(self._targets), len(self._targets))
            kind = order.pop()
            if pids := self._targets[kind]():
                with suppress(ProcessLookupError):
                    os.kill(self._random.choice(sorted(pids)), signal.SIGKILL)
                    self.killed[kind] += 1
